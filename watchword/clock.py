"""The provider's clock: the one place where `watchword` reads the time."""

import time


def wall_clock() -> int:
    """Read the time: whole seconds since the epoch."""
    return int(time.time())  # noqa: TID251 - clocks are arguments everywhere below
