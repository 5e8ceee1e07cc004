"""Options into values."""

import pytest

from issuer.registry.errors import InvalidValue
from watchword.cli import option_values as values

NOW = 1_700_000_000


@pytest.mark.parametrize("text", ["1", "60", "999999999999"])
def test_seconds_are_whole_and_positive(text):
    """In ASCII digits alone."""
    assert values.parse_seconds(text) == int(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "1.5", "1e3", " 1", "1\n", "٣", "1_000"])
def test_other_numbers_of_seconds_are_refused(text):
    """What Python would take for a number is not always one to people."""
    for parse in (values.parse_seconds, values.parse_count):
        with pytest.raises(ValueError, match="must be a whole number"):
            parse(text)


def test_seconds_from_now_are_a_time():
    """RFC 3339 in UTC, up to the year 9999."""
    assert values.later("60", NOW) == "2023-11-14T22:14:20Z"
    with pytest.raises(InvalidValue, match="the year 9999"):
        values.later("999999999999", NOW)


def test_a_time_may_be_written_in_any_zone():
    """It is shown in UTC."""
    assert values.parse_time("2031-01-31T13:00:00+01:00") == "2031-01-31T12:00:00Z"


def test_a_grant_is_a_resource_and_its_scopes():
    """With as many spaces between as somebody typed."""
    grant = values.parse_grant("  https://a.example  read   write ")
    assert (grant.resource, grant.scopes) == ("https://a.example", ("read", "write"))
    for text in ("", "https://a.example", "read write", 'https://a.example a"b'):
        with pytest.raises((ValueError, InvalidValue)):
            values.parse_grant(text)


def test_notes_keep_what_follows_the_first_equals_sign():
    """An empty value is a value, an empty key is none."""
    assert values.parse_notes(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(ValueError, match="KEY=VALUE"):
        values.parse_notes(["=x"])


@pytest.mark.parametrize("path", ["missing.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path, monkeypatch, path):
    """Named with the reason."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="cannot be read: "):
        values.load_object(path)
