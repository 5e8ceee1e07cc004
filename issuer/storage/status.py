"""Status lists in the database: who was given which indexes, and how their status changed.

Plain statements, which the serving process runs.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from issuer.status.positions import BUCKET, COUNTER, Position, Status, StatusBlock, StatusChange
from issuer.storage.engines.database import CHANGE_LOCK, Database, Statement

KEEP_COUNTERS = 86_400
"""Seconds that the counter of a bucket is kept longer than the rest of it."""

PRUNED_AT_ONCE = 2_000
"""Rows that one transaction removes, so that others do not wait for it."""

READ_AT_MOST = 10_000
"""Changes that one reading returns."""

# A block that was written before stays: an answer may have been lost on its way.
_OWN_IN_FILE = """
INSERT INTO status_blocks (bucket, first, size, client_id, subject, resource, reserved_at)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_OWN_ON_SERVER = """
INSERT INTO status_blocks (bucket, first, size, client_id, subject, resource, reserved_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
  $7::bigint[]) AS block (bucket, first) ORDER BY bucket, first
ON CONFLICT DO NOTHING
"""

_ACTIVE_IN_FILE = "SELECT 1 FROM clients WHERE client_id = ? AND NOT disabled"
# Whoever disables or deletes a client waits for this lock, and finds the blocks; who holds the row
# already has not committed, and is not waited for.
_ACTIVE_ON_SERVER = """
SELECT client_id FROM clients WHERE client_id = ANY($1::text[]) AND NOT disabled
ORDER BY client_id FOR SHARE SKIP LOCKED
"""

_CHANGE_IN_FILE = "INSERT INTO status_changes (bucket, first, size, status) VALUES (?, ?, 1, ?)"
_CHANGE_ON_SERVER = """
INSERT INTO status_changes (bucket, first, size, status)
SELECT bucket, first, 1, status
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
  AS change (bucket, first, status, place) ORDER BY place
"""
_CHANGE_RANGE = "INSERT INTO status_changes (bucket, first, size, status) VALUES ($1, $2, $3, $4)"
LOCK_CHANGES = f"SELECT pg_advisory_xact_lock({CHANGE_LOCK + 1})"
"""Comes first where changes are added to a PostgreSQL database, in the same transaction.

Sequences hand out numbers before the commit; under the lock they are committed in their order, so
that no reader passes over one. It is another lock than that of the registry, so that a long change
of the registry delays no revocation.
"""

_PRUNE_BLOCKS = """
DELETE FROM status_blocks WHERE (bucket, first) IN
  (SELECT bucket, first FROM status_blocks WHERE bucket <= $1 LIMIT $2)
RETURNING bucket
"""
_PRUNE_CHANGES = """
DELETE FROM status_changes WHERE change IN
  (SELECT change FROM status_changes WHERE bucket <= $1 LIMIT $2)
RETURNING bucket
"""
# CASE, since conditions may be asked in any order, and other counters have other names.
_PRUNE_COUNTERS = f"""
DELETE FROM counters
WHERE CASE WHEN name LIKE '{COUNTER}%' THEN CAST(substr(name, {len(COUNTER) + 1}) AS BIGINT) END
  <= $1
"""  # noqa: S608 - no input

_EPOCH = Statement("SELECT value FROM registry_identity WHERE name = 'epoch'")
_COUNTS = Statement(f"SELECT name, next FROM counters WHERE name LIKE '{COUNTER}%'")  # noqa: S608
_CHANGES = f"""
SELECT change, bucket, first, size, status FROM status_changes WHERE change > $1
ORDER BY change LIMIT {READ_AT_MOST}
"""  # noqa: S608 - no input


class StatusNews(NamedTuple):
    """What a reading found of status lists.

    Args:
        feed: what the numbers of the changes belong to; those of two feeds cannot be compared.
        changes: in the order in which they were committed.
        counts: by bucket, how many indexes were handed out.
    """

    feed: str
    changes: list[StatusChange]
    counts: Mapping[int, int]


