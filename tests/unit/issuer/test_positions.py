"""Unit tests of `issuer.status.positions`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.status.positions import (
    BUCKET,
    MAX_BUCKET,
    MAX_INDEX,
    PART,
    WINDOW,
    Position,
    Status,
    bucket_end,
    bucket_for,
    new_jti,
    parse_list_id,
    position_of,
    read_jti,
    status_claim,
)

BASE = "https://issuer.example/tenant"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

buckets = st.integers(0, MAX_BUCKET)
indexes = st.one_of(st.integers(0, MAX_INDEX), st.sampled_from([0, PART - 1, PART, MAX_INDEX]))
positions = st.builds(Position, buckets, indexes)
randoms = st.binary(min_size=16, max_size=16)


@given(st.integers(0, 5_000_000_000), st.integers(1, 86_400), st.integers(0, WINDOW - 1))
def test_a_bucket_ends_after_the_last_token_of_its_blocks(reserved_at, ttl, later):
    """Whenever in the window it is issued; and not a bucket later than it must."""
    end = bucket_end(bucket_for(reserved_at, ttl))
    assert reserved_at + later + ttl <= end < reserved_at + WINDOW + ttl + BUCKET


@pytest.mark.rfc("tsl-6.2-1")
@given(positions)
def test_the_claim_leads_back_to_the_position(position):
    """Its list is a part of the bucket, its index within the part."""
    claim = status_claim(position, BASE)
    assert position_of({"status": claim}, BASE) == position
    found = claim["status_list"]
    head, _, list_id = found["uri"].rpartition("/")
    assert head == f"{BASE}/status-lists"
    bucket, part = parse_list_id(list_id)
    assert (bucket, part * PART + found["idx"]) == position


def test_a_token_without_status_has_no_position():
    """It is on no list, as tokens of short life and of some resources are."""
    assert position_of({"iss": "https://issuer.example"}, BASE) is None


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        {"status_list": {"idx": True, "uri": f"{BASE}/status-lists/5-0"}},
        {"status_list": {"idx": False, "uri": f"{BASE}/status-lists/5-0"}},
        {"status_list": {"idx": -1, "uri": f"{BASE}/status-lists/5-0"}},
        {"status_list": {"idx": PART, "uri": f"{BASE}/status-lists/5-0"}},
        {"status_list": {"idx": "1", "uri": f"{BASE}/status-lists/5-0"}},
        {"status_list": {"idx": 1, "uri": f"{BASE}/status-lists/5-x"}},
        {"status_list": {"idx": 1, "uri": "https://other.example/status-lists/5-0"}},
        {"status_list": {"idx": 1, "uri": "5-0"}},
    ],
)
def test_a_status_that_the_issuer_does_not_write_is_refused(status):
    """It must not pass for a token that is on no list."""
    with pytest.raises(ValueError, match="names no list of this issuer"):
        position_of({"status": status}, BASE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5-",
        "-0",
        "05-0",
        "5-00",
        "5-0 ",
        "5-0\n",
        "5--1",
        "5-4096",
        f"{MAX_BUCKET + 1}-0",
        "5-0-0",
        "٥-0",
        "99999999999-0",
    ],
)
def test_other_texts_are_no_list(text):
    """One list has one id."""
    assert parse_list_id(text) is None


def test_the_last_list_has_an_id():
    """Every index of four bytes is on one."""
    assert parse_list_id(f"{MAX_BUCKET}-4095") == (MAX_BUCKET, 4095)


@given(positions, randoms)
def test_an_id_tells_the_position(position, random):
    """It has the length and the letters that ids have always had."""
    assert read_jti(new_jti(position, lambda count: random[:count])) == position
    for each in (position, None):
        jti = new_jti(each, lambda count: random[:count])
        assert len(jti) == 22
        assert set(jti) <= set(ALPHABET)


@given(positions, randoms, st.integers(0, 21), st.text(ALPHABET, min_size=1, max_size=4))
def test_a_mistyped_id_names_no_token(position, random, at, typed):
    """Up to four characters in a row that are other ones."""
    jti = new_jti(position, lambda count: random[:count])
    wrong = (jti[:at] + typed + jti[at + len(typed) :])[:22]
    assert read_jti(wrong) == (position if wrong == jti else None)


@pytest.mark.parametrize("text", ["", "A" * 21, "A" * 23, "!" * 22, "B" * 22, "é" * 22])
def test_an_id_of_another_form_names_no_token(text):
    """Nor do the random ids of tokens that are on no list."""
    assert read_jti(text) is None
    assert read_jti(new_jti(None, lambda count: bytes(range(count)))) is None


def test_statuses_have_the_values_of_the_standard():
    """They are what a list holds (Token Status List §7.1)."""
    assert list(Status) == [0, 1, 2]
    assert Status.VALID == 0
