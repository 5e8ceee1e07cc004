"""Durations and times as people write and read them."""

import pytest

from watchword.durations import parse_duration, write_distance, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3_600),
        ("45s", 45),
        ("15m", 900),
        ("12h", 43_200),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("007", 7),
    ],
)
def test_a_duration_is_seconds_or_a_number_with_a_unit(text, seconds):
    """One unit alone."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0d", "-1", "1.5h", "1h30m", "d", "3 d", "3D", "٣", "9" * 13]
)
def test_what_is_none_is_refused(text):
    """With an example of what is meant; zero only where it means something."""
    with pytest.raises(ValueError, match=r"must be 1 or more: .* such as 12h or 90d"):
        parse_duration(text)


def test_zero_is_a_duration_where_it_is_allowed():
    """Such as the wait of a key that signs at once."""
    assert parse_duration("0", least=0) == 0
    with pytest.raises(ValueError, match="must be 0 or more"):
        parse_duration("-1", least=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (86_400, "1 d"), (200_000, "2 d")],
)
def test_a_duration_is_written_in_its_largest_unit(seconds, text):
    """Whole ones."""
    assert write_duration(seconds) == text


def test_a_time_is_written_by_its_distance():
    """Before or after."""
    assert write_distance(100, 40) == "in 1 min"
    assert write_distance(40, 100) == "1 min ago"
    assert write_distance(40, 40) == "now"
