"""Times as text: RFC 3339 in UTC, to the second."""

import re
from datetime import UTC, datetime
from typing import overload

# RFC 3339 §5.6, without fractions of a second.
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


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
