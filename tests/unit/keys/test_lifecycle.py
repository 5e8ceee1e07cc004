"""The plans that change a key store: what is generated, dated, withdrawn and deleted, and when."""

from dataclasses import replace

import pytest

from keys.errors import KeyFromTheFuture, KeyInUse, KeyStoreError, NoSuchKey, RotationUnderWay
from keys.lifecycle import (
    Delete,
    Generate,
    Plan,
    Reschedule,
    Withdraw,
    apply_change,
    plan_deletion,
    plan_rotation,
    plan_upkeep,
    plan_withdrawal,
)
from keys.ring import RingKey, RingPolicy, derive_ring, published, signing_keys
from tests.unit.keys.test_ring import key, prepared

POLICY = RingPolicy(jwks_max_age=300, longest_token=1_000, leeway=60)
BY_TIME = replace(POLICY, rotate_every=10_000)
NOW = 1_800_000_000
NEW = {"alg": "RS256", "published_at": NOW}


def carry_out(plan: Plan, *ring: RingKey) -> tuple[RingKey, ...]:
    """Return the keys after a plan; new ones are called new0, new1…"""
    for number, change in enumerate(plan):
        ring = apply_change(ring, change, f"new{number}")
    return ring


def signs(ring: tuple[RingKey, ...], now: int, alg: str = "RS256") -> str | None:
    """Return the kid of the key that signs."""
    found = signing_keys(derive_ring(ring, now, POLICY)).get(alg)
    return found and found.kid


# upkeep ----------------------------------------------------------------------------------------


def test_a_signing_key_gets_a_prepared_successor():
    """It is published and has no date; where there is one, nothing is done."""
    plan = plan_upkeep((key("a", NOW - 5),), NOW, POLICY, ["RS256"])

    assert plan == (Generate(**NEW, signs_from=None),)
    assert plan_upkeep(carry_out(plan, key("a", NOW - 5)), NOW, POLICY, ["RS256"]) == ()


def test_each_algorithm_in_use_has_a_successor():
    """In one plan, whichever of them lacks one."""
    plan = plan_upkeep((key("a", 5), key("e", 6, alg="ES256")), NOW, POLICY, ["RS256", "ES256"])

    assert [(change.alg, change.signs_from) for change in plan] == [
        ("ES256", None),
        ("RS256", None),
    ]


def test_an_empty_store_is_never_filled():
    """The first key is for the operator to make; so is the first of a further algorithm."""
    assert plan_upkeep((), NOW, POLICY, ["RS256"]) == ()
    assert plan_upkeep((key("a", 5), prepared("n", 6)), NOW, POLICY, ["ES256", "RS256"]) == ()


@pytest.mark.parametrize(
    ("signs_from", "date"), [(NOW - 5, NOW + 9_995), (NOW - 20_000, NOW + 360)]
)
@pytest.mark.rfc("roll-1")
def test_a_successor_is_dated_where_keys_are_rotated_by_time(signs_from, date):
    """A term after the one that signs began, and never before every validator can know it."""
    plan = plan_upkeep((key("a", signs_from),), NOW, BY_TIME, ["RS256"])

    assert plan == (Generate(**NEW, signs_from=date),)


@pytest.mark.parametrize(
    ("signs_from", "published_at", "date"),
    [
        (NOW - 5_000, NOW - 4_000, NOW + 5_000),
        (NOW - 9_999, NOW - 100, NOW + 260),
        (NOW - 50_000, NOW - 40_000, NOW),
    ],
)
def test_a_prepared_key_is_dated_once_keys_are_rotated_by_time(signs_from, published_at, date):
    """Never in the past: the key that signs now has not been superseded."""
    ring = (key("a", signs_from), prepared("n", published_at), prepared("m", published_at + 1))
    plan = plan_upkeep(ring, NOW, BY_TIME, ["RS256"])

    assert plan == (Reschedule(kid="n", signs_from=date),)
    assert plan_upkeep(carry_out(plan, *ring), NOW, BY_TIME, ["RS256"])[:1] in (
        (),
        (Reschedule(kid="m", signs_from=NOW + 10_000),),  # where n signs already
    )


