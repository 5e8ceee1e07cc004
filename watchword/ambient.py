"""The clock and the random numbers of the provider; further down both are arguments."""

import os
import random
import time
from collections.abc import Callable

_DRAWN_AT_ONCE = 4_096


def wall_clock() -> int:
    """Read the time: whole seconds since the epoch."""
    return int(time.time())  # noqa: TID251 - clocks are arguments everywhere below


random_fraction: Callable[[], float] = random.SystemRandom().random
"""Gives numbers from 0 to 1."""


class RandomBuffer:
    """Gives the operating system's random bytes, drawn many at a time; every byte is given once.

    For ids, of which a token takes three; secrets and keys take theirs from `secrets` as they need
    them. All calls come from one thread. A forked child draws its own bytes.

    Args:
        draw: returns so many random bytes.
    """

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._bytes = b""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, count: int) -> bytes:
        """Return `count` bytes, at most 4096, none of which was returned before."""
        at, self._at = self._at, self._at + count
        if self._at > len(self._bytes):
            self._bytes, at, self._at = self._draw(_DRAWN_AT_ONCE), 0, count
        return self._bytes[at : self._at]

    def _forget(self) -> None:
        self._bytes, self._at = b"", 0


random_ids = RandomBuffer()
"""Of this process."""
