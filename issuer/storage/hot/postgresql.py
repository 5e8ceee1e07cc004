"""The hot store in PostgreSQL: on the serving loop, one statement for the claims of a batch."""

import time
from collections.abc import Callable
from typing import Any

from issuer.storage.engines.postgresql import PostgresDatabase
from issuer.storage.engines.postgresql_connection import Connections
from issuer.storage.hot.batch import Batch, BatchedWrites, Sweep, Written

# In one order, so that two batches never wait for each other in a circle.
_CLAIM = """
INSERT INTO claims (digest, expires_at)
SELECT * FROM unnest($1::bytea[], $2::bigint[]) AS claim (digest, expires_at) ORDER BY digest
ON CONFLICT DO NOTHING RETURNING digest
"""
_RESERVE = """
INSERT INTO counters (name, next)
SELECT * FROM unnest($1::text[], $2::bigint[]) AS block (name, next) ORDER BY name
ON CONFLICT (name) DO UPDATE SET next = counters.next + excluded.next RETURNING name, next
"""
_SWEEP = """
WITH gone AS (SELECT digest FROM claims WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
DELETE FROM claims USING gone WHERE claims.digest = gone.digest
"""


class PostgresHotStore(BatchedWrites):
    """A `HotStore` in PostgreSQL, shared by all nodes, with a connection of its own.

    A claim and a block are as durable as the server's `synchronous_commit` makes a transaction: by
    default what was answered outlives a crash of the server.

    Args:
        database: where; it stays open.
        timeout: seconds to wait for an answer.
        now: the clock, seconds since the epoch.
    """

    def __init__(
        self, database: PostgresDatabase, *, timeout: float, now: Callable[[], int]
    ) -> None:
        super().__init__(self._write_to_server, timeout=timeout)
        self._database = database
        self._now = now
        self._sweep = Sweep()
        self._connections = Connections(database.connector, size=1)

    async def close(self) -> None:
        """Refuse what waits, wait for the batch under way and close the connection."""
        await super().close()
        await self._connections.close()

    async def _write_to_server(self, batch: Batch) -> Written:
        with self._database.explained():
            async with self._connections.use() as connection:
                if batch.claims:
                    await self._remove_expired(connection)
                if not batch.blocks:
                    return Written(await _claim(connection, batch), {})
                async with connection.transaction():  # two statements: both count or neither does
                    return Written(
                        await _claim(connection, batch), await _reserve(connection, batch)
                    )

    async def _remove_expired(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        at = time.monotonic()
        if self._sweep.is_due(at):
            status = await connection.execute(_SWEEP, self._now(), Sweep.MOST)
            self._sweep.done(at, removed=int(status.removeprefix("DELETE ")))


async def _claim(connection: Any, batch: Batch) -> frozenset[bytes]:  # noqa: ANN401
    rows = await connection.fetch(_CLAIM, list(batch.claims), list(batch.claims.values()))
    return frozenset(row["digest"] for row in rows)


async def _reserve(connection: Any, batch: Batch) -> dict[str, int]:  # noqa: ANN401
    rows = await connection.fetch(_RESERVE, list(batch.blocks), list(batch.blocks.values()))
    return {row["name"]: row["next"] - batch.blocks[row["name"]] for row in rows}
