"""Clocks that a test turns: one that stands still meanwhile, one that runs."""

import time


class Clock:
    """Tell the time that the test says it is, in seconds."""

    def __init__(self, now: float = 1_800_000_000) -> None:
        """Start at a fixed moment."""
        self.now = now

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Turn the clock; a negative number turns it back."""
        self.now += seconds


class RunningClock:
    """Tell the time of the machine, in seconds, moved by as much as the clock was turned."""

    def __init__(self) -> None:
        """Start at the present."""
        self._turned = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return time.time() + self._turned  # noqa: TID251 - where the clock enters

    def advance(self, seconds: float) -> None:
        """Turn the clock; a negative number turns it back."""
        self._turned += seconds
