"""Unit tests of `issuer.registry.schema`."""

import pytest

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import check_time, parse_time, write_time

LATEST = 253_402_300_799


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_709_208_000, "2024-02-29T12:00:00Z"),
        (1_800_000_000, "2027-01-15T08:00:00Z"),
        (LATEST, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_time_is_written_and_read_alike(seconds, text):
    """The contract's spelling: RFC 3339, UTC, whole seconds."""
    assert (write_time(seconds), parse_time(text)) == (text, seconds)


def test_no_time_stays_none():
    """An optional time needs no case of its own."""
    assert write_time(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-15T08:00:00Z",
        "2027-01-15t08:00:00z",
        "2027-01-15 08:00:00Z",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T08:00:00-00:00",
        "2027-01-15T10:00:00+02:00",
        "2027-01-14T20:15:00-11:45",
        "2027-01-16T07:59:00+23:59",
    ],
)
def test_every_spelling_of_a_moment_is_read(text):
    """RFC 3339 §5.6: any offset, either case, a space for the T."""
    assert parse_time(text) == 1_800_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "1800000000",
        "2027-01-15",
        "2027-01-15T08:00:00",
        "2027-01-15T08:00Z",
        "2027-01-15T08Z",
        "20270115T080000Z",
        "2027-W02-5T08:00:00Z",
        "2027-1-15T08:00:00Z",
        "02027-01-15T08:00:00Z",
        "-027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.5Z",
        "2027-01-15T08:00:00,5Z",
        "2027-01-15T08:00:00+0200",
        "2027-01-15T08:00:00+02",
        "2027-01-15T08:00:00 +02:00",
        "2027-01-15T08:00:00Z\n",
        " 2027-01-15T08:00:00Z",
        "٢٠٢٧-01-15T08:00:00Z",
    ],
)
def test_other_texts_are_no_time(text):
    """RFC 3339 §5.6 without fractions: what has no offset means a moment to nobody."""
    with pytest.raises(ValueError, match="such as 2027-01-31T12:00:00Z"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2027-02-29T08:00:00Z",
        "2027-13-01T08:00:00Z",
        "2027-00-01T08:00:00Z",
        "2027-01-32T08:00:00Z",
        "0000-01-01T00:00:00Z",
        "2027-01-15T24:00:00Z",
        "2027-01-15T08:60:00Z",
        "2027-01-15T08:00:60Z",
        "2027-01-15T08:00:00+24:00",
        "2027-01-15T08:00:00+02:60",
        "2027-01-15T08:00:00-02:99",
    ],
)
def test_a_moment_that_is_not_is_no_time(text):
    """RFC 3339 §5.7: days of the calendar, hours to 23, minutes to 59, of an offset too."""
    with pytest.raises(ValueError, match="such as 2027-01-31T12:00:00Z"):
        parse_time(text)


@pytest.mark.parametrize("seconds", [0, LATEST])
def test_times_that_can_be_written_are_accepted(seconds):
    """The first and the last second that have four digits of year."""
    assert check_time(seconds) == seconds


@pytest.mark.parametrize("seconds", [-1, LATEST + 1])
def test_times_that_cannot_be_written_are_refused(seconds):
    """Before 1970 nothing of ours happened."""
    with pytest.raises(InvalidValue, match="from 1970 to the year 9999"):
        check_time(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0999-01-01T00:00:00Z",
    ],
)
def test_a_text_that_no_time_can_be_written_for_is_refused(text):
    """A text may name a moment that no text in UTC can, or none that is of use."""
    with pytest.raises(InvalidValue, match="from 1970 to the year 9999"):
        parse_time(text)
