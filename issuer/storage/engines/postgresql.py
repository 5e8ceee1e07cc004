"""The registry in PostgreSQL, through asyncpg, behind the same synchronous door as SQLite.

asyncpg lives on an event loop of its own thread; SQLAlchemy's greenlets let one code run over it.
Changes to the registry take one lock each, so that numbers in the change feed are committed in
their order, and tell whoever listens.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import asyncpg
import sqlalchemy.dialects.postgresql.asyncpg  # noqa: F401 - SQLAlchemy would only at first use
from sqlalchemy import Connection, Engine, event, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from issuer.registry.errors import InvalidValue, StoreUnavailable
from issuer.storage.database_url import TLS_FILES, PostgresPlace
from issuer.storage.engines.database import T, Work
from issuer.storage.tables import registry_changes, registry_identity

CHANNEL = "watchword_registry"
_LOCK = 0x77617463  # names our lock among those of others in the database
_CONNECTIONS = 5
_RECONNECT_SECONDS = 1.0
_RECYCLE_SECONDS = 10.0
"""After which the change feed is asked for on a new connection: where does it lead now?"""

_CONNECT_SECONDS = 5.0
_SENT = ("application_name", "options")
"""Options of libpq that are sent to the server as they are."""

_NEXT_HOST = (
    OSError,
    UnicodeError,
    asyncpg.CannotConnectNowError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""After these libpq tries the next server of several; a wrong password is wrong everywhere."""

