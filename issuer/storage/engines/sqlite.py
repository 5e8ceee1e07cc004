"""The registry in an SQLite file, which several processes may share.

WAL, so that readers never wait; `BEGIN IMMEDIATE` for writers, so that a transaction that has begun
can finish; a file that only its owner reads.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from issuer.registry.errors import StoreUnavailable
from issuer.storage.database_url import SqliteFile
from issuer.storage.engines.database import T, Work
from keys.stores.file_access import file_fault, folder_fault, folders_above

_RETRY_SECONDS = 0.02
_WRITES = "watchword_writes"
"""Execution option of transactions that will write."""

IN_MEMORY = SqliteFile(Path(":memory:"))
"""A database that is gone with the thread that uses it."""

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
        reading: nothing is made or changed; the file must be there.
    """

    embedded = True
    lookups = 1  # a reading takes less time than handing it to a second thread

    def __init__(self, place: SqliteFile, *, patience: float, reading: bool = False) -> None:
        self._path = place.path
        self._patience = patience
        self._engine = _sqlite_engine(self._path, patience, reading=reading)
        self._writing = self._engine.execution_options(**{_WRITES: True})
        self._name = f"the registry database {self._path}"
        self._watch: Any = None
        self._reading = reading
        # The file that the connections are on; a path may come to name another one.
        self._file: _FileId | None = None
        self._log: _FileId | None = None
        self._opening = RLock()

    def exists(self) -> bool:  # noqa: D102
        with self._explained():
            return SqliteFile(self._path).is_there()

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

    def keep_copy(self, name: str) -> str:
        """Copy the database to a file beside it, for its owner alone; an older copy goes."""
        kept = self._path.with_name(f"{self._path.name}.{name}")
        begun = kept.with_name(f"{kept.name}.{os.getpid()}")
        with self._explained():
            copy_sqlite(self._path, begun)
            begun.replace(kept)
        return str(kept)

    def version(self) -> object:
        """Ask `PRAGMA data_version` (https://sqlite.org/pragma.html#pragma_data_version).

        It tells of commits by other connections, so the one that asks never writes.
        """
        with self._explained(), self._opening:
            file = self._make_ready()
            if self._watch is None:
                self._watch = self._engine.raw_connection()
            row = self._watch.driver_connection.execute("PRAGMA data_version").fetchone()
            self._log = _file_id(self._beside("-wal"))
            self._check_still_there(file)
            return file, int(row[0])

    def feed(self, connection: Connection) -> str:
        """Give device and inode: the path may come to name another file."""
        return "{}:{}".format(*self._file) if self._file else ""

    def watch(self, told: Callable[[], None]) -> None:
        """Do nothing: SQLite tells nobody, but asking for the version costs microseconds."""

    def close(self) -> None:  # noqa: D102
        with self._opening:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
            self._engine.dispose()

    def _run(self, engine: Engine, work: Work[T]) -> T:
        with self._explained():
            file = self._make_ready()
            with engine.begin() as connection:
                result = work(connection)
            self._check_still_there(file)
            return result

    def _make_ready(self) -> "_FileId":
        """Open the file that the path names now; one that was there before is never made anew."""
        if self._path == IN_MEMORY.path:
            return _NO_FILE
        with self._opening:
            named = _file_id(self._path)
            if named is None and self._file is not None:
                raise StoreUnavailable(
                    f"{self._name} was deleted or moved while it was in use; put it back"
                )
            if named is None or named != self._file:
                named = self._file = self._open()
            return named

    def _open(self) -> "_FileId":
        if self._file is not None:
            self._leave()
        self._check_access()
        if not self._reading:
            _make_private_file(self._path.resolve())
            self._use_write_ahead_log()
        file = _file_id(self._path)
        if file is None:
            raise StoreUnavailable(f"{self._name} is not there; put it back")
        return file

    def _leave(self) -> None:
        """Leave the file that was here, whose log must not be taken for that of the new one."""
        with _one_at_a_time(self._path.parent):
            if self._log is not None and _file_id(self._beside("-wal")) == self._log:
                self._beside("-wal").unlink()
                self._beside("-shm").unlink(missing_ok=True)
        self.close()

    def _beside(self, suffix: str) -> Path:
        """Name a file of SQLite beside the database: where links lead, not beside the link."""
        path = self._path.resolve()
        return path.with_name(path.name + suffix)

    def _check_still_there(self, file: "_FileId") -> None:
        """Refuse what was read from or written to a file that is not there any more."""
        if file != _NO_FILE and _file_id(self._path) != file:
            raise StoreUnavailable(
                f"{self._name} was deleted or replaced at this moment; nothing written counts"
            )

    def _check_access(self) -> None:
        """Refuse a file, or a folder of it, that another account could read or replace."""
        folders = [folder for folder in folders_above(self._path) if folder.exists()]
        faults = [folder_fault(folder, folder.stat(), private=False) for folder in folders]
        for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite believes each of them
            path = self._beside(suffix)
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


_FileId = tuple[int, int]
"""Device and inode: while a file is open, no other has the same."""

_NO_FILE: _FileId = (0, 0)
"""Of a database in memory."""


def _file_id(path: Path) -> _FileId | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time look at a log and remove it: the next may be that of a new file."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database as it was last committed, log included, to a new file for its owner alone.

    Raises:
        OSError, sqlite3.Error: it cannot be read or written; nothing is left of the copy.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with (
            closing(sqlite3.connect(_uri(source), uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
    except BaseException:
        target.unlink()
        raise


def _uri(path: Path) -> str:
    return path.absolute().as_uri() + "?mode=rw"  # `rw` makes no file, unlike the default


def _sqlite_engine(path: Path, patience: float, *, reading: bool) -> Engine:
    def open_existing() -> sqlite3.Connection:
        # `mode=ro` would leave files of the write-ahead log behind; this one leaves none.
        connection = sqlite3.connect(
            _uri(path), uri=True, timeout=patience, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = ON")
        return connection

    options: dict[str, Any] = {"creator": open_existing} if reading else {}
    if path != IN_MEMORY.path:
        options["max_overflow"] = -1  # as many as there are threads: none waits for another's
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": patience},
        hide_parameters=True,  # secret hashes stay out of error texts
        **options,
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
