"""A clock that only a test turns."""


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