def test_a_date_is_never_changed_by_upkeep():
    """Whatever the term is now."""
    ring = (key("a", NOW - 50_000), key("b", NOW + 77))

    assert plan_upkeep(ring, NOW, BY_TIME, ["RS256"]) == ()
    assert plan_upkeep(ring, NOW, POLICY, ["RS256"]) == ()


def test_the_first_key_of_an_algorithm_gets_a_successor_while_it_waits():
    """There is always one, should the first have to be withdrawn."""
    ring = (key("a", NOW - 5), prepared("n", NOW), key("e", NOW + 360, alg="ES256"))
    plan = plan_upkeep(ring, NOW, BY_TIME, ["ES256"])

    assert plan == (Generate(alg="ES256", published_at=NOW, signs_from=NOW + 10_360),)


def test_a_prepared_key_takes_the_place_of_one_that_was_removed_by_hand():
    """At once if it is the only one that signs, and by the rule if others do."""
    alone = plan_upkeep((prepared("n", NOW - 100),), NOW, POLICY, ["RS256"])
    among = plan_upkeep(
        (key("e", 5, alg="ES256"), prepared("n", NOW - 100)), NOW, POLICY, ["RS256"]
    )

    assert alone == (Reschedule(kid="n", signs_from=NOW), Generate(**NEW, signs_from=None))
    assert among == (Reschedule(kid="n", signs_from=NOW + 260), Generate(**NEW, signs_from=None))


def test_a_key_made_while_a_clock_was_ahead_is_no_successor():
    """It would take over in a year; until its date has come another one is prepared."""
    ring = (key("a", NOW - 5), prepared("future", NOW + 31_536_000))

    assert plan_upkeep(ring, NOW, POLICY, ["RS256"]) == (Generate(**NEW, signs_from=None),)


def test_nothing_is_planned_by_a_clock_that_may_be_behind():
    """A key that is new by that clock would take a turn that is past, in the place of another."""
    dated = key("b", NOW + POLICY.slack + POLICY.publish_ahead + 1)
    ring = (key("a", NOW - 5), dated)

    assert plan_upkeep(ring, NOW, BY_TIME, ["RS256"]) == ()
    withdrawn = replace(dated, withdrawn_at=NOW)
    assert len(plan_upkeep((ring[0], withdrawn), NOW, BY_TIME, ["RS256"])) == 1


# rotation --------------------------------------------------------------------------------------


@pytest.mark.rfc("roll-1", "roll-4")
def test_the_prepared_successor_takes_over_at_once_if_it_is_known():
    """And another one is prepared in the same step."""
    ring = (key("a", NOW - 9_000), prepared("n", NOW - 360))
    plan = plan_rotation(ring, NOW, POLICY, "RS256")

    assert plan == (Reschedule(kid="n", signs_from=NOW), Generate(**NEW, signs_from=None))
    assert signs(carry_out(plan, *ring), NOW) == "n"


@pytest.mark.rfc("roll-1")
def test_a_successor_that_is_not_known_yet_takes_over_when_it_is():
    """It signs a little later; meanwhile it is the one that is prepared."""
    ring = (key("a", NOW - 9_000), prepared("n", NOW - 359))

    assert plan_rotation(ring, NOW, POLICY, "RS256") == (Reschedule(kid="n", signs_from=NOW + 1),)


def test_a_rotation_without_a_successor_makes_one():
    """The provider has not run yet."""
    plan = plan_rotation((key("a", NOW - 9_000),), NOW, POLICY, "RS256")

    assert plan == (Generate(**NEW, signs_from=NOW + 360),)