def read_news(database: Database, cursor: int) -> StatusNews:
    """Read the changes of status after a number, `READ_AT_MOST` of them; 0 is the beginning."""
    place, (epochs, counts, changes) = database.follow(
        _EPOCH, _COUNTS, Statement(_CHANGES, (cursor,))
    )
    return StatusNews(
        feed=f"{place} {epochs[0]['value'] if epochs else ''}",
        changes=[
            StatusChange(number, bucket, first, size, Status(status))
            for number, bucket, first, size, status in changes
        ],
        counts={int(row["name"].removeprefix(COUNTER)): row["next"] for row in counts},
    )


def own_in_file(connection: sqlite3.Connection, blocks: Iterable[StatusBlock]) -> frozenset[str]:
    """Write who owns blocks of indexes to a registry file, in a transaction that waits for it.

    Returns:
        The owners that may get no tokens: they are disabled or deleted.
    """
    owners = set()
    for block in blocks:
        connection.execute(_OWN_IN_FILE, _row(block))
        owners.add(block.client_id)
    return frozenset(
        each for each in owners if not connection.execute(_ACTIVE_IN_FILE, (each,)).fetchone()
    )


async def own_on_server(
    connection: Any,  # noqa: ANN401
    blocks: Sequence[StatusBlock],
) -> frozenset[str]:
    """Write who owns blocks of indexes to PostgreSQL, in a transaction.

    Returns:
        The owners that may get no tokens: they are disabled or deleted, or are about to be changed.
    """
    if not blocks:
        return frozenset()
    owners = {block.client_id for block in blocks}
    active = await connection.fetch(_ACTIVE_ON_SERVER, list(owners))
    await connection.execute(_OWN_ON_SERVER, *map(list, zip(*map(_row, blocks), strict=True)))
    return frozenset(owners - {row["client_id"] for row in active})


def change_in_file(
    connection: sqlite3.Connection, changes: Iterable[tuple[Position, Status]]
) -> None:
    """Give tokens another status in a registry file, in a transaction that waits for the disk."""
    connection.executemany(
        _CHANGE_IN_FILE, ((*position, int(status)) for position, status in changes)
    )


async def change_on_server(
    connection: Any,  # noqa: ANN401
    changes: Sequence[tuple[Position, Status]],
) -> None:
    """Give tokens another status in PostgreSQL, at the end of a transaction."""
    if changes:
        await connection.execute(LOCK_CHANGES)
        rows = [(*position, int(status)) for position, status in changes]
        await connection.execute(_CHANGE_ON_SERVER, *map(list, zip(*rows, strict=True)))


def revoke_again(database: Database, ranges: Iterable[tuple[Position, int]]) -> None:
    """Write what was revoked to a database that has lost it; each range begins with a position."""
    rows = [(*first, size, int(Status.INVALID)) for first, size in ranges]
    lock = [(LOCK_CHANGES, [()])] if database.dialect == "postgresql" else []
    database.write_many(*lock, (_CHANGE_RANGE, rows))


def prune_status(database: Database, *, ended_by: int) -> None:
    """Remove what is known of buckets that have ended, some at a time.

    The counter of a bucket outlives it by `KEEP_COUNTERS`: while a clock that was set back may lead
    to the bucket again, no index of it is given twice.

    Args:
        database: the registry.
        ended_by: seconds since the epoch; all tokens of a bucket that ends later are left alone.
    """
    for prune in (_PRUNE_BLOCKS, _PRUNE_CHANGES):
        statement = Statement(prune, (ended_by // BUCKET, PRUNED_AT_ONCE))
        while len(database.write_one(statement)) == PRUNED_AT_ONCE:
            pass
    database.write_one(Statement(_PRUNE_COUNTERS, ((ended_by - KEEP_COUNTERS) // BUCKET,)))


def _row(block: StatusBlock) -> tuple[object, ...]:
    bucket, first, size, client_id, subject, resource, reserved_at = block
    other = None if subject == client_id else subject
    return bucket, first, size, client_id, other, resource, reserved_at