_FAILURES = (
    OSError,
    PoolExhausted,
    UnicodeError,  # a host whose name cannot be looked up
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: what an operator can mend.
_CAUSES = {
    "28P01": "refuses the user or password",
    "28000": "refuses the user or password",
    "3D000": "does not exist; make it: createdb",
    "42501": "does not let this user do that; grant it the schema",
    "25006": "is read-only, perhaps a standby; name the primary",
    "53100": "cannot grow: its disk is full; nothing was changed",
    "53300": "has no connection left; raise its max_connections",
    "57P03": "is starting up or shutting down; try again",
    "57P01": "is shutting down; try again",
    "55P03": "is being changed by somebody else; try again",
    "57014": "did not answer in time; try again",
}


_READ_ONLY = "25006"

_PLACE = """concat_ws(' ',
    extract(epoch from pg_postmaster_start_time()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    pg_relation_filenode('registry_changes'))"""
"""Names one run of one server, and in it the table as it was made or last emptied.

A standby that is promoted, and a server whose data were put back, are runs of their own; so a
timeline, which not every user may read, need not be known.
"""

_READ_ONLY_NOW = "current_setting('transaction_read_only') = 'on'"

_POLL = select(
    literal_column(_PLACE).label("place"),
    literal_column(_READ_ONLY_NOW).label("read_only"),
    select(registry_identity.c.value)
    .where(registry_identity.c.name == "epoch")
    .scalar_subquery()
    .label("epoch"),
    select(func.max(registry_changes.c.seq)).scalar_subquery().label("latest"),
)


class PostgresDatabase:
    """One database on a server, shared by the threads of a process. See `Database`.

    Args:
        place: the servers, how to connect, and the database.
        patience: seconds to wait for an answer.
        reading: nothing is changed; a standby will do.

    Raises:
        InvalidValue: a file that the URL names cannot be read.
    """

    embedded = False
    lookups = _CONNECTIONS - 1  # one is left for administration

    def __init__(self, place: PostgresPlace, *, patience: float, reading: bool = False) -> None:
        _check_files(place)
        self._name = f"the registry database {place.shown}"
        self._place = place
        self._read_only = {"default_transaction_read_only": "on"} if reading else {}
        self._patience = patience
        self._main = _Lane(self._connect, patience, connections=_CONNECTIONS)
        # Requests, whatever they wait for or work at, must not delay the news of a change.
        self._feed = _Lane(self._connect, patience, connections=1, recycle=_RECYCLE_SECONDS)
        self._listening: asyncio.Task[None] | None = None
        self._listen_anew = asyncio.Event()
        self._followed = False
        self._place_read: str | None = None

    async def _connect(self) -> Any:  # noqa: ANN401 - asyncpg has no types
        """Connect to the first server that answers and will do.

        asyncpg would spend the time of all of them on the first that is silent.
        """
        hosts = self._place.hosts
        try:
            for host, port in hosts[:-1]:
                with suppress(*_NEXT_HOST):
                    return await self._connect_to(host, port)
            return await self._connect_to(*(hosts[-1] if hosts else (None, None)))
        except asyncpg.TargetServerAttributeNotMatched:
            raise asyncpg.ReadOnlySQLTransactionError("no server takes changes") from None

    async def _connect_to(self, host: str | None, port: int | None) -> Any:  # noqa: ANN401
        place, options = self._place, self._place.options
        tls = place.tls_options
        system = tls.get("sslrootcert") == "system"  # libpq: the authorities that the system trusts
        settings = {name: options[name] for name in _SENT if options.get(name)}
        return await asyncpg.connect(
            # TLS options have no other way in; what is secret is in none of its messages.
            "postgresql:///" + ("" if system or not tls else "?" + urlencode(tls)),
            host=host,
            port=port,
            user=place.user,
            password=place.password,
            database=place.database,
            passfile=options.get("passfile"),
            ssl=True if system else None,
            target_session_attrs=self._wanted_server(),
            timeout=place.connect_seconds or min(self._patience, _CONNECT_SECONDS),
            command_timeout=self._patience,
            server_settings={"application_name": "watchword"} | settings | self._read_only,
        )

    def _wanted_server(self) -> str | None:
        if self._read_only:
            return "any"
        if self._followed:
            # What a server says that is not the primary any more must not be believed.
            return "read-write"
        return self._place.options.get("target_session_attrs")

    def exists(self) -> bool:
        """Tell that it does: databases on a server are made by whoever runs it."""
        return True

    def read(self, work: Work[T]) -> T:  # noqa: D102
        return self._call(self._main, work, self._main.reading)

    def look(self, work: Work[T]) -> T:
        """Save two round trips: no BEGIN, no COMMIT."""
        return self._call(self._main, work, self._main.looking)

    def follow(self, work: Work[T]) -> T:  # noqa: D102
        return self._call(self._feed, work, self._feed.reading)

    def write(self, work: Work[T]) -> T:  # noqa: D102
        return self._call(self._main, work, self._main.writing)

    def change(self, work: Work[T]) -> T:  # noqa: D102
        def locked(connection: Connection) -> T:
            # Sequences hand out numbers before the commit. Under one lock they are committed in
            # their order, so that no reader of the feed passes over one (the lock ends with the
            # transaction).
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            result = work(connection)
            connection.execute(text(f"NOTIFY {CHANNEL}"))  # sent with the commit
            return result

        return self.write(locked)

    def keep_copy(self, name: str) -> str | None:
        """Keep none: backups of a server are for its operator to make."""

    def version(self) -> object:
        """Ask for the number of the latest change, one step down an index, and whose it is."""
        self._followed = True
        try:
            row = self._call(self._feed, _poll, self._feed.looking)
            if row.read_only:
                raise StoreUnavailable(f"{self._name} {_CAUSES[_READ_ONLY]}")
        except StoreUnavailable:
            self._leave()
            raise
        if self._place_read not in (None, row.place):
            self._leave()
        self._place_read = row.place
        return row.place, row.epoch, row.latest

    def feed(self, connection: Connection) -> str:
        """Give the server's process and the table's file: neither outlives what is put back."""
        return str(connection.execute(select(literal_column(_PLACE))).scalar_one())

    def _leave(self) -> None:
        """Have every connection replaced before it is used again: another server may be in charge.

        After a failover those of before may still reach a server that was demoted or cut off.
        """
        self._main.renew()
        self._feed.renew()
        self._feed.soon(self._listen_anew.set)

    def watch(self, told: Callable[[], None]) -> None:  # noqa: D102
        async def start() -> None:
            self._listening = asyncio.create_task(self._listen(told))

        self._feed.finish(start())

    def close(self) -> None:  # noqa: D102
        if self._listening is not None:
            self._feed.finish(_end(self._listening))
            self._listening = None
        for lane in (self._main, self._feed):
            with suppress(StoreUnavailable), self._explained():
                lane.close()

    async def _listen(self, told: Callable[[], None]) -> None:
        """Listen for ever; whenever the connection is lost, make a new one."""
        while True:
            # Whatever it is, the reader's own looks go on meanwhile.
            with suppress(Exception):
                await self._listen_once(told)
            with suppress(Exception):
                told()  # something may have been missed
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self, told: Callable[[], None]) -> None:
        connection = await self._connect()
        lost = self._listen_anew
        lost.clear()
        try:
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: told())
            told()
            await lost.wait()
        finally:
            connection.terminate()

    def _call(self, lane: "_Lane", work: Work[T], engine: AsyncEngine) -> T:
        with self._explained():
            return lane.finish(_run(engine, work))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._unavailable(error.orig) from None
        except _FAILURES as error:
            raise self._unavailable(error) from None

    def _unavailable(self, cause: BaseException | None) -> StoreUnavailable:
        if isinstance(cause, TimeoutError | PoolExhausted):
            why = f"did not answer within {self._patience:g} seconds; try again"
        elif isinstance(cause, UnicodeError):
            why = "cannot be reached: a host name that cannot be"
        elif isinstance(cause, OSError):
            why = f"cannot be reached: {_reason(cause)}"
        else:
            state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", ""))
            if state == _READ_ONLY:
                self._leave()
            why = _CAUSES.get(state, f"cannot be used: {_first_line(cause)}")
        return StoreUnavailable(f"{self._name} {why}")


