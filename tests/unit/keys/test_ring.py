"""The life of keys, derived from times."""

import time

import pytest

from keys.errors import KeyFromTheFuture
from keys.ring import (
    KeyState,
    RingKey,
    RingPolicy,
    derive_ring,
    place_key,
    published,
    signing_keys,
)

POLICY = RingPolicy(jwks_max_age=300, slack=60, longest_token=1_000, leeway=60)
NOW = 1_800_000_000


def key(kid: str, signs_from: int, *, alg: str = "RS256") -> RingKey:
    """Make a key that signs from a time on."""
    return RingKey(kid=kid, alg=alg, published_at=max(signs_from - 360, 0), signs_from=signs_from)


def states(now: int, *keys: RingKey) -> dict[str, str]:
    """Derive the state of each key, by kid."""
    return {entry.key.kid: entry.state.value for entry in derive_ring(keys, now, POLICY)}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (0, {"a": "active", "b": "pending"}),
        (4_999, {"a": "active", "b": "pending"}),
        (5_000, {"a": "retiring", "b": "active"}),
        (6_059, {"a": "retiring", "b": "active"}),
        (6_060, {"a": "gone", "b": "active"}),
    ],
)
def test_a_key_lives_from_pending_to_gone(now, expected):
    """Each state begins at its second: superseded when the next one signs, gone L + k later."""
    assert states(now, key("a", 100), key("b", 5_000)) == expected


def test_the_times_of_a_key_follow_from_the_next_one():
    """The last key has no end; every other one ends by its successor's start."""
    first, last = derive_ring([key("b", 5_000), key("a", 100)], 200, POLICY)

    assert (first.superseded_at, first.gone_at) == (5_000, 6_060)
    assert (last.superseded_at, last.gone_at) == (None, None)


def test_keys_that_start_together_are_told_apart_by_kid():
    """Every node breaks the tie the same way."""
    assert states(100, key("b", 100), key("a", 100)) == {"a": "retiring", "b": "active"}


def test_each_algorithm_has_its_own_succession():
    """A key of another algorithm supersedes nothing."""
    assert states(300, key("a", 100), key("e", 200, alg="ES256")) == {"a": "active", "e": "active"}


def test_the_signing_key_is_the_active_one_of_its_algorithm():
    """RS256 is what is meant unless said otherwise."""
    ring = derive_ring([key("a", 100), key("b", 200), key("e", 50, alg="ES256")], 250, POLICY)

    assert signing_keys(ring)["RS256"].kid == "b"
    assert signing_keys(ring)["ES256"].kid == "e"


def test_an_empty_ring_has_no_signing_key():
    """What signs then is left to the caller to refuse."""
    assert signing_keys(derive_ring([], 100, POLICY)) == {}


@pytest.mark.rfc("roll-1", "roll-2")
def test_all_but_gone_keys_are_published():
    """Pending, active and retiring keys are in the set."""
    ring = derive_ring(
        [key("a", 0), key("b", 100), key("c", 2_000), key("d", 9_000)], 2_500, POLICY
    )

    assert [entry.state for entry in ring] == [
        KeyState.GONE,
        KeyState.RETIRING,
        KeyState.ACTIVE,
        KeyState.PENDING,
    ]
    assert [each.kid for each in published(ring)] == ["b", "c", "d"]


def test_a_clock_that_jumped_back_leaves_the_earliest_key_signing():
    """Before every start there is still a signing key: NTP must not cause an outage."""
    assert states(10, key("b", 5_000), key("a", 100)) == {"a": "active", "b": "pending"}


def test_the_very_first_key_signs_at_once():
    """Nobody holds a key set that lacks it."""
    placed = place_key([], kid="a", alg="RS256", now=1_000, policy=POLICY, activate_in=500)

    assert (placed.published_at, placed.signs_from) == (1_000, 1_000)


@pytest.mark.rfc("roll-1")
def test_a_successor_waits_until_every_validator_can_know_it():
    """It is published for max-age and slack before it signs."""
    placed = place_key([key("a", 100)], kid="b", alg="RS256", now=1_000, policy=POLICY)

    assert (placed.published_at, placed.signs_from) == (1_000, 1_360)


def test_a_successor_may_be_given_its_time():
    """activate_in stands in for the rule."""
    placed = place_key(
        [key("a", 100)], kid="b", alg="RS256", now=1_000, policy=POLICY, activate_in=7
    )

    assert (placed.published_at, placed.signs_from) == (1_000, 1_007)


def test_no_two_keys_start_in_the_same_second():
    """The later one starts a second after, so that it does sign."""
    ring = [key("a", 1_000), key("b", 1_001)]
    placed = place_key(ring, kid="0", alg="RS256", now=1_000, policy=POLICY, activate_in=0)

    assert placed.signs_from == 1_002
    assert signing_keys(derive_ring([*ring, placed], 1_002, POLICY))["RS256"].kid == "0"


