"""Plain statements of the serving process: the client registry read and followed, uses written.

Each is written once, in the SQL that SQLite and PostgreSQL share; `issuer.storage.edit` changes the
same tables through SQLAlchemy.
"""

from typing import NamedTuple

from issuer.ports import Changes
from issuer.registry.usage import UsageBatch
from issuer.storage.engines.database import Database, Statement

READ_AT_MOST = 1_000
"""Notes of the change feed that one reading lists; more count as "everything"."""

_DAY = 86_400

# As the partial index is defined (`PARTIAL_INDEXES`), without which this would read every secret;
# and in its order, else PostgreSQL reads a table that it has no statistics of from the beginning.
_SLOW = {"sqlite": "slow = 1", "postgresql": "slow"}
_HAS_SCHEMA = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
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

_ANNOUNCE = """
UPDATE client_secrets SET expiry_announced_at = $1
WHERE expires_at > $1 AND expires_at <= $2
  AND (expiry_announced_at IS NULL OR expiry_announced_at < $3 OR expiry_announced_at > $4)
RETURNING client_id, secret_id, expires_at
"""


class ExpiringSecret(NamedTuple):
    """A secret whose end is announced."""

    client_id: str
    secret_id: str
    expires_at: int


def read_schema(database: Database) -> str | None:
    """Read the schema revision of a database; None if it is empty."""
    if not database.read_one(Statement(_HAS_SCHEMA[database.dialect])):
        return None
    rows = database.read_one(Statement("SELECT version_num FROM alembic_version"))
    return str(rows[0]["version_num"]) if rows else None


def read_issuer(database: Database) -> str | None:
    """Read which issuer the registry belongs to; None until it is first served or written."""
    rows = database.read_one(Statement("SELECT value FROM registry_identity WHERE name = 'issuer'"))
    return str(rows[0]["value"]) if rows else None


def has_resource(database: Database, identifier: str) -> bool:
    """Tell whether there is a resource of this identifier."""
    statement = Statement("SELECT 1 FROM resources WHERE identifier = $1", (identifier,))
    return bool(database.read_one(statement))


def list_scopes(database: Database) -> set[str]:
    """List the scopes of all resources."""
    rows = database.read_one(Statement("SELECT DISTINCT scope FROM resource_scopes"))
    return {str(row["scope"]) for row in rows}


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
