"""Key texts in a folder: one file a key, 0600 in 0700, replaced atomically, under one lock.

The only place where keys meet the file system. Every refusal is one line that names the file and
the remedy.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from keys.errors import KeyStoreError
from keys.file_access import file_fault, folder_fault, folders_above, sync_folder
from keys.stores.key_file import SUFFIX

_UNFINISHED = ".unfinished"
_LOCK = ".lock"
_MAXIMUM_FILE_BYTES = 65_536


class KeyFolder:
    """The named bytes of a key store as files of this machine.

    Args:
        folder: where the files are; made with mode 0700 when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)

    def names(self) -> list[str]:
        """List the names of the key files; an absent folder has none."""
        try:
            self._check_folder()
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _refusal("read", self._folder, error) from error
        return [name for name in names if name.endswith(SUFFIX) and not name.startswith(".")]

    def read(self, name: str) -> bytes:
        """Read a file that other accounts cannot; what is checked is what is read, links followed.

        Raises:
            KeyStoreError: it cannot be read, is open to others, or is no key file.
        """
        path = self._folder / name
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            with os.fdopen(os.open(path, flags), "rb") as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise KeyStoreError(f"key file {path} is not a regular file; remove it")
                if fault := file_fault(path, facts):
                    raise KeyStoreError(f"key file {fault}")
                content = file.read(_MAXIMUM_FILE_BYTES + 1)
        except OSError as error:
            raise _refusal("read", path, error) from error
        if len(content) > _MAXIMUM_FILE_BYTES:
            raise KeyStoreError(f"key file {path} is too large to be one; remove it")
        return content

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write, replace and remove (None) files, so that all of it happens or nothing.

        Every new content is on the disk before the first name changes.

        Raises:
            KeyStoreError: it cannot be done; everything is as it was then.
        """
        new: dict[str, Path] = {}
        old: dict[str, Path] = {}
        replaced: list[str] = []
        path = self._folder
        try:
            # What a crash left behind: under the lock, no other process is writing.
            self._clear_unfinished()
            for name, content in changes.items():
                path = self._folder / name
                if path.exists():
                    old[name] = self._unfinished()
                    _write_durably(old[name], path.read_bytes())
                if content is not None:
                    new[name] = self._unfinished()
                    _write_durably(new[name], content)
            for name in changes:
                path = self._folder / name
                replaced.append(name)
                _put(path, new.get(name))
            sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):
                for name in replaced:
                    _put(self._folder / name, old.get(name))
            raise _refusal("write", path, error) from error
        finally:
            with suppress(OSError):
                self._clear_unfinished()

    def _clear_unfinished(self) -> None:
        for path in self._folder.glob(f".*{_UNFINISHED}"):
            path.unlink()

    def _unfinished(self) -> Path:
        return self._folder / f".{secrets.token_hex(8)}{_UNFINISHED}"

    def stamp(self) -> Hashable:
        """Return a value that changes with any key file; a handful of system calls.

        Raises:
            KeyStoreError: the folder cannot be listed.
        """
        try:
            # A Secret volume of Kubernetes has links in the place of files.
            facts = ((name, (self._folder / name).stat()) for name in self.names())
            return tuple((name, f.st_ino, f.st_size, f.st_ctime_ns) for name, f in facts)
        except OSError as error:
            raise _refusal("read", self._folder, error) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's lock; it ends with the process, so a crash leaves nothing locked.

        Raises:
            KeyStoreError: the folder cannot be made or written, or is open to others.
        """
        self._make_folder()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._folder / _LOCK, flags, 0o600)
        except OSError as error:
            raise _refusal("write", self._folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        """Make the folder and those above it where they are missing, closed to other accounts."""
        try:
            above = [self._folder, *self._folder.parents]
            missing = [each for each in above if not each.exists()]
            if missing == [self._folder]:
                self._check_parent()
            for folder in reversed(missing):
                folder.mkdir(mode=0o700, exist_ok=True)
            mode = self._check_folder()
        except OSError as error:
            raise _refusal("make", self._folder, error) from error
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            raise KeyStoreError(
                f"key folder {self._folder} is not writable; run: chmod 700 {self._folder}"
            )

    def _check_folder(self) -> int:
        """Refuse a folder in which another account could read or replace keys; return its mode."""
        self._check_parent()
        facts = self._folder.stat()
        if not stat.S_ISDIR(facts.st_mode):
            raise KeyStoreError(f"{self._folder} is not a folder; move the file away")
        if fault := folder_fault(self._folder, facts, private=True):
            raise KeyStoreError(f"key folder {fault}")
        return facts.st_mode

    def _check_parent(self) -> None:
        """Refuse a folder above in which another account could replace the key folder."""
        for parent in folders_above(self._folder):
            if fault := folder_fault(parent, parent.stat(), private=False):
                raise KeyStoreError(f"folder {fault}")


def _put(path: Path, new: Path | None) -> None:
    """Have a file in the place of what is there, or nothing."""
    if new is None:
        path.unlink(missing_ok=True)
    else:
        new.replace(path)


def _write_durably(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _refusal(verb: str, path: Path, error: OSError) -> KeyStoreError:
    reason = (error.strerror or "input/output error").lower()
    return KeyStoreError(
        f"cannot {verb} {path}: {reason}; check its owner, mode and the free space"
    )
