"""The life of keys, derived from times."""

from dataclasses import replace

import pytest

from keys.jwk import public_jwk
from keys.jwks import fits_jwk_set
from keys.key_types import ALGORITHMS, algorithm, generate_private_key
from keys.ring import (
    KeyState,
    RingKey,
    RingPolicy,
    deletable_from,
    derive_ring,
    explain_too_fast,
    published,
    signing_keys,
)

POLICY = RingPolicy(jwks_max_age=300, longest_token=1_000, leeway=60)


def key(
    kid: str, signs_from: int, *, alg: str = "RS256", withdrawn_at: int | None = None
) -> RingKey:
    """Make a key that signs from a time on."""
    return RingKey(
        kid=kid,
        alg=alg,
        published_at=max(signs_from - 360, 0),
        signs_from=signs_from,
        withdrawn_at=withdrawn_at,
    )


def prepared(kid: str, published_at: int, *, alg: str = "RS256") -> RingKey:
    """Make a successor without a date."""
    return RingKey(kid=kid, alg=alg, published_at=published_at, signs_from=None)


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


@pytest.mark.parametrize("name", ["jwks_max_age", "longest_token", "leeway", "rotate_every"])
def test_a_policy_has_no_negative_duration(name):
    """A rule that cannot be is refused when it is made."""
    with pytest.raises(ValueError, match="negative"):
        RingPolicy(**{name: -1})


def test_the_rule_by_itself_keeps_a_key_for_the_longest_token():
    """The durations that hold unless others are given, in seconds, and those that are just so."""
    assert (RingPolicy().publish_ahead, RingPolicy().keep) == (360, 86_460)
    nothing = RingPolicy(jwks_max_age=0, longest_token=0, leeway=0)
    assert (nothing.publish_ahead, nothing.keep) == (2, 0)


@pytest.mark.parametrize(("max_age", "slack"), [(0, 2), (1, 2), (2, 2), (30, 30), (86_400, 60)])
def test_the_slack_is_as_long_as_the_age_within_bounds(max_age, slack):
    """A short age is for rehearsals: a minute on top of it would make them long."""
    policy = RingPolicy(jwks_max_age=max_age)
    assert (policy.slack, policy.publish_ahead) == (slack, max_age + slack)


def test_a_ring_without_the_algorithm_has_no_key_for_it():
    """Another algorithm's key does not sign in its place."""
    assert list(signing_keys(derive_ring([key("a", 100)], 250, POLICY))) == ["RS256"]


def test_a_prepared_successor_waits_for_its_date():
    """Published without end, last in the order, and it supersedes nobody."""
    ring = derive_ring([prepared("n", 50), prepared("m", 60), key("a", 100)], 90_000, POLICY)

    assert [(entry.key.kid, entry.state.value) for entry in ring] == [
        ("a", "active"),
        ("n", "pending"),
        ("m", "pending"),
    ]
    assert {entry.superseded_at for entry in ring} == {None}
    assert len(published(ring)) == 3


def test_the_first_key_of_a_further_algorithm_waits():
    """No validator may know it yet, and the clock is right: other keys sign."""
    ring = [key("a", 100), key("e", 5_000, alg="ES256"), prepared("f", 200, alg="ES256")]

    assert states(4_999, *ring) == {"a": "active", "e": "pending", "f": "pending"}
    assert states(5_000, *ring) == {"a": "active", "e": "active", "f": "pending"}


def test_the_earliest_of_each_algorithm_signs_where_no_turn_has_come():
    """The clock jumped back behind the whole store."""
    assert states(50, key("a", 100), key("b", 200), key("e", 5_000, alg="ES256")) == {
        "a": "active",
        "b": "pending",
        "e": "active",
    }


def test_a_prepared_key_signs_where_there_is_no_other():
    """Whatever signed was removed by hand."""
    assert states(500, prepared("n", 50)) == {"n": "active"}


@pytest.mark.parametrize("now", [0, 4_999, 5_000, 5_500, 2**33])
def test_a_withdrawn_key_neither_signs_nor_is_published(now):
    """Whatever the clock says; the one before it was superseded when it took over."""
    ring = derive_ring(
        [key("a", 100), key("b", 5_000, withdrawn_at=5_500), key("c", 5_500)], now, POLICY
    )
    entries = {entry.key.kid: entry for entry in ring}

    assert entries["b"].state is KeyState.REVOKED
    assert (entries["b"].superseded_at, entries["b"].gone_at) == (None, None)
    assert (entries["a"].superseded_at, entries["a"].gone_at) == (5_000, 6_060)
    assert "b" not in {each.kid for each in published(ring)}


def test_the_turn_of_a_withdrawn_key_passes_to_the_next_at_once():
    """Also at a node whose clock is behind that of the node where it was withdrawn."""
    ring = [key("a", 100), key("b", 5_000, withdrawn_at=5_500), key("c", 5_500)]

    assert states(4_999, *ring) == {"a": "active", "b": "revoked", "c": "pending"}
    assert states(5_499, *ring) == {"a": "retiring", "b": "revoked", "c": "active"}
    assert states(6_060, *ring) == {"a": "gone", "b": "revoked", "c": "active"}


