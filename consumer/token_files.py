"""`TokenFiles`: a token store in a folder, for the processes of one machine (Unix)."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISLNK
from typing import Any
from weakref import WeakSet

_NEW = os.O_CREAT | os.O_NOFOLLOW  # a folder that was swapped must not lead to another file


class TokenFiles:
    """Keep sealed tokens in files that this account alone can read; a `TokenStore`.

    Locks are the system's (`flock`), and end with the process that holds them, whatever it forked.
    """

    def __init__(self, folder: str | Path) -> None:
        """Keep them in this folder, which is made if it is not there.

        Raises:
            ValueError: another account owns the folder or may write to it, or it is a link.
            OSError: it cannot be made.
        """
        self._folder = Path(folder)
        self._held: dict[str, int] = {}
        _all.add(self)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._folder.lstat()
        if S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ValueError(
                f"{self._folder} has to belong to this account, and be its alone: 0700, and no link"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without the locks."""
        return type(self), (self._folder,)

    def load(self, name: str) -> bytes | None:
        """Return what was saved under a name."""
        with suppress(FileNotFoundError):
            return (self._folder / name).read_bytes()
        return None

    def save(self, name: str, sealed: bytes, seconds: float) -> None:
        """Keep this under a name; it stays there until it is replaced."""
        new = self._folder / f"{name}.{os.getpid()}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_TRUNC | _NEW, 0o600), "wb") as file:
            file.write(sealed)
        new.replace(self._folder / name)

    def lock(self, name: str, seconds: float) -> bool:
        """Take the lock of a name if it is free."""
        descriptor = os.open(self._folder / f"{name}.lock", os.O_RDWR | _NEW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            return False
        self._held[name] = descriptor
        return True

    def unlock(self, name: str) -> None:
        """Give the lock back, also for a child that was forked meanwhile and has the file open."""
        descriptor = self._held.pop(name)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def _disown(self) -> None:
        held, self._held = self._held, {}
        for descriptor in held.values():
            os.close(descriptor)  # without giving the lock back, which is the parent's


def _disown_all() -> None:
    for files in _all:
        files._disown()


# A forked child has its parent's locks as well: it could give them back, or outlive the parent.
_all: WeakSet[TokenFiles] = WeakSet()
os.register_at_fork(after_in_child=_disown_all)
