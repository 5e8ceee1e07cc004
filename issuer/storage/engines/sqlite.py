"""The registry in an SQLite file, which several processes may share.

WAL, so that readers never wait; a file that only its owner reads.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from issuer.registry.errors import StoreUnavailable
from issuer.storage.database_url import SqliteFile
from issuer.storage.engines.database import Rows, Statement, T, Work
from keys.file_access import file_fault, folder_fault, folders_above

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

FileId = tuple[int, int]
"""Device and inode: while a file is open, no other has the same."""


def file_id(path: Path) -> FileId | None:
    """Tell which file a path names now; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def beside(path: Path, suffix: str) -> Path:
    """Name a file of SQLite beside the database: where links lead, not beside the link."""
    path = path.resolve()
    return path.with_name(path.name + suffix)


def check_access(path: Path) -> None:
    """Refuse a file, or a folder of it, that another account could read or replace.

    Raises:
        StoreUnavailable: the text names the command that puts it right.
    """
    folders = [folder for folder in folders_above(path) if folder.exists()]
    faults = [folder_fault(folder, folder.stat(), private=False) for folder in folders]
    for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite believes each of them
        each = beside(path, suffix)
        with suppress(FileNotFoundError):
            faults.append(file_fault(each, each.stat()))
    if fault := next(filter(None, faults), None):
        raise StoreUnavailable(f"the registry database cannot be used: {fault}")


def make_private_file(path: Path) -> None:
    """Make an empty file for its owner alone, with its folder, unless it is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return  # opening it here would, on closing, drop the locks of this process's connections
    os.close(handle)


def remove_log(path: Path, log: FileId | None) -> None:
    """Remove the write-ahead log of a file that has gone, which must not be taken for a new one's.

    Args:
        path: the path of both.
        log: the log of the file that has gone; nothing is done if another one is there.
    """
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # one process at a time: the next may be the new file's
        if log is not None and file_id(beside(path, "-wal")) == log:
            beside(path, "-wal").unlink()
            beside(path, "-shm").unlink(missing_ok=True)
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
            closing(sqlite3.connect(file_uri(source), uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing)
    except BaseException:
        target.unlink()
        raise


def file_uri(path: Path) -> str:
    """Return the URI that opens a file and, unlike SQLite's default, makes none."""
    return path.absolute().as_uri() + "?mode=rw"


_RETRY_SECONDS = 0.02
_NO_FILE: FileId = (0, 0)
_WRITES = "watchword_writes"
"""Execution option of SQLAlchemy's transactions that will write."""

IN_MEMORY = SqliteFile(Path(":memory:"))
"""A database that is gone once it is closed."""