def test_a_key_withdrawn_before_its_turn_has_no_place_in_the_succession():
    """It never signed, so nothing was superseded by it."""
    ring = [key("a", 100), key("b", 5_000, withdrawn_at=4_999), key("c", 6_000)]
    entries = {entry.key.kid: entry for entry in derive_ring(ring, 5_500, POLICY)}

    assert entries["a"].state is KeyState.ACTIVE
    assert entries["a"].superseded_at == 6_000
    assert entries["b"].state is KeyState.REVOKED


@pytest.mark.parametrize("now", [1, 4_998, 4_999, 5_000, 5_999])
def test_a_key_withdrawn_before_its_turn_has_not_begun_either(now):
    """Where a clock is set back behind the first turn there is, that one signs: no outage."""
    ring = [key("b", 5_000, withdrawn_at=4_999), key("c", 6_000), prepared("d", 0)]
    assert signing_keys(derive_ring(ring, now, POLICY))["RS256"].kid == "c"


def test_a_withdrawn_key_stays_for_as_long_as_clocks_may_differ():
    """Its record says whose turn it is; there is nothing to wait for with any other key."""
    assert deletable_from(key("b", 5_000, withdrawn_at=5_500), POLICY) == 5_500 + POLICY.slack
    assert deletable_from(key("a", 100), POLICY) == 0


def test_no_key_signs_where_all_that_were_to_sign_are_withdrawn():
    """Those before it keep their states: a superseded key never signs again."""
    ring = [key("a", 100), key("b", 5_000, withdrawn_at=5_500)]

    assert signing_keys(derive_ring(ring, 5_500, POLICY)) == {}
    assert states(5_500, *ring) == {"a": "retiring", "b": "revoked"}


def test_a_rotation_by_time_must_leave_time_to_publish():
    """The line has the arithmetic and the least value that works."""
    policy = RingPolicy(jwks_max_age=300, longest_token=3_600, rotate_every=359)

    assert explain_too_fast(policy, "RS256") == (
        "keys cannot be rotated every 359 s: a key is published 360 s before it signs "
        "(jwks_max_age 300 + slack 60); the least is 360"
    )
    assert explain_too_fast(replace(policy, rotate_every=360), "RS256") is None
    assert explain_too_fast(replace(policy, rotate_every=0), "RS256") is None


@pytest.mark.rfc("roll-5")
def test_a_rotation_by_time_must_not_overfill_the_set():
    """As many keys as overlap, and those that are prepared and sign, are what validators take."""
    policy = RingPolicy(jwks_max_age=300, longest_token=86_400, rotate_every=1_800)

    assert explain_too_fast(policy, "RS256") == (
        "keys cannot be rotated every 1800 s: a key stays published 86820 s beside the time that "
        "it signs (longest token 86400 + leeway 60 + 360 ahead), which makes 51 keys in the set, "
        "and validators take 50 of RS256; the least is 1809"
    )
    assert explain_too_fast(replace(policy, rotate_every=1_809), "RS256") is None
    assert "the least is 5427" in str(explain_too_fast(policy, "ML-DSA-87"))
    just_published = str(explain_too_fast(replace(policy, rotate_every=360), "RS256"))
    assert "which makes 244 keys in the set" in just_published


@pytest.mark.rfc("roll-5")
def test_keys_of_several_algorithms_share_the_set():
    """Each of them is rotated, so the room of each is smaller; of too many there is none."""
    policy = RingPolicy(jwks_max_age=300, longest_token=86_400, rotate_every=1_809)

    assert str(explain_too_fast(policy, "ES256", "RS256")).endswith(
        "which makes 50 keys in the set, and validators take 25 of ES256, RS256 each; "
        "the least is 3775"
    )
    assert explain_too_fast(replace(policy, rotate_every=3_775), "ES256", "RS256") is None
    assert "validators take 2 of each in a set" in str(explain_too_fast(policy, *ALGORITHMS))
    few = str(explain_too_fast(policy, *list(ALGORITHMS)[:-1]))
    assert "validators take 3 of" in few
    assert "the least is 86820" in few


@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_as_many_keys_as_are_counted_on_fit_a_set(alg):
    """Of keys that are as large as any algorithm asks for."""
    bits = 3072 if algorithm(alg).kty == "RSA" else None
    jwk = public_jwk(generate_private_key(alg, bits=bits), alg)
    fitting = next(count for count in range(50, 0, -1) if fits_jwk_set([jwk] * count))
    policy = RingPolicy(rotate_every=400)

    assert f"and validators take {fitting} of {alg};" in str(explain_too_fast(policy, alg))


@pytest.mark.parametrize("made_ahead", [60, 3_600])
def test_the_first_key_of_a_store_signs_whatever_a_further_algorithm_has(made_ahead):
    """It was made by a clock that was ahead; a key of another algorithm begins before its date."""
    first = RingKey(
        kid="a", alg="RS256", published_at=100 + made_ahead, signs_from=100 + made_ahead
    )
    further = RingKey(kid="b", alg="ES256", published_at=100, signs_from=100)
    waiting = RingKey(kid="c", alg="EdDSA", published_at=100, signs_from=101)
    signing = signing_keys(derive_ring([first, further, waiting], 100, POLICY))
    assert {alg: key.kid for alg, key in signing.items()} == {"RS256": "a", "ES256": "b"}
