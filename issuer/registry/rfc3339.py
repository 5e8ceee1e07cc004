"""Times as text: RFC 3339 in UTC, to the second."""

import re
from datetime import UTC, datetime
from typing import overload

from issuer.registry.errors import InvalidValue

# RFC 3339 §5.6, without fractions of a second.
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_LATEST_TIME = 253_402_300_799  # the last second that RFC 3339 can write


def check_time(seconds: int) -> int:
    """Return a time unchanged if RFC 3339 can write it.

    Raises:
        InvalidValue: it is before 1970 or after the year 9999.
    """
    if not 0 <= seconds <= _LATEST_TIME:
        raise InvalidValue("a time is from 1970 to the year 9999")
    return seconds


@overload
def write_time(seconds: int) -> str: ...
@overload
def write_time(seconds: None) -> None: ...
@overload
def write_time(seconds: int | None) -> str | None: ...
def write_time(seconds: int | None) -> str | None:
    """Write seconds since the epoch; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Read a time with its offset to seconds since the epoch.

    Raises:
        ValueError: it is not RFC 3339, has a fraction, or names no moment that exists.
    """
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("must be a time such as 2027-01-31T12:00:00Z")
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp())
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2027-01-31T12:00:00Z") from None
