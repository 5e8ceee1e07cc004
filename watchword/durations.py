"""Durations and times as people write and read them: `90d`, `in 9 min`, `3 d ago`."""

import re

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,12})([smhdw]?)", re.ASCII)
_SHOWN = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def parse_duration(text: str, *, least: int = 1) -> int:
    """Read a duration into seconds: a whole number, of seconds unless `s`, `m`, `h`, `d` or `w`
    follows.

    Args:
        text: such as `3600`, `12h` or `90d`.
        least: the shortest in seconds.

    Raises:
        ValueError: it is none, or is shorter.
    """
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else -1
    if seconds < least:
        raise ValueError(
            f"must be {least} or more: a whole number of seconds, or one with a unit, such as 12h"
            " or 90d"
        )
    return seconds


def write_duration(seconds: int) -> str:
    """Write a duration in the largest unit that it has one of, cut to whole ones."""
    size, unit = next((size, unit) for size, unit in _SHOWN if seconds >= size or size == 1)
    return f"{seconds // size} {unit}"


def write_distance(then: int, now: int) -> str:
    """Write a time by its distance from `now`, such as `in 9 min`, `now` or `3 d ago`.

    Args:
        then: the time, in seconds since the epoch.
        now: likewise.
    """
    if then == now:
        return "now"
    return f"in {write_duration(then - now)}" if then > now else f"{write_duration(now - then)} ago"
