"""Read clients in one plain statement: a request waits for it whose client is not in memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import ClientSecret, SecretHash
from issuer.registry.resource import TokenPolicy
from issuer.registry.schema import Json, restored
from issuer.storage.engines.database import Rows, Statement

SELECT = """
SELECT c.client_id AS client_id, CAST(c.registration AS TEXT) AS registration, c.disabled,
  c.expires_at AS client_expires_at, c.created_at AS client_created_at, c.updated_at, c.revision,
  s.secret_id AS secret_id, s.hash, s.created_at AS created_at, s.starts_at, s.expires_at,
  s.last_used_at,
  NULL AS identifier, NULL AS policy, NULL AS scope, NULL AS is_default, NULL AS grant_position,
  NULL AS scope_position, NULL AS known_position
FROM clients AS c LEFT JOIN client_secrets AS s ON s.client_id = c.client_id
WHERE c.client_id {wanted}
UNION ALL
SELECT g.client_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  r.identifier, CAST(r.registration AS TEXT), gs.scope, gs.is_default, g.position, gs.position,
  rs.position
FROM client_grants AS g
JOIN resources AS r ON r.resource_id = g.resource_id
JOIN client_grant_scopes AS gs
  ON gs.client_id = g.client_id AND gs.resource_id = g.resource_id
JOIN resource_scopes AS rs ON rs.resource_id = gs.resource_id AND rs.scope = gs.scope
WHERE g.client_id {wanted}
ORDER BY client_id, grant_position, scope_position, known_position, created_at, secret_id
"""
"""Clients with each of their secrets, and each scope that they are granted, as given."""

_ONE = SELECT.format(wanted="= $1")


def find_client(read: Callable[[Statement], Rows], client_id: str) -> Client | None:
    """Read one client with its grants and secrets, or None if there is no such id.

    Args:
        read: runs the statement.
        client_id: the id.

    Raises:
        InvalidSecretHash: a stored hash is damaged.
        InvalidValue: a stored registration is damaged.
    """
    return next(clients_of(read(Statement(_ONE, (client_id,)))), None)


def clients_of(rows: Iterable[Any]) -> Iterator[Client]:
    """Build clients from the rows of `SELECT`."""
    for client_id, group in groupby(rows, key=lambda row: row["client_id"]):
        of_client: list[Any] = []
        of_grants: list[Any] = []
        for row in group:
            (of_client if row["identifier"] is None else of_grants).append(row)
        if of_client:  # else it was deleted between two statements of one reading
            yield _client(client_id, of_client, of_grants)


def _client(client_id: str, of_client: list[Any], of_grants: list[Any]) -> Client:
    first = of_client[0]
    grants: list[Json] = []
    policies: dict[str, TokenPolicy] = {}
    for identifier, group in groupby(of_grants, key=lambda row: row["identifier"]):
        rows = list(group)
        defaults = tuple(row["scope"] for row in rows if row["is_default"])
        scopes = tuple(row["scope"] for row in rows)
        grants.append(
            {"resource": identifier, "scopes": scopes, "default_scopes": defaults or None}
        )
        policies[identifier] = restored(TokenPolicy, json.loads(rows[0]["policy"]))
    columns = {
        "client_id": client_id,
        "disabled": bool(first["disabled"]),
        "expires_at": first["client_expires_at"],
        "grants": grants,
    }
    return Client(
        registration=restored(ClientRegistration, json.loads(first["registration"]) | columns),
        policies=policies,
        secrets=tuple(_secret(row) for row in of_client if row["secret_id"] is not None),
        created_at=first["client_created_at"],
        updated_at=first["updated_at"],
        revision=first["revision"],
    )


def _secret(row: Mapping[str, Any]) -> ClientSecret:
    return ClientSecret(
        secret_id=row["secret_id"],
        hash=SecretHash.parse(row["hash"]),
        created_at=row["created_at"],
        starts_at=row["starts_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