# Result codes (https://sqlite.org/rescode.html) whose cause an operator can remove.
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
        timeout: seconds to wait for another process's transaction.
        reading: nothing is made or changed; the file must be there.
    """

    dialect = "sqlite"
    auto_migrate = True
    read_concurrency = 1  # a reading takes less time than handing it to a second thread

    def __init__(self, place: SqliteFile, *, timeout: float, reading: bool = False) -> None:
        self._path = place.path
        self._timeout = timeout
        self._name = f"the registry database {self._path}"
        self._reading = reading
        # The file that the connections are on; a path may come to name another one.
        self._file: FileId | None = None
        self._log: FileId | None = None
        self._idle: list[sqlite3.Connection] = []
        self._watching: sqlite3.Connection | None = None
        self._lock = RLock()

    def exists(self) -> bool:  # noqa: D102
        with self._explained():
            return SqliteFile(self._path).is_there()

    def read_one(self, statement: Statement) -> Rows:  # noqa: D102
        with self.transaction("BEGIN") as connection:
            return _run(connection, statement)

    def follow(self, *statements: Statement) -> tuple[str, list[Rows]]:  # noqa: D102
        with self.transaction("BEGIN") as connection:
            rows = [_run(connection, each) for each in statements]
            return "{}:{}".format(*(self._file or _NO_FILE)), rows

    follow_one = read_one

    def write_one(self, statement: Statement) -> Rows:  # noqa: D102
        with self.transaction("BEGIN IMMEDIATE") as connection:
            return _run(connection, statement)

    def write_many(self, *writes: tuple[str, Iterable[Sequence[object]]]) -> None:  # noqa: D102
        with self.transaction("BEGIN IMMEDIATE") as connection:
            for sql, rows in writes:
                connection.executemany(sql, map(_named, rows))

    def read(self, work: Work[T]) -> T:  # noqa: D102
        return self._work(work, writes=False)

    def change(self, work: Work[T]) -> T:  # noqa: D102
        return self._work(work, writes=True)  # `BEGIN IMMEDIATE` lets one in at a time

    @contextmanager
    def exclusive(self, table: str) -> Iterator[Callable[[Statement], Rows]]:  # noqa: D102
        with self.transaction("BEGIN IMMEDIATE") as connection:
            yield partial(_run, connection)

    @contextmanager
    def transaction(self, begin: str, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Run one transaction.

        Args:
            begin: the statement that begins it.
            durable: wait for the disk; if not, a power cut may undo the latest transactions
                (https://sqlite.org/pragma.html#pragma_synchronous).

        Raises:
            StoreUnavailable: the database cannot be used; nothing is half done.
        """
        with self._explained():
            file = self._make_ready()
            connection = self._take()
            try:
                if not durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                self._give_back(connection, file, durable=durable)
            self._check_still_there(file)

    def _connect(self) -> sqlite3.Connection:
        if self._path == IN_MEMORY.path:
            connection = sqlite3.connect(":memory:", check_same_thread=False)
        else:
            # `mode=ro` would leave files of the write-ahead log behind; `query_only` leaves none.
            connection = sqlite3.connect(
                file_uri(self._path), uri=True, timeout=self._timeout, check_same_thread=False
            )
        # By default the driver leaves DDL and reads outside the transaction.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        if self._reading:
            connection.execute("PRAGMA query_only = ON")
        return connection

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
        with self._explained(), self._lock:
            file = self._make_ready()
            if self._watching is None:
                self._watching = self._connect()
            row = self._watching.execute("PRAGMA data_version").fetchone()
            self._log = file_id(beside(self._path, "-wal"))
            self._check_still_there(file)
            return file, int(row[0])

    def watch(self, on_change: Callable[[], None]) -> None:
        """Do nothing: SQLite announces no changes, but asking for the version is quick."""

    def close(self) -> None:  # noqa: D102
        with self._lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None
            while self._idle:
                self._idle.pop().close()
            if "_engine" in self.__dict__:
                self._engine.dispose()

    @cached_property
    def _engine(self) -> "Engine":
        from sqlalchemy import QueuePool, StaticPool, create_engine, event

        shared = self._path == IN_MEMORY.path
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=self._take_shared if shared else self._connect,
            poolclass=StaticPool if shared else QueuePool,
            hide_parameters=True,  # secret hashes stay out of error texts
            # As many connections as there are threads: none waits for another's.
            **({} if shared else {"max_overflow": -1}),
        )
        event.listen(engine, "begin", _begin)
        return engine

    def _take_shared(self) -> sqlite3.Connection:
        """Return the one connection that a database in memory has, and leave it where it is."""
        connection = self._take()
        self._idle.append(connection)
        return connection

    def _work(self, work: Work[T], *, writes: bool) -> T:
        with self._explained():
            file = self._make_ready()
            with self._engine.execution_options(**{_WRITES: writes}).begin() as connection:
                result = work(connection)
            self._check_still_there(file)
            return result

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            return self._idle.pop() if self._idle else self._connect()

    def _give_back(self, connection: sqlite3.Connection, file: FileId, *, durable: bool) -> None:
        """Keep a connection for the next transaction, if it is as good as a new one."""
        try:
            connection.rollback()  # nothing is left to roll back after a commit
            if not durable:
                connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            return
        with self._lock:
            if file in (self._file, _NO_FILE):
                self._idle.append(connection)
            else:
                connection.close()

    def _make_ready(self) -> FileId:
        """Open the file that the path names now; one that was there before is never made anew."""
        if self._path == IN_MEMORY.path:
            return _NO_FILE
        with self._lock:
            named = file_id(self._path)
            if named is None and self._file is not None:
                raise StoreUnavailable(
                    f"{self._name} was deleted or moved while it was in use; put it back"
                )
            if named is None or named != self._file:
                named = self._file = self._open()
            return named

    def _open(self) -> FileId:
        if self._file is not None:
            remove_log(self._path, self._log)
            self.close()
        check_access(self._path)
        if not self._reading:
            make_private_file(self._path.resolve())
            self._use_write_ahead_log()
        file = file_id(self._path)
        if file is None:
            raise StoreUnavailable(f"{self._name} is not there; put it back")
        return file

    def _check_still_there(self, file: FileId) -> None:
        """Refuse what was read from or written to a file that is not there any more."""
        if file != _NO_FILE and file_id(self._path) != file:
            raise StoreUnavailable(
                f"{self._name} was deleted or replaced at this moment; nothing written counts"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            cause = getattr(error, "orig", error)  # SQLAlchemy wraps what the driver raises
            if not isinstance(cause, sqlite3.Error | OSError):
                raise
            raise self._unavailable(cause) from None

    def _unavailable(self, cause: sqlite3.Error | OSError) -> StoreUnavailable:
        if isinstance(cause, OSError):
            return StoreUnavailable(f"{self._name} cannot be opened: {cause.strerror}")
        code = getattr(cause, "sqlite_errorcode", 0)
        # The low byte is the primary result code; the rest says where it came up.
        text = _CAUSES.get(code & 0xFF, f"cannot be used: {cause}")
        return StoreUnavailable(f"{self._name} {text}")

    def _use_write_ahead_log(self) -> None:
        """Switch the file to WAL; SQLite itself does not wait for others who do the same."""
        deadline = time.monotonic() + self._timeout
        connection = self._take()
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.Error as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= deadline:
                    connection.close()
                    raise
            time.sleep(_RETRY_SECONDS)
        self._idle.append(connection)


def _begin(connection: "Connection") -> None:
    # A deferred transaction that turns into a writer can fail halfway, when another has written
    # since its first read. IMMEDIATE takes the write lock at once, waiting up to the busy timeout.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _run(connection: sqlite3.Connection, statement: Statement) -> Rows:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(statement.sql, _named(statement.arguments)).fetchall()


def _named(arguments: Sequence[object]) -> dict[str, object]:
    # For SQLite `$1` is a parameter of the name "1" (https://sqlite.org/lang_expr.html#varparam).
    return {str(number): value for number, value in enumerate(arguments, 1)}
