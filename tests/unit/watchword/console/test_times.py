"""Times and durations as the pages show them."""

import pytest

from watchword.console.pages.tokens import read_moment
from watchword.console.times import ago, claimed_time, duration, moment, parse_time

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (-59, "just now"),
        (1, "in less than a minute"),
        (-60, "1 minute ago"),
        (7_200, "in 2 hours"),
        (-86_400 * 3 - 5, "3 days ago"),
    ],
)
def test_a_time_is_told_by_its_distance(seconds, words):
    """In the largest unit that there is one of."""
    assert ago(NOW + seconds, NOW) == words


def test_a_time_of_the_api_is_read():
    """RFC 3339 in UTC, as its documents have it."""
    assert parse_time("2027-01-15T08:00:00Z") == NOW
    assert moment("2027-01-15T08:00:00Z") == moment(NOW) == "2027-01-15 08:00 UTC"
    assert ago("2027-01-15T07:00:00Z", NOW) == "1 hour ago"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (7_200, "2 hours"), (86_400, "1 day")],
)
def test_a_duration_has_one_unit(seconds, words):
    """The largest that it is a whole number of."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-28T07:00", "2026-11-28T07:00:00Z"),
        ("2026-11-28T07:00:01Z", "2026-11-28T07:00:01Z"),
        ("2026-11-28T07:00+01:00", "2026-11-28T06:00:00Z"),
        ("now", None),
        ("0001-01-01T00:00+23:59", None),
    ],
)
def test_times_are_in_utc_unless_they_say_otherwise(text: str, expected: str | None) -> None:
    """As browsers send them, and as links have them."""
    assert read_moment(text) == expected


@pytest.mark.parametrize("claimed", ["<b>", True, -1, 10**30, 1.5, None])
def test_a_time_that_a_token_claims_may_be_anything(claimed: object) -> None:
    """What is no time is shown as it is."""
    assert claimed_time(claimed) is None
    assert claimed_time(0) == "1970-01-01T00:00:00Z"
