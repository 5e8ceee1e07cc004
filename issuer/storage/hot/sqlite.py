"""The hot store in an SQLite file: one thread, one transaction a batch."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from issuer.storage.engines.sqlite import SqliteDatabase
from issuer.storage.hot.batch import Batch, BatchedWrites, Sweep, Written

_CLAIM = "INSERT INTO claims (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
_RESERVE = """
INSERT INTO counters (name, next) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET next = counters.next + excluded.next RETURNING next
"""
_SWEEP = """
DELETE FROM claims WHERE digest IN (SELECT digest FROM claims WHERE expires_at <= ? LIMIT ?)
"""


class SqliteHotStore(BatchedWrites):
    """A `HotStore` in a registry file, shared by the processes of one machine.

    A claim is written with `synchronous=NORMAL`: it outlives every end of the process, but a power
    cut or a crash of the operating system may undo the claims of the last moments before it. A
    batch that reserves numbers waits for the disk, so that no number is ever given twice.

    Args:
        database: the file; it stays open.
        timeout: seconds to wait for other processes' transactions.
        now: the clock, seconds since the epoch.
    """

    def __init__(self, database: SqliteDatabase, *, timeout: float, now: Callable[[], int]) -> None:
        super().__init__(self._on_thread, timeout=2 * timeout)
        self._database = database
        self._now = now
        self._sweep = Sweep()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hot-store")

    async def close(self) -> None:
        """Refuse what waits, wait for the batch under way and end the thread."""
        await super().close()
        self._thread.shutdown()

    async def _on_thread(self, batch: Batch) -> Written:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._write_now, batch
        )

    def _write_now(self, batch: Batch) -> Written:
        durable = bool(batch.blocks)
        with self._database.transaction("BEGIN IMMEDIATE", durable=durable) as connection:
            at = time.monotonic()
            if batch.claims and self._sweep.is_due(at):
                removed = connection.execute(_SWEEP, (self._now(), Sweep.MOST)).rowcount
                self._sweep.done(at, removed)
            claimed = frozenset(
                digest
                for digest, until in batch.claims.items()
                if connection.execute(_CLAIM, (digest, until)).rowcount
            )
            firsts = {
                name: int(connection.execute(_RESERVE, (name, count)).fetchone()[0]) - count
                for name, count in batch.blocks.items()
            }
        return Written(claimed, firsts)