class _Lane:
    """Connections with an event loop and a thread of their own.

    Args:
        connect: makes one.
        patience: seconds to wait for one that is free.
        connections: how many at the most; they are made when they are needed.
        recycle: seconds after which one is replaced.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        patience: float,
        *,
        connections: int,
        recycle: float = -1,
    ) -> None:
        self._generation = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="postgresql", daemon=True)
        self._thread.start()
        self.writing = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=patience,
            pool_recycle=recycle,
            hide_parameters=True,  # secret hashes stay out of error texts
        )
        event.listen(self.writing.sync_engine, "connect", self._note_generation)
        event.listen(self.writing.sync_engine, "checkout", self._pass_over)
        # A transaction of several readings sees one state; those that write wait for each other
        # first, and must see what the one before has written.
        self.reading = self.writing.execution_options(isolation_level="REPEATABLE READ")
        self.looking = self.writing.execution_options(isolation_level="AUTOCOMMIT")

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to its end what needs the loop, and return the result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def soon(self, call: Callable[[], object]) -> None:
        """Have something called on the loop."""
        self._loop.call_soon_threadsafe(call)

    def renew(self) -> None:
        """Have each connection replaced when it is next to be used."""
        self._generation += 1

    def _note_generation(self, _connection: object, record: Any) -> None:  # noqa: ANN401
        record.info["generation"] = self._generation

    def _pass_over(self, connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401
        """Have the pool replace a connection that is gone: a restart costs nobody a request.

        asyncpg hears of the end by itself, so no question to the server is needed each time.
        """
        renewed = record.info["generation"] != self._generation
        if renewed or connection.driver_connection.is_closed():
            raise DisconnectionError

    def close(self) -> None:
        """Close the connections and end the thread; nothing to do if that was done."""
        if self._loop.is_closed():
            return
        try:
            self.finish(self.writing.dispose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _check_files(place: PostgresPlace) -> None:
    for name in TLS_FILES:
        path = place.options.get(name, "")
        if path and path != "system" and not os.access(path, os.R_OK):
            raise InvalidValue(f"the database URL: the file that {name} names cannot be read")


def _poll(connection: Connection) -> Any:  # noqa: ANN401 - a row
    return connection.execute(_POLL).one()


async def _run(engine: AsyncEngine, work: Work[T]) -> T:
    # All in one greenlet: `AsyncEngine.begin` takes one for each of its steps.
    return await greenlet_spawn(_work, engine.sync_engine, work)


def _work(engine: Engine, work: Work[T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _reason(cause: OSError) -> str:
    return (cause.strerror or str(cause) or type(cause).__name__).lower()


def _first_line(cause: BaseException | None) -> str:
    return str(cause).partition("\n")[0]
