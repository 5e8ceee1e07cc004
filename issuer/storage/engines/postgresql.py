"""The registry in PostgreSQL, through asyncpg, with the same synchronous methods as SQLite.

asyncpg runs on event loops in threads of their own. Changes to the registry take one lock each, so
that numbers in the change feed are committed in their order, and notify all that listen.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING, Any

from issuer.registry.errors import StoreUnavailable
from issuer.storage.database_url import PostgresPlace
from issuer.storage.engines.database import (
    CHANGE_LOCK,
    SERVER_RUN,
    SERVING_LOCK,
    Rows,
    Statement,
    T,
    Work,
)
from issuer.storage.engines.postgresql_connection import (
    READ_ONLY,
    Connections,
    PostgresConnector,
    sqlstate,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from issuer.storage.engines.sqlalchemy_postgresql import PostgresEngine

CHANNEL = "watchword_registry"
_CONNECTIONS = 3
_RECONNECT_SECONDS = 1.0
_RECYCLE_SECONDS = 10.0
"""After which the change feed is asked for on a new connection: where does it lead now?"""

_WHERE = Statement(f"SELECT {SERVER_RUN} AS place")
_POLL = Statement(
    f"""SELECT {SERVER_RUN} AS place, current_setting('transaction_read_only') = 'on' AS read_only,
    (SELECT value FROM registry_identity WHERE name = 'epoch') AS epoch,
    (SELECT max(seq) FROM registry_changes) AS latest"""  # noqa: S608 - no input
)


class PostgresDatabase:
    """One database on a server, shared by the threads of a process. See `Database`.

    Args:
        place: the servers, how to connect, and the database.
        timeout: seconds to wait for an answer.
        reading: nothing is changed; a standby will do.

    Raises:
        InvalidValue: a file that the URL names cannot be read.
    """

    dialect = "postgresql"
    auto_migrate = False
    read_concurrency = _CONNECTIONS

    def __init__(self, place: PostgresPlace, *, timeout: float, reading: bool = False) -> None:
        self.connector = PostgresConnector(place, timeout=timeout, reading=reading)
        self._reading = reading
        self._main = _LoopThread()
        self._plain = Connections(self.connector, size=_CONNECTIONS)
        # Requests, whatever they wait for or work at, must not delay the news of a change.
        self._feed = _LoopThread()
        self._followed = Connections(self.connector, size=1, recycle=_RECYCLE_SECONDS)
        self._listening: asyncio.Task[None] | None = None
        self._listen_anew = asyncio.Event()
        self._place_read: str | None = None

    def exists(self) -> bool:
        """Return true: the operator of the server makes the database."""
        return True

    def read_one(self, statement: Statement) -> Rows:
        """Save two round trips: no BEGIN, no COMMIT."""
        return self._finish(self._main, _run_one(self._plain, statement))

    def write_one(self, statement: Statement) -> Rows:  # noqa: D102
        self._refuse_if_reading()
        return self.read_one(statement)

    def write_many(self, *writes: tuple[str, Iterable[Sequence[object]]]) -> None:  # noqa: D102
        self._refuse_if_reading()
        self._finish(self._main, _run_many(self._plain, writes))

    def follow(self, *statements: Statement) -> tuple[str, list[Rows]]:  # noqa: D102
        where, *rows = self._finish(self._feed, _run_all(self._followed, (_WHERE, *statements)))
        return where[0]["place"], rows

    def follow_one(self, statement: Statement) -> Rows:  # noqa: D102
        return self._finish(self._feed, _run_one(self._followed, statement))

    @contextmanager
    def exclusive(self, table: str) -> Iterator[Callable[[Statement], Rows]]:  # noqa: D102
        self._refuse_if_reading()
        held = AsyncExitStack()

        async def begin() -> Any:  # noqa: ANN401 - asyncpg has no types
            connection = await held.enter_async_context(self._plain.use())
            await held.enter_async_context(connection.transaction())
            # https://www.postgresql.org/docs/current/explicit-locking.html: all but readers wait.
            await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            return connection

        try:
            connection = self._finish(self._main, begin())
            yield lambda statement: self._finish(self._main, _run(connection, statement))
        except BaseException as error:
            self._finish(self._main, held.__aexit__(type(error), error, error.__traceback__))
            raise
        self._finish(self._main, held.aclose())

    def read(self, work: Work[T]) -> T:  # noqa: D102
        return self._finish(self._main, self._engine.read(work))

    def change(self, work: Work[T]) -> T:  # noqa: D102
        def locked(connection: "Connection") -> T:
            # Sequences hand out numbers before the commit. Under one lock they are committed in
            # their order, so that no reader of the feed passes over one (the lock ends with the
            # transaction).
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CHANGE_LOCK})")
            result = work(connection)
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}")  # sent with the commit
            return result

        self._refuse_if_reading()
        return self._finish(self._main, self._engine.write(locked))

    def _refuse_if_reading(self) -> None:
        # Not a setting of the session: poolers know none that they could keep for this client.
        if self._reading:
            raise self.connector.read_only()

    def keep_copy(self, name: str) -> None:
        """Keep none: backups of a server are for its operator to make."""

    def version(self) -> object:
        """Ask for the number of the latest change, one step down an index, and whose it is."""
        self.connector.only_primary = True
        try:
            row = self.follow_one(_POLL)[0]
            if row["read_only"]:
                raise self.connector.read_only()
        except StoreUnavailable:
            self._leave()
            raise
        if self._place_read not in (None, row["place"]):
            self._leave()
        self._place_read = row["place"]
        return row["place"], row["epoch"], row["latest"]

    def _leave(self) -> None:
        """Have every connection replaced before it is used again: another server may be in charge.

        After a failover those of before may still reach a server that was demoted or cut off.
        """
        self.connector.generation += 1
        self._feed.soon(self._listen_anew.set)

    def watch(self, on_change: Callable[[], None]) -> None:  # noqa: D102
        async def start() -> None:
            self._listening = asyncio.create_task(self._listen(on_change))

        self._feed.finish(start())

    def close(self) -> None:
        """Close the connections and end the threads; nothing to do if that was done."""
        if self._listening is not None:
            self._feed.finish(_end(self._listening))
            self._listening = None
        with suppress(StoreUnavailable):
            if "_engine" in self.__dict__ and not self._main.closed:
                self._finish(self._main, self._engine.close())
        self._main.close(self._plain.close)
        self._feed.close(self._followed.close)

    @cached_property
    def _engine(self) -> "PostgresEngine":
        from issuer.storage.engines.sqlalchemy_postgresql import PostgresEngine

        return PostgresEngine(self.connector)

    async def _listen(self, on_change: Callable[[], None]) -> None:
        """Listen until cancelled; whenever the connection is lost, make a new one."""
        task = asyncio.current_task()
        # A wait for a connection may swallow the cancellation (python/cpython#86296).
        while task is not None and not task.cancelling():
            # Whatever it is, the reader's own looks go on meanwhile.
            with suppress(Exception):
                await self._listen_once(on_change)
            with suppress(Exception):
                on_change()  # something may have been missed
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self, on_change: Callable[[], None]) -> None:
        connection = await self.connector.connect()
        lost = self._listen_anew
        lost.clear()
        try:
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: on_change())
            await connection.execute(f"SELECT pg_try_advisory_lock_shared({SERVING_LOCK})")
            on_change()
            await lost.wait()
        finally:
            connection.terminate()

    def _finish(self, thread: "_LoopThread", work: Coroutine[Any, Any, T]) -> T:
        with self.explained():
            return thread.finish(work)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn every failure of the database into one clear line.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        try:
            yield
        except Exception as error:
            unavailable = self.connector.unavailable(error)
            if unavailable is None:
                raise
            if sqlstate(getattr(error, "orig", error)) == READ_ONLY:
                self._leave()
            raise unavailable from None


class _LoopThread:
    """An event loop that runs on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="postgresql", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._loop.is_closed()

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to its end what needs the loop, and return the result.

        Raises:
            StoreUnavailable: the loop has ended.
        """
        try:
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise StoreUnavailable("the registry database is closed") from None
        return running.result()

    def soon(self, call: Callable[[], object]) -> None:
        """Have something called on the loop."""
        self._loop.call_soon_threadsafe(call)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what comes last, and end the loop and the thread, unless that was done."""
        if self._loop.is_closed():
            return
        try:
            self.finish(last())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _run_one(connections: Connections, statement: Statement) -> Rows:
    async with connections.use() as connection:
        return await _run(connection, statement)


async def _run(connection: Any, statement: Statement) -> Rows:  # noqa: ANN401
    rows: Rows = await connection.fetch(statement.sql, *statement.arguments)
    return rows


async def _run_all(connections: Connections, statements: Sequence[Statement]) -> list[Rows]:
    async with (
        connections.use() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),  # one state
    ):
        return [await connection.fetch(each.sql, *each.arguments) for each in statements]


async def _run_many(
    connections: Connections, writes: Sequence[tuple[str, Iterable[Sequence[object]]]]
) -> None:
    async with connections.use() as connection, connection.transaction():
        for sql, rows in writes:
            await connection.executemany(sql, rows)
