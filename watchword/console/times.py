"""Times and durations as the pages show them. Pure."""

from datetime import UTC, datetime
from typing import Any, Literal

from issuer.registry.schema import write_time

_PARTS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
_LATEST = 253_402_300_799  # the last second of the year 9999


def parse_time(text: str) -> int:
    """Read a time of the administration API; seconds since the epoch."""
    return int(datetime.fromisoformat(text).timestamp())


def moment(value: str | int, to: Literal["minutes", "seconds"] = "minutes") -> str:
    """Write a time for people, in UTC."""
    at = datetime.fromtimestamp(parse_time(value) if isinstance(value, str) else value, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if to == "seconds" else f"{at:%Y-%m-%d %H:%M} UTC"


def claimed_time(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Write a time that a token claims as the API writes times; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LATEST:
        return write_time(value)
    return None


def ago(value: str | int, now: int) -> str:
    """Write how long before or after `now` a time is, such as `3 days ago` or `in 2 hours`."""
    seconds = (parse_time(value) if isinstance(value, str) else value) - now
    for length, unit in _PARTS:
        if (count := abs(seconds) // length) >= 1:
            words = f"{count} {unit}" + ("" if count == 1 else "s")
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "in less than a minute" if seconds > 0 else "just now"


def duration(seconds: int) -> str:
    """Write a number of seconds for people, such as `1 hour` or `90 seconds`."""
    for length, unit in _PARTS:
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{seconds} second" + ("" if seconds == 1 else "s")
