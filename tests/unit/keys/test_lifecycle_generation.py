"""The times that a key is given which an operator asks for."""

import time

import pytest

from keys.errors import KeyFromTheFuture
from keys.lifecycle import plan_generation
from keys.ring import RingKey, derive_ring, published
from tests.unit.keys.test_lifecycle import NOW, POLICY, carry_out, signs
from tests.unit.keys.test_ring import key


def place(*ring: RingKey, now: int, alg: str = "RS256", activate_in: int | None = None) -> RingKey:
    """Return a new key with the times that it is given."""
    plan = plan_generation(ring, now, POLICY, alg, activate_in=activate_in)
    return carry_out(plan, *ring)[-1]


@pytest.mark.parametrize("ring", [[], [key("a", 900, withdrawn_at=950)]], ids=["first", "revoked"])
def test_the_very_first_key_signs_at_once(ring):
    """Nobody holds a key set that has another one."""
    placed = place(*ring, now=1_000, activate_in=500)

    assert (placed.published_at, placed.signs_from) == (1_000, 1_000)


@pytest.mark.rfc("roll-1")
@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_key_waits_until_every_validator_can_know_it(alg):
    """It is published for max-age and slack before it signs, the first of its algorithm too."""
    placed = place(key("a", 100), alg=alg, now=1_000)

    assert (placed.alg, placed.published_at, placed.signs_from) == (alg, 1_000, 1_360)


def test_a_key_waits_for_the_turn_of_one_that_signs_since_the_clock_jumped_back():
    """It comes a second after it; by its own time it would take over before it."""
    first = RingKey(kid="a", alg="RS256", published_at=NOW - 5, signs_from=NOW + 3_600)

    assert place(first, now=NOW).signs_from == NOW + 3_601
    assert place(first, now=NOW, activate_in=7).signs_from == NOW + 7


def test_a_key_may_be_given_its_time():
    """activate_in stands in for the rule."""
    placed = place(key("a", 100), now=1_000, activate_in=7)

    assert (placed.published_at, placed.signs_from) == (1_000, 1_007)


def test_no_two_keys_start_in_the_same_second():
    """The later one starts a second after, so that it does sign."""
    ring = key("a", 1_000), key("b", 1_001)
    placed = place(*ring, now=1_000, activate_in=0)

    assert placed.signs_from == 1_002
    assert signs((*ring, placed), 1_002) == "new0"


@pytest.mark.parametrize("behind", [1, POLICY.slack])
def test_a_key_made_while_the_clock_is_a_little_behind_comes_after_the_known_ones(behind):
    """Clocks of nodes differ: a successor is placed after the keys that are there."""
    first = RingKey(kid="a", alg="RS256", published_at=1_000_000, signs_from=1_000_000)
    now = 1_000_000 - behind
    placed = place(first, now=now, activate_in=0)

    assert signs((first, placed), now) == "a"
    assert placed.signs_from == 1_000_001


@pytest.mark.parametrize("activate_in", [None, 1, 3_600])
def test_a_key_dated_in_the_future_is_refused_company_that_would_wait_for_it(activate_in):
    """A clock that was ahead must not leave later keys pending for years without a word."""
    with pytest.raises(KeyFromTheFuture, match=r"key a is dated 2031-01-01T0.*--activate-in 0"):
        place(key("a", 1_925_000_000), now=NOW, activate_in=activate_in)


def test_a_key_that_is_to_sign_at_once_does_so_beside_a_key_dated_in_the_future():
    """The key made while the clock was ahead stays published: its tokens are still accepted."""
    ring = key("a", 1_925_000_000), place(key("a", 1_925_000_000), now=NOW, activate_in=0)

    assert (ring[1].published_at, ring[1].signs_from) == (NOW, NOW)
    assert signs(ring, NOW) == "new0"
    assert {each.kid for each in published(derive_ring(ring, NOW, POLICY))} == {"a", "new0"}


@pytest.mark.parametrize("activate_in", [-1, 31_536_001])
def test_a_key_starts_within_a_year(activate_in):
    """activate_in counts forward; a time beyond what a store can hold would be damage."""
    with pytest.raises(ValueError, match=r"activate_in must be from 0 to 31536000 seconds"):
        place(now=0, activate_in=activate_in)
    assert place(now=0, activate_in=31_536_000).signs_from == 0  # the first key signs at once


def test_a_date_is_told_in_utc_wherever_the_machine_is(monkeypatch):
    """It ends in Z, and says the same on every node."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with pytest.raises(KeyFromTheFuture, match="dated 2031-01-01T00:00:00Z"):
            place(RingKey(kid="a", alg="RS256", published_at=1_924_992_000, signs_from=1), now=NOW)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_date_within_the_slack_is_waited_for_and_one_beyond_is_not():
    """The bound itself is a difference of clocks; one second more is a clock that was ahead."""
    for ahead, taken in ((POLICY.slack, True), (POLICY.slack + 1, False)):
        first = RingKey(kid="a", alg="RS256", published_at=NOW + ahead, signs_from=NOW + ahead)
        if taken:
            placed = place(first, now=NOW)
            assert placed.published_at == NOW + ahead
            assert placed.signs_from == NOW + ahead + POLICY.publish_ahead
        else:
            with pytest.raises(KeyFromTheFuture):
                place(first, now=NOW)


def test_the_latest_key_of_several_decides_about_the_date():
    """Not the first one, and not the one that signs last."""
    ring = key("a", 100), RingKey(kid="z", alg="RS256", published_at=NOW + 30, signs_from=200)
    placed = place(*reversed(ring), now=NOW, alg="ES256")

    assert (placed.alg, placed.published_at) == ("ES256", NOW + 30)
