"""An SQLite file on disk: which file a path names, who may open it, a copy, the locks between."""

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from issuer.registry.errors import StoreUnavailable
from keys.stores.file_access import file_fault, folder_fault, folders_above

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
