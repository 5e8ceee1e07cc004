"""Open the registry database and run transactions on it: all that differs between engines.

SQLite: WAL, so that readers never wait; `BEGIN IMMEDIATE` for writers, so that a transaction that
has begun can finish; a file that only its owner reads.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from issuer.registry.errors import InvalidValue, RegistryError, StoreUnavailable

_RETRY_SECONDS = 0.02
_WRITES = "watchword_writes"
"""Execution option of transactions that will write."""

# Result codes (https://sqlite.org/rescode.html) whose cause an operator can mend.
_CAUSES = {
    sqlite3.SQLITE_BUSY: "is locked by another process; try again",
    sqlite3.SQLITE_LOCKED: "is locked by another process; try again",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full; nothing was changed",
    sqlite3.SQLITE_READONLY: "cannot be written: the file or its folder is read-only",
    sqlite3.SQLITE_NOTADB: "is not a database; restore it from a backup or move it away",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder can be written",
    sqlite3.SQLITE_IOERR: "cannot be read or written: input/output error; check the disk",
}


class Database:
    """One registry database, shared by the threads of a process.

    Every failure of the database leaves as `StoreUnavailable`, one clear line.
    """

    def __init__(self, engine: Engine, *, name: str) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self._name = name
        self._watch: Any = None

    @classmethod
    def open(cls, url: str, *, busy_timeout: float) -> Self:
        """Open the database that `url` names, making an empty one if there is none.

        Args:
            url: `sqlite:///PATH`; four slashes for an absolute path.
            busy_timeout: seconds to wait for another process's transaction.

        Raises:
            InvalidValue: the URL is not understood or its engine is not available.
            StoreUnavailable: the database cannot be opened.
        """
        path = sqlite_path(url)
        database = cls(_sqlite_engine(path, busy_timeout), name=f"the registry database {path}")
        with database._explained():
            _make_private_file(path)
            database._use_write_ahead_log(busy_timeout)
        return database

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a transaction that sees one state of the database throughout."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a transaction that changes everything in it or nothing."""
        with self._explained(), self._writing.begin() as connection:
            yield connection

    def version(self) -> int:
        """Give a number that moves with every commit, by this process or another.

        `PRAGMA data_version` tells of commits by other connections, so the one that asks never
        writes (https://sqlite.org/pragma.html#pragma_data_version).
        """
        with self._explained():
            if self._watch is None:
                self._watch = self._engine.raw_connection()
            row = self._watch.driver_connection.execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def close(self) -> None:
        """Give back the file handles."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._unavailable(error.orig) from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, cause: BaseException | None) -> RegistryError:
        if isinstance(cause, OSError):
            return StoreUnavailable(f"{self._name} cannot be opened: {cause.strerror}")
        code = getattr(cause, "sqlite_errorcode", 0)
        # The low byte is the primary result code; the rest says where it came up.
        text = _CAUSES.get(code & 0xFF, f"cannot be used: {cause}")
        return StoreUnavailable(f"{self._name} {text}")

    def _use_write_ahead_log(self, patience: float) -> None:
        """Switch the file to WAL; SQLite itself does not wait for others who do the same."""
        deadline = time.monotonic() + patience
        connection = self._engine.raw_connection()
        try:
            while True:
                try:
                    connection.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    if time.monotonic() >= deadline:
                        raise
                time.sleep(_RETRY_SECONDS)
        finally:
            connection.close()


def sqlite_path(url: str) -> Path:
    """Return the file that a `sqlite:///…` URL names.

    Raises:
        InvalidValue: the URL is not understood, has no file, or is for another engine.
    """
    try:
        parsed = make_url(url)
        engine = parsed.get_backend_name()
    except ArgumentError:
        raise InvalidValue("the database URL is not understood; use sqlite:///PATH") from None
    if engine == "postgresql":
        raise InvalidValue("PostgreSQL is not available yet; use a sqlite:///PATH database URL")
    if engine != "sqlite":
        raise InvalidValue(f"no database engine {engine!a}; use a sqlite:///PATH database URL")
    if parsed.query or not parsed.database or parsed.database == ":memory:":
        raise InvalidValue("the database URL must name a file: sqlite:///PATH")
    return Path(parsed.database)


def _sqlite_engine(path: Path, busy_timeout: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": busy_timeout},
        hide_parameters=True,  # secret hashes stay out of error texts
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    # By default the driver leaves DDL and reads outside the transaction; `_begin` opens it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # A deferred transaction that turns into a writer can fail halfway, when another has written
    # since its first read. IMMEDIATE takes the write lock at once, waiting up to the busy timeout.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return  # opening it here would, on closing, drop the locks of this process's connections
    os.close(handle)