def test_a_rotation_comes_before_its_date():
    """Keys that are rotated by time can be rotated earlier; the next term counts from then."""
    ring = (key("a", NOW - 5_000), replace(prepared("n", NOW - 900), signs_from=NOW + 5_000))
    plan = plan_rotation(ring, NOW, BY_TIME, "RS256")

    assert plan == (
        Reschedule(kid="n", signs_from=NOW),
        Generate(**NEW, signs_from=NOW + 10_000),
    )


@pytest.mark.parametrize(
    "ring",
    [
        (key("a", NOW - 9_000), prepared("n", NOW - 900)),
        (key("a", NOW - 9_000), prepared("n", NOW - 9)),
        (key("a", NOW - 9_000),),
        (key("a", NOW),),
    ],
    ids=["known successor", "young successor", "no successor", "first key"],
)
@pytest.mark.parametrize("later", [0, 1, POLICY.slack - 1])
def test_two_rotations_at_one_instant_make_one(ring, later):
    """The second finds it under way, and says since when or from when on."""
    after = carry_out(plan_rotation(ring, NOW, POLICY, "RS256"), *ring)

    with pytest.raises(RotationUnderWay, match=r"2027-01-15T08:"):
        plan_rotation(after, NOW + later, POLICY, "RS256")


def test_a_date_put_off_by_a_second_is_a_rotation_under_way():
    """The second at which every validator knows the successor is that of another key."""
    ring = (key("a", NOW + 1), replace(prepared("n", NOW - 359), signs_from=NOW + 2))

    with pytest.raises(RotationUnderWay, match="key n signs from 2027-01-15T08:00:02Z on"):
        plan_rotation(ring, NOW, POLICY, "RS256")


def test_a_rotation_leaves_the_second_of_another_key():
    """Also of one that is dated by a clock that is ahead, and takes its turn when it has come."""
    ahead = RingKey(kid="z", alg="RS256", published_at=NOW + 200, signs_from=NOW + 260)
    ring = (key("a", NOW - 9_000), prepared("n", NOW - 100), ahead)

    plan = plan_rotation(ring, NOW, POLICY, "RS256")
    assert plan == (Reschedule(kid="n", signs_from=NOW + 261),)


def test_no_plan_gives_a_second_that_another_key_of_the_algorithm_has():
    """Not that of a withdrawn one either, whose turn it may have been."""
    first = key("a", NOW - 5)
    taken = key("x", NOW + 9_995, withdrawn_at=NOW - 1)
    upkeep = plan_upkeep((first, taken), NOW, BY_TIME, ["RS256"])
    assert upkeep == (Generate(**NEW, signs_from=NOW + 9_996),)
    taken = replace(taken, signs_from=NOW + 360)
    rotation = plan_rotation((first, taken), NOW, POLICY, "RS256")
    assert rotation == (Generate(**NEW, signs_from=NOW + 361),)
    taken = replace(taken, signs_from=NOW)
    withdrawal = plan_withdrawal((first, taken), "a", NOW, POLICY)
    assert withdrawal[0] == Generate(**NEW, signs_from=NOW + 1)
    other = plan_withdrawal((first, replace(taken, alg="ES256")), "a", NOW, POLICY)
    assert other[0] == Generate(**NEW, signs_from=NOW)


def test_a_successor_never_starts_before_the_key_that_it_follows():
    """A clock that is a little behind, or the second of a withdrawal, may date that one ahead."""
    ring = (key("a", NOW + 1), prepared("n", NOW - 400))
    assert plan_rotation(ring, NOW, POLICY, "RS256")[0] == Reschedule(kid="n", signs_from=NOW + 2)
    rehearsal = RingPolicy(jwks_max_age=0)
    plan = plan_rotation((key("a", NOW + 2),), NOW, rehearsal, "RS256")
    assert plan == (Generate(**NEW, signs_from=NOW + 3),)


