"""Read one client in one plain statement: a request waits for it whose client is not in memory.

`issuer.storage.clients` reads the same by SQLAlchemy, page by page; a property test compares.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from issuer.registry.auth_method import AuthMethod
from issuer.registry.client import Client, ClientRegistration, ResourcePermission
from issuer.registry.client_secret import ClientSecret
from issuer.registry.secret_hash import SecretHash
from issuer.registry.token_policy import TokenPolicy
from issuer.storage.engines.database import Rows, Statement

# The client with each of its secrets, then each scope that it is granted.
_CLIENT = """
SELECT c.client_id, c.display_name, c.auth_method, c.material, c.grant_types,
  c.token_ttl AS client_token_ttl, c.dpop_bound, c.certificate_bound, c.disabled,
  c.expires_at AS client_expires_at, c.notes, c.created_at AS client_created_at, c.updated_at,
  c.revision, s.secret_id AS secret_id, s.hash, s.created_at AS created_at, s.starts_at,
  s.expires_at, s.last_used_at,
  NULL AS identifier, NULL AS token_ttl, NULL AS signing_alg, NULL AS dpop_required,
  NULL AS certificate_required, NULL AS scope, NULL AS is_default, NULL AS grant_position,
  NULL AS scope_position, NULL AS known_position
FROM clients AS c LEFT JOIN client_secrets AS s ON s.client_id = c.client_id
WHERE c.client_id = $1
UNION ALL
SELECT g.client_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, r.identifier, r.token_ttl, r.signing_alg, r.dpop_required,
  r.certificate_required, gs.scope, gs.is_default, g.position, gs.position, rs.position
FROM client_grants AS g
JOIN resources AS r ON r.resource_id = g.resource_id
JOIN client_grant_scopes AS gs
  ON gs.client_id = g.client_id AND gs.resource_id = g.resource_id
JOIN resource_scopes AS rs ON rs.resource_id = gs.resource_id AND rs.scope = gs.scope
WHERE g.client_id = $1
ORDER BY grant_position, scope_position, known_position, created_at, secret_id
"""


def find_client(read: Callable[[Statement], Rows], client_id: str) -> Client | None:
    """Read one client with its grants and secrets, or None if there is no such id.

    Args:
        read: runs the statement.
        client_id: the id.

    Raises:
        InvalidSecretHash: a stored hash is damaged.
    """
    rows = read(Statement(_CLIENT, (client_id,)))
    of_client = [row for row in rows if row["identifier"] is None]
    if not of_client:
        return None
    of_grants = [row for row in rows if row["identifier"] is not None]
    by_resource = [(name, list(of)) for name, of in groupby(of_grants, lambda r: r["identifier"])]
    first = of_client[0]
    return Client(
        registration=_registration(first, tuple(_permission(name, of) for name, of in by_resource)),
        policies={name: _policy(of[0]) for name, of in by_resource},
        secrets=tuple(_secret(row) for row in of_client if row["secret_id"] is not None),
        created_at=first["client_created_at"],
        updated_at=first["updated_at"],
        revision=first["revision"],
    )


def _registration(row: Any, grants: tuple[ResourcePermission, ...]) -> ClientRegistration:  # noqa: ANN401
    return ClientRegistration(
        client_id=row["client_id"],
        client_name=row["display_name"],
        token_endpoint_auth_method=AuthMethod(row["auth_method"]),
        **json.loads(row["material"] or "{}"),
        grant_types=tuple(row["grant_types"].split()),
        grants=grants,
        token_ttl=row["client_token_ttl"],
        dpop_bound_access_tokens=bool(row["dpop_bound"]),
        tls_client_certificate_bound_access_tokens=bool(row["certificate_bound"]),
        disabled=bool(row["disabled"]),
        expires_at=row["client_expires_at"],
        metadata=json.loads(row["notes"] or "{}"),
    )


def _permission(resource: str, rows: Sequence[Any]) -> ResourcePermission:
    return ResourcePermission(
        resource=resource,
        scopes=tuple(row["scope"] for row in rows),
        default_scopes=tuple(row["scope"] for row in rows if row["is_default"]) or None,
    )


def _policy(row: Any) -> TokenPolicy:  # noqa: ANN401
    return TokenPolicy(
        token_ttl=row["token_ttl"],
        signing_alg=row["signing_alg"],
        dpop_bound_access_tokens_required=bool(row["dpop_required"]),
        tls_client_certificate_bound_access_tokens=bool(row["certificate_required"]),
    )


def _secret(row: Any) -> ClientSecret:  # noqa: ANN401
    return ClientSecret(
        secret_id=row["secret_id"],
        hash=SecretHash.parse(row["hash"]),
        created_at=row["created_at"],
        starts_at=row["starts_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )
