"""Connections to PostgreSQL by asyncpg: to which server, with which options, and how many."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import asyncpg

from issuer.registry.errors import InvalidValue, StoreUnavailable
from issuer.storage.database_url import TLS_FILES, PostgresPlace

READ_ONLY = "25006"
SHARED_SESSION = "42P05"
"""Another client has prepared a statement in this session."""

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
    UnicodeError,  # a host whose name cannot be looked up
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server that ends between the messages of an exchange
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: what an operator can change.
_CAUSES = {
    "28P01": "refuses the user or password",
    "28000": "refuses the user or password",
    "3D000": "does not exist; make it: createdb",
    "42501": "does not let this user do that; grant it the schema",
    READ_ONLY: "is read-only, perhaps a standby; name the primary",
    "53100": "cannot grow: its disk is full; nothing was changed",
    "53300": "has no connection left; raise its max_connections",
    "57P03": "is starting up or shutting down; try again",
    "57P01": "is shutting down; try again",
    "55P03": "is being changed by another client; try again",
    "57014": "did not answer in time; try again",
    SHARED_SESSION: "is behind a pooler that shares sessions; set its pool_mode = session, or name"
    " the server itself",
}


class PostgresConnector:
    """Connects to the servers of one place, and explains their failures. Used on several loops.

    Args:
        place: the servers, how to connect, and the database.
        timeout: seconds to wait for an answer.
        reading: nothing is changed; a standby will do.

    Raises:
        InvalidValue: a file that the URL names cannot be read.
    """

    def __init__(self, place: PostgresPlace, *, timeout: float, reading: bool) -> None:
        for name in TLS_FILES:
            path = place.options.get(name, "")
            if path and path != "system" and not os.access(path, os.R_OK):
                raise InvalidValue(f"the database URL: the file that {name} names cannot be read")
        self.name = f"the registry database {place.shown}"
        self.timeout = timeout
        self.generation = 0
        """Counts the times that every connection had to be replaced."""
        self.only_primary = False
        """What a server says that is not the primary any more must not be believed."""
        self._place = place
        self._reading = reading
        self._has_own_sessions = False

    async def connect(self) -> Any:  # noqa: ANN401 - asyncpg has no types
        """Connect to the first server that answers and will do.

        A pooler that gives each transaction another session is refused: one client would run what
        another has prepared.
        """
        connection = await self._connect()
        if not self._has_own_sessions:
            try:
                await self._refuse_shared_session(connection)
            except BaseException:
                connection.terminate()
                raise
            self._has_own_sessions = True
        return connection

    async def _refuse_shared_session(self, connection: Any) -> None:  # noqa: ANN401
        session = "SELECT pg_backend_pid()"
        own = await connection.fetchval(session)
        if own == connection.get_server_pid():
            return  # no pooler is between: the server has told the same
        other = await self._connect()
        try:
            async with other.transaction():
                if await other.fetchval(session) == own:
                    raise asyncpg.DuplicatePreparedStatementError("the session is shared")
        finally:
            other.terminate()

    async def _connect(self) -> Any:  # noqa: ANN401
        # asyncpg would spend the time of all servers on the first that is silent.
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
            timeout=place.connect_seconds or min(self.timeout, _CONNECT_SECONDS),
            command_timeout=self.timeout,
            server_settings={"application_name": "watchword"} | settings,
        )

    def _wanted_server(self) -> str | None:
        if self._reading:
            return "any"
        if self.only_primary:
            return "read-write"
        return self._place.options.get("target_session_attrs")

    def unavailable(self, error: Exception) -> StoreUnavailable | None:
        """Say in one line why the database cannot be used; None if the error is none of its."""
        cause = getattr(error, "orig", None)  # SQLAlchemy wraps what the driver raises
        if cause is None and not isinstance(error, _FAILURES):
            return None
        cause = cause or error
        if isinstance(cause, TimeoutError):
            why = f"did not answer within {self.timeout:g} seconds; try again"
        elif isinstance(cause, UnicodeError):
            why = "cannot be reached: the host name is not valid"
        elif isinstance(cause, asyncpg.InternalClientError):
            why = "ended the connection in the middle of an exchange; try again"
        elif isinstance(cause, OSError):
            why = f"cannot be reached: {_reason(cause)}"
        else:
            first_line = str(cause).partition("\n")[0]
            why = _CAUSES.get(sqlstate(cause), f"cannot be used: {first_line}")
        return StoreUnavailable(f"{self.name} {why}")

    def read_only(self) -> StoreUnavailable:
        """Say that the server takes no changes."""
        return StoreUnavailable(f"{self.name} {_CAUSES[READ_ONLY]}")


class Connections:
    """Connections for one event loop, made when they are needed.

    A restart of the server fails no request: asyncpg notices the end of a connection, and one that
    has ended is replaced before it is used, without a question to the server.

    Args:
        connector: makes them.
        size: how many at the most.
        recycle: seconds after which one is replaced.
    """

    def __init__(
        self, connector: PostgresConnector, *, size: int, recycle: float = float("inf")
    ) -> None:
        self._connector = connector
        self._recycle = recycle
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Any, int, float]] = []

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Any]:
        """Take a connection, waiting for one that is free.

        Raises:
            TimeoutError: none became free in time.
        """
        async with asyncio.timeout(self._connector.timeout):
            await self._free.acquire()
        try:
            made = await self._take()
            try:
                yield made[0]
            except BaseException as error:
                # After an error of a statement it can be used again; a fatal one ends the session
                # (https://www.postgresql.org/docs/15/protocol-error-fields.html).
                if isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR":
                    self._idle.append(made)
                else:
                    made[0].terminate()
                raise
            self._idle.append(made)
        finally:
            self._free.release()

    async def _take(self) -> tuple[Any, int, float]:
        generation = self._connector.generation
        while self._idle:
            connection, born, at = made = self._idle.pop()
            old = born != generation or time.monotonic() - at >= self._recycle
            if not old and not connection.is_closed():
                return made
            connection.terminate()
        return await self._connector.connect(), generation, time.monotonic()

    async def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            connection = self._idle.pop()[0]
            with suppress(*_FAILURES):
                await connection.close(timeout=self._connector.timeout)


def sqlstate(cause: BaseException) -> str:
    """Return the code of an error that the server sent, or nothing."""
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")


def _reason(cause: OSError) -> str:
    return (cause.strerror or str(cause) or type(cause).__name__).lower()