def test_the_next_rotation_may_begin_when_the_last_is_settled():
    """After the slack, for nodes whose clocks differ; the new successor has to become known."""
    ring = (key("a", NOW - 9_000), prepared("n", NOW - 900))
    after = carry_out(plan_rotation(ring, NOW, POLICY, "RS256"), *ring)

    plan = plan_rotation(after, NOW + POLICY.slack, POLICY, "RS256")
    assert plan == (Reschedule(kid="new1", signs_from=NOW + 360),)


def test_what_does_not_sign_cannot_be_rotated():
    """There is no key, only one without a date, or the first one waits."""
    first = (key("a", 5), prepared("m", 6), key("e", NOW + 60, alg="ES256"))

    with pytest.raises(NoSuchKey, match="run: watchword keys generate --alg RS256"):
        plan_rotation((), NOW, POLICY, "RS256")
    with pytest.raises(NoSuchKey):
        plan_rotation((key("a", 5), prepared("f", 6, alg="ES256")), NOW, POLICY, "ES256")
    with pytest.raises(RotationUnderWay, match="key e signs from 2027-01-15T08:01:00Z on"):
        plan_rotation(first, NOW, POLICY, "ES256")


def test_no_key_is_rotated_while_the_clock_is_behind_it():
    """The new key's turn would be before that of the one that signs: it would sign unknown."""
    with pytest.raises(KeyFromTheFuture, match="correct the clock before keys are rotated"):
        plan_rotation((key("a", NOW + 9_000),), NOW, POLICY, "RS256")


# revocation ------------------------------------------------------------------------------------


@pytest.mark.rfc("roll-4")
def test_the_successor_published_longest_signs_at_once():
    """The withdrawn key is not published any more; another successor is prepared."""
    ring = (key("a", NOW - 9_000), replace(key("b", NOW + 50)), prepared("n", NOW - 900))
    plan = plan_withdrawal(ring, "a", NOW, POLICY)
    after = carry_out(plan, *ring)

    assert plan == (Reschedule(kid="n", signs_from=NOW), Withdraw(kid="a", at=NOW))
    assert signs(after, NOW) == "n"
    assert "a" not in {each.kid for each in published(derive_ring(after, NOW, POLICY))}
    assert plan_withdrawal(after, "n", NOW + 1, POLICY)[-1] == Generate(
        alg="RS256", published_at=NOW + 1, signs_from=None
    )


def test_a_key_withdrawn_in_the_second_in_which_it_began_has_a_successor():
    """The successor comes after it, and signs at once all the same."""
    plan = plan_withdrawal((key("a", NOW),), "a", NOW, POLICY)
    after = carry_out(plan, key("a", NOW))

    assert plan == (
        Generate(**NEW, signs_from=NOW + 1),
        Withdraw(kid="a", at=NOW),
        Generate(**NEW, signs_from=None),
    )
    assert signs(after, NOW) == signs(after, NOW + 1) == "new0"


def test_a_key_that_signs_since_the_clock_jumped_back_can_be_withdrawn():
    """It has a successor before and after the clock is right again."""
    ring = (key("a", NOW + 3_600), prepared("n", NOW - 5))
    after = carry_out(plan_withdrawal(ring, "a", NOW, POLICY), *ring)

    assert signs(after, NOW) == signs(after, NOW + 3_600) == signs(after, NOW + 9_999) == "n"


def test_a_key_without_a_date_that_signs_can_be_withdrawn():
    """All others were removed by hand."""
    ring = (prepared("n", NOW - 5), prepared("m", NOW - 4))
    after = carry_out(plan_withdrawal(ring, "n", NOW, POLICY), *ring)

    assert signs(after, NOW) == "m"


