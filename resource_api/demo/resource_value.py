"""Own the one value that the demo API keeps: a port, and a way to keep it in one process."""

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
