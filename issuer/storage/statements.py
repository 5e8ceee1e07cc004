"""Plain statements of the serving process: clients read, changes followed, uses written.

Each is written once, in the SQL that SQLite and PostgreSQL share; `issuer.storage.edit` changes the
same tables through SQLAlchemy. A request waits for the statement that reads a client only if the
client is not in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from json import dumps, loads
from typing import Any, NamedTuple

from issuer.ports import Changes
from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import ClientSecret, SecretHash
from issuer.registry.resource import TokenPolicy
from issuer.registry.schema import Json, restored
from issuer.registry.usage import UsageBatch
from issuer.storage.engines.database import CHANGE_LOCK, Database, Rows, Statement

READ_AT_MOST = 1_000
"""Notes of the change feed that one reading lists; more count as "everything"."""

_DAY = 86_400

# As the partial index is defined (`PARTIAL_INDEXES`), without which this would read every secret;
# and in its order, else PostgreSQL reads a table that it has no statistics of from the beginning.
_SLOW = {"sqlite": "slow = 1", "postgresql": "slow"}
HAS_SCHEMA = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}
# Of the signature algorithms and the types of resources, which are in their documents.
SIGNING_ALGS = {
    "sqlite": "SELECT DISTINCT json_extract(registration, '$.signing_alg') AS alg FROM resources",
    "postgresql": "SELECT DISTINCT registration->>'signing_alg' AS alg FROM resources",
}
DETAILS_TYPES = {
    "sqlite": "SELECT DISTINCT json_extract(t.value, '$.type') AS type FROM resources,"
    " json_each(registration, '$.authorization_details_types') AS t",
    "postgresql": "SELECT DISTINCT t.value->>'type' AS type FROM resources,"
    " json_array_elements(registration->'authorization_details_types') AS t(value)",
}

_FEED = """
SELECT (SELECT min(seq) FROM registry_changes) AS first,
  (SELECT max(seq) FROM registry_changes) AS last,
  (SELECT value FROM registry_identity WHERE name = 'epoch') AS epoch,
  (SELECT client_id FROM client_secrets WHERE {slow} ORDER BY client_id LIMIT 1) AS slow
"""

_USE_OF_CREDENTIAL = """
UPDATE client_secrets SET last_used_at = $3
WHERE client_id = $1 AND secret_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)
"""

_USE_OF_SCOPE = """
UPDATE client_grant_scopes SET last_used_at = $4
WHERE client_id = $1 AND scope = $3 AND (last_used_at IS NULL OR last_used_at < $4)
  AND resource_id = (SELECT resource_id FROM resources WHERE identifier = $2)
"""

# First in a transaction, so that each sees what the one before it has written; of the transactions
# of SQLite that write, one runs at a time.
_LOCK_CHANGES = {
    "sqlite": (),
    "postgresql": (("SELECT pg_advisory_xact_lock($1)", [(CHANGE_LOCK,)]),),
}
_RECORD_ONCE = """
INSERT INTO audit_entries (at, actor, via, action, target, before, after)
SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT),
  {before}, {after}
WHERE NOT EXISTS (SELECT 1 FROM audit_entries WHERE target = $5 AND action = $4)
"""
_AS_JSON = {"sqlite": "CAST({} AS TEXT)", "postgresql": "CAST(CAST({} AS TEXT) AS JSON)"}

_ANNOUNCE = """
UPDATE client_secrets SET expiry_announced_at = $1
WHERE expires_at > $1 AND expires_at <= $2
  AND (expiry_announced_at IS NULL OR expiry_announced_at < $3 OR expiry_announced_at > $4)
