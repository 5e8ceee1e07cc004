"""Write in batches: what is asked for in one turn of the event loop goes to the database together.

A transaction, and the way to the database and back, cost many times what one row in it costs. While
a batch is under way the next one fills.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, StatusBlock
from issuer.storage.engines.database import Database
from issuer.storage.engines.sqlite import SqliteDatabase
from issuer.storage.expiring import (
    Sweep,
    claim_in_file,
    claim_on_server,
    count_in_file,
    count_on_server,
    sweep_file,
    sweep_server,
)
from issuer.storage.reservation import reserve_on_server
from issuer.storage.status import change_in_file, change_on_server, own_in_file, own_on_server
from keys.replay import claim_digest

if TYPE_CHECKING:
    from issuer.storage.engines.postgresql import PostgresDatabase

BATCH = 256
"""Rows that one batch writes at the most."""

MAX_WAITING = 2_048
"""Calls that wait; further ones are refused at once."""

MAX_BLOCK = 2**31
"""Numbers that one call may reserve."""


@dataclass(slots=True)
class Batch:
    """What is written together.

    Args:
        claims: by the digest of scope and id, until when each is claimed; no digest comes twice.
        blocks: how many numbers are reserved of each counter.
        owned: blocks whose owners are written.
        statuses: positions with their new status, in the order of the changes.
        counts: by the digest of scope and id, what is added to each count, and until when it is
            kept.
    """

    claims: dict[bytes, int] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)
    owned: list[StatusBlock] = field(default_factory=list)
    statuses: list[tuple[Position, Status]] = field(default_factory=list)
    counts: dict[bytes, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch came to.

    Args:
        claimed: the digests whose claims succeeded.
        firsts: the first number of each block, by its counter.
        ended: the owners of blocks that may get no tokens.
        counted: what each count came to, by its digest.
    """

    claimed: frozenset[bytes]
    firsts: Mapping[str, int]
    ended: frozenset[str] = frozenset()
    counted: Mapping[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Claim:
    digest: bytes
    until: int

    def join(self, batch: Batch) -> Callable[[Written], bool]:
        # Of one id twice in a batch the database would know one: the first takes it.
        first = self.digest not in batch.claims
        batch.claims.setdefault(self.digest, self.until)
        return lambda written: first and self.digest in written.claimed


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    count: int

    def join(self, batch: Batch) -> Callable[[Written], int]:
        before = batch.blocks.get(self.name, 0)
        batch.blocks[self.name] = before + self.count
        return lambda written: written.firsts[self.name] + before


@dataclass(frozen=True, slots=True)
class _Owner:
    block: StatusBlock

    def join(self, batch: Batch) -> Callable[[Written], bool]:
        batch.owned.append(self.block)
        return lambda written: self.block.client_id in written.ended


@dataclass(frozen=True, slots=True)
class _Change:
    position: Position
    status: Status

    def join(self, batch: Batch) -> Callable[[Written], None]:
        batch.statuses.append((self.position, self.status))
        return lambda written: None


@dataclass(frozen=True, slots=True)
class _Count:
    digest: bytes
    by: int
    until: int

    def join(self, batch: Batch) -> Callable[[Written], int]:
        before, _ = batch.counts.get(self.digest, (0, 0))
        batch.counts[self.digest] = before + self.by, self.until
        return lambda written: written.counted[self.digest]


_Call = _Claim | _Block | _Owner | _Change | _Count


class BatchedWrites:
    """A `HotStore` over what writes a batch at a time. All calls come from one event loop.

    Args:
        open_store: gives that to the first batch; if it raises, the next batch tries again.
    """

    def __init__(self, open_store: "Callable[[], SqliteHotStore | PostgresHotStore]") -> None:
        self._open_store = open_store
        self._store: SqliteHotStore | PostgresHotStore | None = None
        self._waiting: deque[tuple[_Call, asyncio.Future[Any]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `HotStore`."""
        return bool(await self._enter(_Claim(claim_digest(scope, id), until)))

    async def reserve(self, name: str, count: int) -> int:
        """Reserve a block of numbers; see `HotStore`."""
        if not 1 <= count <= MAX_BLOCK:
            raise ValueError(f"a block has 1 to {MAX_BLOCK} numbers")
        return int(await self._enter(_Block(name, count)))

    async def own(self, block: StatusBlock) -> bool:
        """Write who owns a block; see `HotStore`."""
        return bool(await self._enter(_Owner(block)))

    async def set_status(self, position: Position, status: Status) -> None:
        """Give a token another status; see `HotStore`."""
        await self._enter(_Change(position, status))

    async def count(self, scope: str, id: str, by: int, until: int) -> int:
        """Add to a count; see `HotStore`."""
        return int(await self._enter(_Count(claim_digest(scope, id), by, until)))

    async def close(self) -> None:
        """Refuse what waits and what still comes; wait for the batch that is under way."""
        self._closed = True
        self._fail_waiting("the registry database is closed")
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._store is not None:
            await self._store.close()

    def _enter(self, call: _Call) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreUnavailable("the registry database is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many writes wait for the registry database")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._writing is None:
            # The task begins with the next turn: all calls of this one are in its first batch.
            self._writing = asyncio.create_task(self._write_all())
        return future

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write_batch()
        finally:
            self._writing = None

    async def _write_batch(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        batch = Batch()
        # A future that is done is of a caller that was cancelled.
        answers = {future: call.join(batch) for call, future in calls if not future.done()}
        try:
            if self._store is None:
                self._store = self._open_store()
            async with asyncio.timeout(self._store.timeout):
                written = await self._store.write(batch)
        except TimeoutError:
            _fail(answers, StoreUnavailable("the registry database did not answer in time"))
        except Exception as error:
            _fail(answers, error)
        except BaseException:
            # The task is cancelled: no caller may wait for it for ever.
            _fail(answers, StoreUnavailable("the write was cancelled"))
            self._fail_waiting("the write was cancelled")
            raise
        else:
            for future, answer in answers.items():
                if not future.done():
                    future.set_result(answer(written))

    def _fail_waiting(self, why: str) -> None:
        _fail([future for _, future in self._waiting], StoreUnavailable(why))
        self._waiting.clear()


def _fail(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


_SQLITE_RESERVE = """
INSERT INTO counters (name, next) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET next = counters.next + excluded.next RETURNING next
"""


class SqliteHotStore:
    """Writes batches to a registry file, shared by the processes of one machine.

    A claim is written with `synchronous=NORMAL`: it outlives every end of the process, but a power
    cut or a crash of the operating system may undo the claims of the last moments before it. A
    batch that reserves numbers, says who owns them or changes statuses waits for the disk, so that
    no number is ever given twice, none is without an owner, and what was revoked stays so.

    Args:
        database: the file; it stays open.
        timeout: seconds to wait for other processes' transactions.
        now: the clock, seconds since the epoch.
    """

    def __init__(self, database: SqliteDatabase, *, timeout: float, now: Callable[[], int]) -> None:
        self.timeout = 2 * timeout
        self._database = database
        self._now = now
        self._sweep = Sweep()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hot-store")

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    async def write(self, batch: Batch) -> Written:
        """Write all of a batch, or nothing."""
        return await asyncio.wrap_future(self._thread.submit(self._write_now, batch))

    def _write_now(self, batch: Batch) -> Written:
        durable = bool(batch.blocks or batch.owned or batch.statuses)
        with self._database.transaction("BEGIN IMMEDIATE", durable=durable) as connection:
            at = time.monotonic()
            if (batch.claims or batch.counts) and self._sweep.is_due(at):
                self._sweep.done(at, sweep_file(connection, self._now(), Sweep.MOST))
            claimed = claim_in_file(connection, batch.claims)
            counted = count_in_file(connection, batch.counts)
            firsts = {
                name: int(connection.execute(_SQLITE_RESERVE, (name, count)).fetchone()[0]) - count
                for name, count in batch.blocks.items()
            }
            ended = own_in_file(connection, batch.owned)
            change_in_file(connection, batch.statuses)
        return Written(claimed, firsts, ended, counted)


class PostgresHotStore:
    """Writes batches to PostgreSQL, shared by all nodes, by a connection of its own.

    A claim and a block are as durable as the server's `synchronous_commit` makes a transaction: by
    default what was answered outlives a crash of the server. No number is given twice even so.

    Args:
        database: where; it stays open.
        timeout: seconds to wait for an answer.
        now: the clock, seconds since the epoch.
    """

    def __init__(
        self, database: "PostgresDatabase", *, timeout: float, now: Callable[[], int]
    ) -> None:
        from issuer.storage.engines.postgresql_connection import Connections  # with its driver

        self.timeout = timeout
        self._database = database
        self._now = now
        self._sweep = Sweep()
        self._connections = Connections(database.connector, size=1)

    async def close(self) -> None:
        """Close the connection."""
        await self._connections.close()

    async def write(self, batch: Batch) -> Written:
        """Write all of a batch, or nothing."""
        with self._database.explained():
            async with self._connections.use() as connection:
                if batch.claims or batch.counts:
                    await self._remove_expired(connection)
                if not (batch.blocks or batch.owned or batch.statuses or batch.counts):
                    return Written(await claim_on_server(connection, batch.claims), {})
                async with connection.transaction():  # all statements count, or none does
                    ended = await own_on_server(connection, batch.owned)
                    written = Written(
                        await claim_on_server(connection, batch.claims),
                        await reserve_on_server(connection, batch.blocks),
                        ended,
                        await count_on_server(connection, batch.counts),
                    )
                    await change_on_server(connection, batch.statuses)  # last: it takes a lock
                    return written

    async def _remove_expired(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        at = time.monotonic()
        if self._sweep.is_due(at):
            self._sweep.done(at, await sweep_server(connection, self._now(), Sweep.MOST))


def open_hot_store(
    database: Callable[[], Database], *, timeout: float, now: Callable[[], int]
) -> BatchedWrites:
    """Return the `HotStore` of a database, to be used and closed on one event loop.

    Args:
        database: gives that of `open_database`, or raises; it stays open.
        timeout: seconds to wait for other processes' transactions, and for an answer.
        now: the clock, seconds since the epoch.
    """

    def open_store() -> SqliteHotStore | PostgresHotStore:
        opened = database()
        if isinstance(opened, SqliteDatabase):
            return SqliteHotStore(opened, timeout=timeout, now=now)
        return PostgresHotStore(cast("PostgresDatabase", opened), timeout=timeout, now=now)

    return BatchedWrites(open_store)
