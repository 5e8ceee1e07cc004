"""Times and durations as the pages show them."""

import pytest

from watchword.console.times import ago, duration, moment, parse_time

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
