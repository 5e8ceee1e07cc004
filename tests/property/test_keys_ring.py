"""Invariants of the key ring, over any succession of keys and any clock."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.lifecycle import apply_change, plan_generation
from keys.ring import KeyState, RingKey, RingPolicy, derive_ring, published, signing_keys

TIMES = st.integers(min_value=0, max_value=200_000)
SPANS = st.integers(min_value=0, max_value=5_000)
POLICIES = st.builds(RingPolicy, jwks_max_age=SPANS, longest_token=SPANS, leeway=SPANS)
KEYS = st.builds(
    RingKey,
    kid=st.text("abc", min_size=1, max_size=4),
    alg=st.sampled_from(["RS256", "ES256"]),
    published_at=TIMES,
    signs_from=TIMES | st.none(),
    withdrawn_at=st.none() | TIMES,
)
RINGS = st.lists(KEYS, max_size=8, unique_by=lambda key: key.kid)
ORDER = list(KeyState)
# How fast a machine is does not decide what is right.
UNHURRIED = settings(deadline=None)


def placed(
    ring: list[RingKey], kid: str, now: int, policy: RingPolicy, activate_in: int | None = None
) -> RingKey:
    """Return a new key with the times that it is given."""
    (change,) = plan_generation(tuple(ring), now, policy, "RS256", activate_in=activate_in)
    return apply_change((), change, kid)[0]


@st.composite
def grown_rings(draw: st.DrawFn) -> tuple[list[RingKey], RingPolicy]:
    """Grow a ring as operators do: keys are added one by one, at times that never run back."""
    policy = draw(POLICIES)
    ring: list[RingKey] = []
    now = draw(TIMES)
    for number in range(draw(st.integers(min_value=1, max_value=6))):
        ring.append(placed(ring, f"k{number}", now, policy))
        now += draw(SPANS)
    return ring, policy


@UNHURRIED
@given(RINGS, TIMES, POLICIES)
def test_at_most_one_key_of_each_algorithm_signs(ring, now, policy):
    """And exactly one of some algorithm, whatever the clock says, if none was withdrawn."""
    entries = derive_ring(ring, now, policy)
    active = Counter(entry.key.alg for entry in entries if entry.state is KeyState.ACTIVE)

    assert Counter(entry.key for entry in entries) == Counter(ring)
    assert all(count == 1 for count in active.values())
    if ring and all(key.withdrawn_at is None for key in ring):
        assert active


@UNHURRIED
@given(RINGS, TIMES, POLICIES)
def test_no_withdrawn_key_signs_or_is_published(ring, now, policy):
    """Whenever and however often the others take turns."""
    entries = derive_ring(ring, now, policy)
    used = {*published(entries), *signing_keys(entries).values()}

    assert set(signing_keys(entries).values()) <= set(published(entries))
    assert all(key.withdrawn_at is None for key in used)


@UNHURRIED
@given(RINGS, TIMES, POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_the_keys_does_not_matter(ring, now, policy, random):
    """Two nodes that list a folder differently agree."""
    shuffled = random.sample(ring, len(ring))

    assert derive_ring(ring, now, policy) == derive_ring(shuffled, now, policy)


@UNHURRIED
@given(RINGS, TIMES, TIMES, POLICIES)
def test_states_only_move_forward(ring, earlier, span, policy):
    """As time goes on, no key returns to a state that it has left, once the first turn has come."""
    earlier += min((key.signs_from for key in ring if key.signs_from is not None), default=0)
    before = derive_ring(ring, earlier, policy)
    after = derive_ring(ring, earlier + span, policy)

    for old, new in zip(before, after, strict=True):
        assert old.key == new.key
        assert ORDER.index(old.state) <= ORDER.index(new.state)


@pytest.mark.rfc("roll-2")
@UNHURRIED
@given(RINGS, TIMES, SPANS, POLICIES)
def test_the_key_of_a_token_is_published_for_the_life_of_the_token(ring, issued_at, age, policy):
    """Also for the longest token, with leeway, signed in the last second before supersession."""
    for signed_by in signing_keys(derive_ring(ring, issued_at, policy)).values():
        superseded_at = next(
            entry.superseded_at
            for entry in derive_ring(ring, issued_at, policy)
            if entry.key == signed_by
        )
        moments = {issued_at} if superseded_at is None else {issued_at, superseded_at - 1}
        for moment in moments:
            seen = moment + min(age, policy.longest_token + policy.leeway - 1)
            assert signed_by in published(derive_ring(ring, max(seen, moment), policy))


@pytest.mark.rfc("roll-1")
@UNHURRIED
@given(grown_rings())
def test_a_key_is_published_for_long_enough_before_it_signs(grown):
    """Every successor is in the set for max-age and slack before its first signature."""
    ring, policy = grown
    for successor in ring[1:]:
        assert successor.signs_from - successor.published_at >= policy.publish_ahead
        just_before = derive_ring(ring, successor.signs_from - 1, policy)
        assert signing_keys(just_before)["RS256"] != successor
        at_publication = [key for key in ring if key.published_at <= successor.published_at]
        assert successor in published(derive_ring(at_publication, successor.published_at, policy))


@UNHURRIED
@given(grown_rings(), TIMES)
def test_a_new_key_takes_over_at_its_time(grown, later):
    """The newest key that has started is the one that signs; a grown ring has no ties."""
    ring, policy = grown
    now = ring[0].signs_from + later
    started = [key for key in ring if key.signs_from <= now]

    assert signing_keys(derive_ring(ring, now, policy))["RS256"] == max(
        started, key=lambda key: key.signs_from
    )
    assert len({key.signs_from for key in ring}) == len(ring)


@UNHURRIED
@given(grown_rings(), TIMES)
def test_a_clock_that_jumps_back_leaves_a_published_key_signing(grown, before):
    """Before all starts the first key signs, which every validator has known for longest."""
    ring, policy = grown
    entries = derive_ring(ring, ring[0].signs_from - 1 - before, policy)

    assert signing_keys(entries)["RS256"] == ring[0]
    assert set(published(entries)) == set(ring)


@UNHURRIED
@given(grown_rings(), TIMES, st.integers(min_value=0, max_value=10_000) | st.none())
def test_adding_a_key_changes_nobody_who_signs_now(grown, later, activate_in):
    """At the moment of its making a new key that waits leaves the signing key in place."""
    ring, policy = grown
    now = ring[-1].published_at + later
    signing = signing_keys(derive_ring(ring, now, policy))["RS256"]
    new = placed(ring, "new", now, policy, activate_in)

    signs_next = signing_keys(derive_ring([*ring, new], now, policy))["RS256"]
    assert signs_next == (new if new.signs_from <= now else signing)
