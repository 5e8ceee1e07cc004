"""Claims and counts in the database: what the serving process keeps until it expires."""

import sqlite3
from collections.abc import Mapping
from typing import Any

_CLAIM_IN_FILE = "INSERT INTO claims (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
# In one order, so that two batches never wait for each other in a circle.
_CLAIM_ON_SERVER = """
INSERT INTO claims (digest, expires_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[]) AS claim (digest, expires_at) ORDER BY digest
ON CONFLICT DO NOTHING RETURNING digest
"""

_ADD = """
ON CONFLICT (digest) DO UPDATE SET count = limit_counts.count + excluded.count
RETURNING digest, count
"""
_COUNT_IN_FILE = f"INSERT INTO limit_counts (digest, count, expires_at) VALUES (?, ?, ?) {_ADD}"  # noqa: S608 - no input
_COUNT_ON_SERVER = f"""
INSERT INTO limit_counts (digest, count, expires_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS added (digest, count, expires_at)
ORDER BY digest {_ADD}
"""  # noqa: S608 - no input

_SWEEP_FILE = """
DELETE FROM {table} WHERE digest IN (SELECT digest FROM {table} WHERE expires_at <= ? LIMIT ?)
"""
_SWEEP_SERVER = """
WITH gone AS (SELECT digest FROM {table} WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM {table} USING gone WHERE {table}.digest = gone.digest
"""
_TABLES = ("claims", "limit_counts")


class Sweep:
    """Decides when a batch also removes what has expired: a bounded number of rows at a time."""

    MOST = 2_000
    """Rows of a table that one batch removes at the most."""

    PAUSE = 1.0
    """Seconds between two removals, unless the one before came to the bound."""

    def __init__(self) -> None:
        self._due = 0.0

    def is_due(self, at: float) -> bool:
        """Tell whether to remove some now, in seconds of a clock that is never set."""
        return at >= self._due

    def done(self, at: float, removed: int) -> None:
        """Note how many were removed of one table; if there may be more, the next batch goes on."""
        self._due = at if removed == self.MOST else at + self.PAUSE


def sweep_file(connection: sqlite3.Connection, now: int, most: int) -> int:
    """Remove what has expired from a registry file; return the most that a table had of it."""
    return max(
        connection.execute(_SWEEP_FILE.format(table=table), (now, most)).rowcount
        for table in _TABLES
    )


async def sweep_server(connection: Any, now: int, most: int) -> int:  # noqa: ANN401
    """Remove what has expired from PostgreSQL; return the most that a table had of it."""
    removed = 0
    for table in _TABLES:
        status = await connection.execute(_SWEEP_SERVER.format(table=table), now, most)
        removed = max(removed, int(status.removeprefix("DELETE ")))
    return removed


def claim_in_file(connection: sqlite3.Connection, claims: Mapping[bytes, int]) -> frozenset[bytes]:
    """Claim digests in a registry file, in a transaction; return those that were free.

    Args:
        connection: within the transaction.
        claims: by digest, until when each is claimed.
    """
    return frozenset(
        digest
        for digest, until in claims.items()
        if connection.execute(_CLAIM_IN_FILE, (digest, until)).rowcount
    )


async def claim_on_server(
    connection: Any,  # noqa: ANN401 - asyncpg has no types
    claims: Mapping[bytes, int],
) -> frozenset[bytes]:
    """Claim digests in PostgreSQL, as `claim_in_file` does."""
    if not claims:
        return frozenset()
    rows = await connection.fetch(_CLAIM_ON_SERVER, list(claims), list(claims.values()))
    return frozenset(row["digest"] for row in rows)


def count_in_file(
    connection: sqlite3.Connection, counts: Mapping[bytes, tuple[int, int]]
) -> dict[bytes, int]:
    """Add to counts in a registry file, in a transaction; return what each came to.

    Args:
        connection: within the transaction.
        counts: by digest, what is added, and until when a new count is kept.
    """
    return {
        digest: int(connection.execute(_COUNT_IN_FILE, (digest, *added)).fetchone()[1])
        for digest, added in counts.items()
    }


async def count_on_server(
    connection: Any,  # noqa: ANN401 - asyncpg has no types
    counts: Mapping[bytes, tuple[int, int]],
) -> dict[bytes, int]:
    """Add to counts in PostgreSQL, in a transaction, as `count_in_file` does."""
    if not counts:
        return {}
    by, until = map(list, zip(*counts.values(), strict=True))
    rows = await connection.fetch(_COUNT_ON_SERVER, list(counts), by, until)
    return {row["digest"]: row["count"] for row in rows}