RETURNING client_id, secret_id, expires_at
"""

COUNTED_AT_MOST = 10_000
"""Secrets that end soon; counting goes no further."""

_COUNT_ENDING = """
SELECT COUNT(*) AS ending FROM (
  SELECT 1 FROM client_secrets WHERE expires_at > $1 AND expires_at <= $2 LIMIT $3
) AS soon
"""


class ExpiringSecret(NamedTuple):
    """A secret whose end is announced."""

    client_id: str
    secret_id: str
    expires_at: int


def read_changes(database: Database, cursor: int) -> Changes:
    """Read the notes of the change feed after `cursor`; 0 is the beginning."""
    place, (feeds, notes) = database.follow(
        Statement(_FEED.format(slow=_SLOW[database.dialect])),
        Statement(
            "SELECT client_id FROM registry_changes WHERE seq > $1 LIMIT $2",
            (cursor, READ_AT_MOST + 1),
        ),
    )
    feed = feeds[0]
    first, last = feed["first"] or 1, feed["last"] or 0
    client_ids = frozenset(row["client_id"] for row in notes)
    # A gap behind the cursor means trimmed notes; a cursor ahead of the feed means another feed.
    unknown = first > cursor + 1 or last < cursor or len(notes) > READ_AT_MOST or None in client_ids
    return Changes(
        feed=f"{place} {feed['epoch'] or ''}",
        cursor=last,
        client_ids=None if unknown else client_ids,
        any_slow_secret=feed["slow"] is not None,
    )


def write_usage(database: Database, batch: UsageBatch) -> None:
    """Write when secrets and scopes were last used; what is there already is never set back."""
    # In one order, so that two writers never wait for each other in a circle.
    secrets = [(*secret, at) for secret, at in sorted(batch.credentials.items())]
    scopes = [
        (client_id, resource, scope, at)
        for (client_id, resource, scopes), at in sorted(batch.grants.items())
        for scope in scopes
    ]
    database.write_many((_USE_OF_CREDENTIAL, secrets), (_USE_OF_SCOPE, scopes))


def record_once(database: Database, entries: Iterable[AuditEntry]) -> None:
    """Append entries to the audit trail, but none whose action its target has had already."""
    as_json = _AS_JSON[database.dialect]
    insert = _RECORD_ONCE.format(before=as_json.format("$6"), after=as_json.format("$7"))
    rows = [
        (
            entry.at,
            entry.actor.name,
            entry.actor.via.value,
            entry.action.value,
            entry.target,
            *(None if each is None else dumps(dict(each)) for each in (entry.before, entry.after)),
        )
        for entry in entries
    ]
    database.write_many(*_LOCK_CHANGES[database.dialect], (insert, rows))


def claim_expiring(
    database: Database, *, now: int, until: int, started: int
) -> list[ExpiringSecret]:
    """Take the secrets that end by `until` and are to be announced, each for one caller a day.

    Args:
        database: the registry.
        now: the time.
        until: the latest end that is announced.
        started: what was announced before this is announced again.
    """
    # One that was announced after tomorrow was announced by a clock that was wrong.
    arguments = (now, until, max(started, now - _DAY + 1), now + _DAY)
    return sorted(
        ExpiringSecret(*row) for row in database.write_one(Statement(_ANNOUNCE, arguments))
    )


def count_ending(database: Database, *, now: int, within: int) -> int:
    """Count the secrets that end within so many seconds, up to `COUNTED_AT_MOST`."""
    soon = database.read_one(Statement(_COUNT_ENDING, (now, now + within, COUNTED_AT_MOST)))
    return int(soon[0]["ending"])


SELECT = """
SELECT c.client_id AS client_id, CAST(c.registration AS TEXT) AS registration, c.disabled,
  c.expires_at AS client_expires_at, c.created_at AS client_created_at, c.updated_at, c.revision,
  s.secret_id AS secret_id, s.hash, s.created_at AS created_at, s.starts_at, s.expires_at,
  s.last_used_at,
  NULL AS identifier, NULL AS policy, NULL AS types, NULL AS scope, NULL AS is_default,
  NULL AS grant_position,
  NULL AS scope_position, NULL AS known_position
FROM clients AS c LEFT JOIN client_secrets AS s ON s.client_id = c.client_id
WHERE c.client_id {wanted}
UNION ALL
SELECT g.client_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  r.identifier, CAST(r.registration AS TEXT), CAST(g.authorization_details_types AS TEXT),
  gs.scope, gs.is_default, g.position, gs.position, rs.position
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
        types = rows[0]["types"]
        grants.append(
            {
                "resource": identifier,
                "scopes": scopes,
                "default_scopes": defaults or None,
                "authorization_details_types": () if types is None else tuple(loads(types)),
            }
        )
        policies[identifier] = restored(
            TokenPolicy, rows[0]["policy"], {}, of=f"resource {identifier}"
        )
    columns = {
        "client_id": client_id,
        "disabled": bool(first["disabled"]),
        "expires_at": first["client_expires_at"],
        "grants": grants,
    }
    return Client(
        registration=restored(
            ClientRegistration,
            first["registration"],
            columns,
            of=f"client {client_id}",
            needs=("token_endpoint_auth_method",),
        ),
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
