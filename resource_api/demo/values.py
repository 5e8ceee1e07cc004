"""The one JSON value that the demo API keeps: in one process, or shared by worker processes."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class ResourceValue(Protocol):
    """Keep one JSON value, as text, for all who read it."""

    def get(self) -> bytes:
        """Give the value last set; `null` before that."""
        ...

    def set(self, value: bytes) -> None:
        """Replace the value."""
        ...


class MemoryValue:
    """Keep the value in this process."""

    def __init__(self) -> None:
        """Start with `null`."""
        self._value = b"null"

    def get(self) -> bytes:
        """Give the value last set."""
        return self._value

    def set(self, value: bytes) -> None:
        """Replace the value."""
        self._value = value


class SharedValue:
    """Keep the value in an unlinked file, inherited over fork: make it before that (POSIX only)."""

    def __init__(self) -> None:
        """Start with `null`."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this object
        self.set(b"null")

    def get(self) -> bytes:
        """Give the value that any of the processes set last."""
        fd = self._file.fileno()
        with _locked(fd, fcntl.LOCK_SH):
            return os.pread(fd, os.fstat(fd).st_size, 0)

    def set(self, value: bytes) -> None:
        """Replace the value for all processes."""
        fd = self._file.fileno()
        with _locked(fd, fcntl.LOCK_EX):
            # Write first: a full disk must not leave an empty file behind.
            os.pwrite(fd, value, 0)
            os.ftruncate(fd, len(value))

    def close(self) -> None:
        """Let go of the file in this process."""
        self._file.close()


@contextmanager
def _locked(fd: int, kind: int) -> Iterator[None]:
    fcntl.lockf(fd, kind)
    try:
        yield
    finally:
        fcntl.lockf(fd, fcntl.LOCK_UN)