@pytest.mark.parametrize("kid", ["old", "n"])
def test_withdrawing_a_key_that_does_not_sign_changes_nobody_who_does(kid):
    """A retiring or a pending one; a prepared successor is there afterwards."""
    ring = (key("old", NOW - 9_000), key("a", NOW - 5), prepared("n", NOW - 900))
    plan = plan_withdrawal(ring, kid, NOW, POLICY)

    assert plan[0] == Withdraw(kid=kid, at=NOW)
    assert plan[1:] == ((Generate(**NEW, signs_from=None),) if kid == "n" else ())
    assert signs(carry_out(plan, *ring), NOW) == "a"


def test_what_is_not_published_cannot_be_withdrawn():
    """Unknown, gone and revoked keys, each with its reason."""
    ring = (key("old", 5), key("a", 10), key("x", 20, withdrawn_at=30), key("b", 40))

    with pytest.raises(NoSuchKey, match="there is no such key; see: watchword keys list"):
        plan_withdrawal(ring, "none", NOW, POLICY)
    with pytest.raises(KeyStoreError, match="key x is revoked already"):
        plan_withdrawal(ring, "x", NOW, POLICY)
    with pytest.raises(KeyStoreError, match="key old is gone already"):
        plan_withdrawal(ring, "old", NOW, POLICY)


# deletion --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", ["gone", "x", "n"])
def test_keys_that_nobody_needs_can_be_deleted(kid):
    """Gone, revoked and pending ones; what is left is as it was."""
    ring = (
        key("gone", 5),
        key("a", 10),
        key("x", NOW - 70, withdrawn_at=NOW - 60),
        key("b", NOW - 60),
        prepared("n", NOW),
    )
    plan = plan_deletion(ring, kid, NOW, POLICY)

    assert plan == (Delete(kid=kid),)
    assert kid not in {each.kid for each in carry_out(plan, *ring)}
    assert signs(carry_out(plan, *ring), NOW) == "b"


def test_keys_in_use_cannot_be_deleted():
    """The line says what to do instead, and until when to wait."""
    ring = (key("old", NOW - 9_000), key("a", NOW - 5))

    with pytest.raises(KeyInUse, match="is signing; run: watchword keys rotate, or:"):
        plan_deletion(ring, "a", NOW, POLICY)
    with pytest.raises(KeyInUse, match="is published until 2027-01-15T08:17:35Z"):
        plan_deletion(ring, "old", NOW, POLICY)
    with pytest.raises(NoSuchKey):
        plan_deletion(ring, "none", NOW, POLICY)


def test_a_key_that_is_about_to_sign_cannot_be_deleted():
    """A node whose clock is ahead may have signed with it; beyond the slack no clock is."""
    soon, later = NOW + POLICY.slack, NOW + POLICY.slack + 1

    with pytest.raises(KeyInUse, match="signs from 2027-01-15T08:01:00Z on"):
        plan_deletion((key("a", 5), key("n", soon)), "n", NOW, POLICY)
    ring = (key("a", 5), key("n", later))
    assert plan_deletion(ring, "n", NOW, POLICY) == (Delete(kid="n"),)


def test_a_key_that_was_revoked_just_now_cannot_be_deleted():
    """By a clock that is behind, its successor signs because this one was withdrawn."""
    ring = (key("a", 5, withdrawn_at=NOW), key("b", NOW))
    assert signs(ring, NOW - 5) == "b"

    with pytest.raises(KeyInUse, match="can be deleted from 2027-01-15T08:01:00Z on"):
        plan_deletion(ring, "a", NOW + 59, POLICY)
    assert plan_deletion(ring, "a", NOW + 60, POLICY) == (Delete(kid="a"),)


def test_no_deletion_brings_an_older_key_back():
    """When a key is gone follows from when its successor took over."""
    ring = (key("old", 5), key("x", 10, withdrawn_at=NOW - 60), key("a", NOW - 60))

    with pytest.raises(KeyInUse, match="first run: watchword keys delete old"):
        plan_deletion(ring, "x", NOW, POLICY)
    assert plan_deletion(ring[1:], "x", NOW, POLICY) == (Delete(kid="x"),)