@pytest.mark.parametrize("behind", [1, POLICY.slack])
def test_a_key_made_while_the_clock_is_a_little_behind_comes_after_the_known_ones(behind):
    """Clocks of nodes differ: a successor is placed after the keys that are there."""
    ring = [RingKey(kid="a", alg="RS256", published_at=1_000_000, signs_from=1_000_000)]
    now = 1_000_000 - behind
    placed = place_key(ring, kid="b", alg="RS256", now=now, policy=POLICY, activate_in=0)

    assert signing_keys(derive_ring([*ring, placed], now, POLICY))["RS256"].kid == "a"
    assert placed.signs_from == 1_000_001


@pytest.mark.parametrize("activate_in", [None, 1, 3_600])
def test_a_key_dated_in_the_future_is_refused_company_that_would_wait_for_it(activate_in):
    """A clock that was ahead must not leave later keys pending for years without a word."""
    ring = [key("a", 1_925_000_000)]

    with pytest.raises(KeyFromTheFuture, match=r"key a is dated 2031-01-01T0.*--activate-in 0"):
        place_key(ring, kid="b", alg="RS256", now=NOW, policy=POLICY, activate_in=activate_in)


def test_a_key_that_is_to_sign_at_once_does_so_beside_a_key_dated_in_the_future():
    """The key made while the clock was ahead stays published: its tokens are still accepted."""
    ring = [key("a", 1_925_000_000)]
    placed = place_key(ring, kid="b", alg="RS256", now=NOW, policy=POLICY, activate_in=0)
    entries = derive_ring([*ring, placed], NOW, POLICY)

    assert (placed.published_at, placed.signs_from) == (NOW, NOW)
    assert signing_keys(entries)["RS256"].kid == "b"
    assert {each.kid for each in published(entries)} == {"a", "b"}


@pytest.mark.parametrize("name", ["jwks_max_age", "slack", "longest_token", "leeway"])
def test_a_policy_has_no_negative_duration(name):
    """A rule that cannot be is refused when it is made."""
    with pytest.raises(ValueError, match="negative"):
        RingPolicy(**{name: -1})


def test_a_key_cannot_start_in_the_past():
    """activate_in counts forward."""
    with pytest.raises(ValueError, match="negative"):
        place_key([], kid="a", alg="RS256", now=0, policy=POLICY, activate_in=-1)


def test_a_date_is_told_in_utc_wherever_the_machine_is(monkeypatch):
    """It ends in Z, and says the same on every node."""
    ring = [RingKey(kid="a", alg="RS256", published_at=1_924_992_000, signs_from=1)]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with pytest.raises(KeyFromTheFuture, match="dated 2031-01-01T00:00:00Z"):
            place_key(ring, kid="b", alg="RS256", now=NOW, policy=POLICY)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_rule_by_itself_keeps_a_key_for_the_longest_token():
    """The durations that hold unless others are given, in seconds, and those that are just so."""
    assert (RingPolicy().publish_ahead, RingPolicy().keep) == (360, 86_460)
    nothing = RingPolicy(jwks_max_age=0, slack=0, longest_token=0, leeway=0)
    assert (nothing.publish_ahead, nothing.keep) == (0, 0)


def test_a_date_within_the_slack_is_waited_for_and_one_beyond_is_not():
    """The bound itself is a difference of clocks; one second more is a clock that was ahead."""
    for ahead, taken in ((POLICY.slack, True), (POLICY.slack + 1, False)):
        ring = [RingKey(kid="a", alg="RS256", published_at=NOW + ahead, signs_from=NOW + ahead)]
        if taken:
            placed = place_key(ring, kid="b", alg="RS256", now=NOW, policy=POLICY)
            assert placed.published_at == NOW + ahead
            assert placed.signs_from == NOW + ahead + POLICY.publish_ahead
        else:
            with pytest.raises(KeyFromTheFuture):
                place_key(ring, kid="b", alg="RS256", now=NOW, policy=POLICY)


def test_the_latest_key_of_several_decides_about_the_date():
    """Not the first one, and not the one that signs last."""
    ring = [key("a", 100), RingKey(kid="z", alg="RS256", published_at=NOW + 30, signs_from=200)]
    placed = place_key(reversed(ring), kid="b", alg="ES256", now=NOW, policy=POLICY)
    assert (placed.kid, placed.alg, placed.published_at) == ("b", "ES256", NOW + 30)


def test_a_ring_without_the_algorithm_has_no_key_for_it():
    """Another algorithm's key does not sign in its place."""
    assert list(signing_keys(derive_ring([key("a", 100)], 250, POLICY))) == ["RS256"]
