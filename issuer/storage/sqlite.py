"""The registry in an SQLite file, which several processes may share.

WAL, so that readers never wait; `BEGIN IMMEDIATE` for writers, so that a transaction that has begun
can finish; a file that only its owner reads.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from issuer.registry.errors import StoreUnavailable
from issuer.storage.database import T, Work
from issuer.storage.database_url import SqliteFile
from keys.file_access import file_fault, folder_fault

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


class SqliteDatabase:
    """One database file, shared by the threads of a process. See `Database` for the methods.

    Args:
        place: the file.
        patience: seconds to wait for another process's transaction.
    """

    embedded = True
    lookups = 1  # a reading takes less time than handing it to a second thread

    def __init__(self, place: SqliteFile, *, patience: float) -> None:
        self._path = place.path
        self._patience = patience
        self._engine = _sqlite_engine(self._path, patience)
        self._writing = self._engine.execution_options(**{_WRITES: True})
        self._name = f"the registry database {self._path}"
        self._watch: Any = None
        self._opened = False

    def exists(self) -> bool:  # noqa: D102
        return self._path.exists()

    def read(self, work: Work[T]) -> T:  # noqa: D102
        return self._run(self._engine, work)

    def look(self, work: Work[T]) -> T:  # noqa: D102
        return self.read(work)  # a transaction costs microseconds here

    def follow(self, work: Work[T]) -> T:  # noqa: D102
        return self.read(work)  # connections are as many as there are threads

    def write(self, work: Work[T]) -> T:  # noqa: D102
        return self._run(self._writing, work)

    def change(self, work: Work[T]) -> T:  # noqa: D102
        return self.write(work)  # `BEGIN IMMEDIATE` lets one in at a time

    def version(self) -> int:
        """Ask `PRAGMA data_version` (https://sqlite.org/pragma.html#pragma_data_version).

        It tells of commits by other connections, so the one that asks never writes.
        """
        with self._explained():
            self._make_ready()
            if self._watch is None:
                self._watch = self._engine.raw_connection()
            row = self._watch.driver_connection.execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def watch(self, told: Callable[[], None]) -> None:
        """Do nothing: SQLite tells nobody, but asking for the version costs microseconds."""

    def close(self) -> None:  # noqa: D102
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._engine.dispose()

    def _run(self, engine: Engine, work: Work[T]) -> T:
        with self._explained():
            self._make_ready()
            with engine.begin() as connection:
                return work(connection)

    def _make_ready(self) -> None:
        if not self._opened:
            self._check_access()
            _make_private_file(self._path)
            self._use_write_ahead_log()
            self._opened = True

    def _check_access(self) -> None:
        """Refuse a file, or a folder of it, that another account could read or replace."""
        folder = self._path.absolute().parent
        faults = [folder_fault(folder, folder.stat(), private=False)] if folder.exists() else []
        for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite believes each of them
            path = self._path.with_name(self._path.name + suffix)
            with suppress(FileNotFoundError):
                faults.append(file_fault(path, path.stat()))
        if fault := next(filter(None, faults), None):
            raise StoreUnavailable(f"the registry database cannot be used: {fault}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._unavailable(error.orig) from None
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, cause: BaseException | None) -> StoreUnavailable:
        if isinstance(cause, OSError):
            return StoreUnavailable(f"{self._name} cannot be opened: {cause.strerror}")
        code = getattr(cause, "sqlite_errorcode", 0)
        # The low byte is the primary result code; the rest says where it came up.
        text = _CAUSES.get(code & 0xFF, f"cannot be used: {cause}")
        return StoreUnavailable(f"{self._name} {text}")

    def _use_write_ahead_log(self) -> None:
        """Switch the file to WAL; SQLite itself does not wait for others who do the same."""
        deadline = time.monotonic() + self._patience
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


def _sqlite_engine(path: Path, patience: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": patience},
        max_overflow=-1,  # as many as there are threads: none waits for what another holds
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
