"""Notice that files were replaced, once they are written to the end."""

from pathlib import Path

_State = tuple[tuple[int, int, int] | None, ...]


class WatchedFiles:
    """Files that are looked at again and again.

    Args:
        files: they count as seen.
    """

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._taken = self._seen = self._state()

    def have_changed(self) -> bool:
        """Tell, once for each change, that it was there and the same at the look before."""
        state = self._state()
        settled, self._seen = state == self._seen, state
        if not settled or state == self._taken:
            return False
        self._taken = state
        return True

    def _state(self) -> _State:
        return tuple(map(_state_of, self._files))


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
