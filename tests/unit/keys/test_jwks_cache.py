"""The decisions about the key set, with a clock turned by hand."""

from dataclasses import replace
from typing import Any

import pytest

from keys.jwks import JwkSet
from keys.remote.answer import Fetched
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    Freshness,
    KeySetState,
    KeySetStatus,
    Refuse,
    after_failure,
    after_restoring,
    after_success,
    decide,
    freshness_of,
    lifetime_of,
    status_of,
    while_asking_for_kid,
)
from tests.support.keys import public_rsa_jwk

POLICY = CachePolicy()
KEY = public_rsa_jwk()
KEYS = JwkSet(keys=(KEY,))


FRESHNESS = Freshness(check_after=240, fresh_for=300, dead_after=3900)


def fetched(
    now: float = 0,
    keys: JwkSet | None = KEYS,
    before: CacheState | None = None,
    freshness: Freshness = FRESHNESS,
    **more: Any,
) -> CacheState:
    """Give the state after a fetch at this moment, by default with a lifetime of 300 s."""
    return after_success(
        before or CacheState(),
        POLICY,
        **{"started": now, "now": now, "keys": keys, "etag": '"1"', "freshness": freshness} | more,
    )


@pytest.mark.rfc("roll-5")
def test_known_kid_never_fetches_while_the_set_is_usable() -> None:
    """Fresh, due for refresh or stale: a known kid is answered at once."""
    state = fetched()
    for now in (0, 239, 240, 299, 300, 3899):
        assert decide(state, KEY.kid, "RS256", now) is KEY
    assert state.refresh_at == 240


@pytest.mark.rfc("roll-5")
def test_set_dies_some_time_after_it_went_stale() -> None:
    """The last good set serves an hour beyond its lifetime, then a new one must be had."""
    assert decide(fetched(), KEY.kid, "RS256", 3900) == Fetch()
    failed = after_failure(fetched(), POLICY, now=3900)
    assert decide(failed, KEY.kid, "RS256", 3900) == Refuse(1)
    assert (failed.keys, failed.etag) == (None, None)


@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize(("kid", "alg"), [("unknown", "RS256"), (KEY.kid, "PS256")])
@pytest.mark.parametrize("good", [True, False])
def test_unknown_key_may_cause_one_fetch_per_cooldown(kid: str, alg: str, good: bool) -> None:
    """A fetch on its account, good or bad, buys thirty seconds of refusals."""
    state = fetched()
    assert decide(state, kid, alg, 0.1) == Fetch()
    state = while_asking_for_kid(state, POLICY, now=0.1)
    answered, failed = fetched(0.1, None, state), after_failure(state, POLICY, now=5.1)
    state = answered if good else failed
    assert decide(state, kid, alg, 30) == Refuse(None)
    assert decide(state, kid, alg, 30.1) == Fetch()


def test_the_schedule_leaves_the_fetch_for_an_unknown_kid() -> None:
    """A routine refresh just before a new key was published does not keep the key away."""
    state = fetched()
    for now in (8, 16, 24):
        state = fetched(now, None, state)
        assert decide(state, "new", "RS256", now + 0.01) == Fetch()


def test_a_set_that_was_asked_for_after_the_token_came_is_conclusive() -> None:
    """A request that waited for a fetch causes no second one."""
    assert decide(fetched(5), "unknown", "RS256", 6, since=5) == Refuse(None)
    assert decide(fetched(5), "unknown", "RS256", 6, since=5.5) == Fetch()
    assert decide(fetched(5), "unknown", "RS256", 5) == Refuse(None)


def test_a_kid_that_a_fetch_did_not_bring_leaves_the_next_one_to_others() -> None:
    """It causes none for four cool-downs, unless the set changes; another kid does."""
    state = fetched(0.1, None, while_asking_for_kid(fetched(), POLICY, now=0.1), kid="bad")
    assert decide(state, "bad", "RS256", 31) == Refuse(None)
    assert decide(state, "other", "RS256", 31) == Fetch()
    assert decide(state, "bad", "RS256", 120.1) == Fetch()
    same = fetched(31, None, state, kid="other")
    assert [kid for kid, _ in same.absent] == ["bad", "other"]
    assert [kid for kid, _ in fetched(120.1, None, same).absent] == ["other"]
    changed = fetched(31, JwkSet(keys=(public_rsa_jwk(1),)), state)
    assert changed.absent == ()
    assert decide(changed, "bad", "RS256", 32) == Fetch()


def test_cold_start_tries_soon_and_then_less_often() -> None:
    """Without any set the wait is 1, 2, 4 … 30 seconds, so that a late issuer is found quickly."""
    state, now, waits = CacheState(), 0.0, []
    for _ in range(7):
        assert decide(state, KEY.kid, "RS256", now) == Fetch()
        state = after_failure(state, POLICY, now=now)
        refusal = decide(state, KEY.kid, "RS256", now)
        assert isinstance(refusal, Refuse)
        waits.append(refusal.retry_after)
        now = state.refresh_at
    assert waits == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("check_after", "waits"),
    [(240, [1, 2, 4, 8, 16, 30, 30]), (8, [1, 2, 4, 8, 8]), (0.5, [1, 1])],
)
def test_an_outage_is_over_within_the_interval_of_the_issuer(
    check_after: float, waits: list[float]
) -> None:
    """With a set at hand the waits double too, up to the cool-down or what the issuer states."""
    now = 1000.0
    state = fetched(now, freshness=replace(FRESHNESS, check_after=check_after))
    for wait in waits:
        now = max(now, state.refresh_at)
        state = after_failure(state, POLICY, now=now)
        assert state.refresh_at - now == wait


def test_equal_set_stays_the_same_object() -> None:
    """304, or the same keys again, keeps what was verified under them; other keys do not."""
    before = fetched()
    assert fetched(300, None, before).keys is KEYS
    assert fetched(300, JwkSet(keys=(public_rsa_jwk(),)), before).keys is KEYS
    other = JwkSet(keys=(public_rsa_jwk(1),))
    assert fetched(300, other, before).keys is other


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({}, 300),
        ({"cache-control": "public"}, 300),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public, Max-Age=600, must-revalidate"}, 600),
        ({"cache-control": 'max-age="600"'}, 600),
        ({"cache-control": "s-maxage=5"}, 300),
        ({"cache-control": "max-age=600", "age": "100"}, 500),
        ({"cache-control": "max-age=600", "age": "x"}, 600),
        ({"cache-control": "max-age=600", "age": "-5"}, 600),
        ({"cache-control": "max-age=600", "age": "99999"}, 10),
        ({"cache-control": "max-age=600", "age": "9" * 5000}, 10),
        ({"cache-control": "max-age=600", "age": "100, 5"}, 500),
        ({"cache-control": "max-age=600", "age": "0" * 5000 + "100"}, 500),
        ({"cache-control": "max-age=0"}, 10),
        ({"cache-control": "max-age=86400"}, 3600),
        ({"cache-control": "max-age=99999999999999999999"}, 300),
        ({"cache-control": "max-age=-1"}, 300),
        ({"cache-control": "no-cache, max-age=600"}, 10),
        ({"cache-control": "private, No-Store"}, 10),
        ({"cache-control": "no-store ,max-age=600"}, 10),
        ({"cache-control": 'max-age=600, no-cache="set-cookie"'}, 600),
        ({"cache-control": "max-age=600, x-no-cache, no-cached"}, 600),
    ],
)
def test_lifetime(headers: dict[str, str], lifetime: float) -> None:
    """`max-age` less `Age`, within bounds; nonsense counts as nothing said."""
    assert lifetime_of(headers, POLICY) == lifetime


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"minimum_lifetime": 0}, "lifetimes must be ordered"),
        ({"minimum_lifetime": 400}, "lifetimes must be ordered"),
        ({"maximum_lifetime": 200}, "lifetimes must be ordered"),
        ({"refresh_at": 0}, "refresh_at within"),
        ({"refresh_at": 1.1}, "refresh_at within"),
        ({"cooldown": 0.5}, "cooldown must be at least a second"),
        ({"stale_for": -1}, "stale_for not negative"),
    ],
)
def test_impossible_policies(values: dict[str, float], told: str) -> None:
    """Bounds that contradict each other are refused."""
    with pytest.raises(ValueError, match=told):
        CachePolicy(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"minimum_lifetime": 1, "default_lifetime": 1, "maximum_lifetime": 1},
        {"refresh_at": 1},
        {"refresh_at": 0.01},
        {"cooldown": 1},
        {"stale_for": 0},
    ],
)
def test_policies_at_their_bounds(values: dict[str, float]) -> None:
    """What just contradicts nothing is accepted."""
    policy = CachePolicy(**values)
    assert {name: getattr(policy, name) for name in values} == values


def test_a_process_that_knows_nothing_may_ask_at_once() -> None:
    """From the first moment of its clock on, nothing is served and a fetch is due."""
    state = CacheState()
    assert (state.usable(0), state.refresh_at) == (None, 0)
    assert decide(state, KEY.kid, "RS256", 0) == Fetch()


def test_a_success_forgets_the_failures_and_keeps_the_tag() -> None:
    """After an answer the count starts anew, and the next question says what is known."""
    failed = after_failure(after_failure(fetched(), POLICY, now=300), POLICY, now=330)
    assert (failed.failures, failed.etag, failed.keys) == (2, '"1"', KEYS)
    state = fetched(360, None, failed)
    assert state == CacheState(
        keys=KEYS,
        etag='"1"',
        checked_at=360,
        check_after=240,
        fresh_until=660,
        dead_at=4260,
        refresh_at=600,
        failures=0,
    )


@pytest.mark.parametrize(
    ("headers", "revalidate", "expected"),
    [
        ({}, None, (240, 300, 3900)),
        ({"cache-control": "max-age=300"}, None, (240, 300, 3900)),
        ({"cache-control": "max-age=300"}, 8, (8, 300, 3900)),
        ({"cache-control": "max-age=300"}, 1, (1, 300, 3900)),
        ({"cache-control": "max-age=300"}, 1800, (240, 300, 3900)),
        ({"cache-control": "max-age=300", "age": "297"}, 8, (8, 10, 3610)),
        ({"cache-control": "no-cache"}, None, (8, 10, 3610)),
        # Not beyond what the issuer allows, and not less than the shortest lifetime.
        ({"cache-control": "max-age=300, must-revalidate"}, None, (240, 300, 300)),
        ({"cache-control": "must-revalidate,max-age=300", "age": "100"}, None, (160, 200, 200)),
        ({"cache-control": "max-age=5, must-revalidate"}, None, (8, 10, 10)),
        ({"cache-control": "max-age=20000, must-revalidate"}, None, (2880, 3600, 7200)),
        ({"cache-control": "max-age=5000, must-revalidate"}, None, (2880, 3600, 5000)),
        # What frameworks send with everything says nothing about keys.
        ({"cache-control": "no-cache, no-store, max-age=0, must-revalidate"}, None, (8, 10, 3610)),
        ({"cache-control": "max-age=60, no-store, must-revalidate"}, None, (8, 10, 3610)),
        ({"cache-control": "must-revalidate"}, None, (240, 300, 3900)),
    ],
)
def test_freshness(
    headers: dict[str, str], revalidate: int | None, expected: tuple[float, float, float]
) -> None:
    """When to ask again, how long it is fresh, and when it is dead."""
    freshness = freshness_of(Fetched(status=200, headers=headers, revalidate=revalidate), POLICY)
    assert (freshness.check_after, freshness.fresh_for, freshness.dead_after) == expected
    assert freshness.may_be_stored is ("no-store" not in headers.get("cache-control", ""))


def test_the_next_answer_is_there_in_time() -> None:
    """It is asked for earlier by as long as this one took, but not all of the time."""
    freshness = replace(FRESHNESS, check_after=8)
    assert fetched(100.5, started=100, freshness=freshness).refresh_at == 107.5
    assert fetched(105, started=100, freshness=freshness).refresh_at == 110
    assert fetched(120, started=100, freshness=freshness).refresh_at == 128


def test_a_fleet_does_not_ask_at_once() -> None:
    """The wait is up to a tenth shorter, and never longer."""
    assert fetched(jitter=1).refresh_at == 216
    assert fetched(jitter=0.5).refresh_at == 228
    assert after_failure(CacheState(), POLICY, now=0, jitter=1).refresh_at == 0.9


def test_a_set_is_not_served_past_its_end_by_the_schedule() -> None:
    """The next check is due at the latest when the set is dead, after success and failure."""
    short = Freshness(check_after=240, fresh_for=10, dead_after=10)
    state = fetched(freshness=short)
    assert state.refresh_at == 10
    assert after_failure(fetched(freshness=short), POLICY, now=9.5).refresh_at == 10
    failed = after_failure(replace(state, failures=9, refresh_at=9), POLICY, now=9)
    assert failed.refresh_at == 10


def test_a_failure_on_account_of_a_kid_leaves_the_schedule() -> None:
    """Forged kids neither delay the next check nor hasten it."""
    state = while_asking_for_kid(fetched(), POLICY, now=50)
    assert after_failure(state, POLICY, now=55).refresh_at == 240


def test_what_was_kept_from_before_serves_to_its_end() -> None:
    """A restored set is stale at once, and dies when it would have died in the process before."""
    cold = after_failure(CacheState(), POLICY, now=1000)
    state = after_restoring(cold, POLICY, now=1000, keys=KEYS, age=400, good_for=3900)
    assert decide(state, KEY.kid, "RS256", 4499) is KEY
    assert decide(state, KEY.kid, "RS256", 4500) == Fetch()
    assert state.refresh_at == 1001
    assert status_of(state, 1000.5) == KeySetStatus(
        state=KeySetState.STALE, age=400.5, next_check=0.5, failures=1, kids=(KEY.kid,)
    )
    later = after_failure(state, POLICY, now=1001)
    assert later.refresh_at == 1003
    # The file cannot grant more than the policy does.
    long = after_restoring(cold, POLICY, now=1000, keys=KEYS, age=0, good_for=10**9)
    assert long.dead_at == 1000 + 7200
    brief = after_restoring(cold, POLICY, now=1000, keys=KEYS, age=3899.5, good_for=3900)
    assert (brief.keys, brief.dead_at, brief.refresh_at) == (KEYS, 1000.5, 1000.5)
    for too_old in (3900, 4000):
        assert cold == after_restoring(
            cold, POLICY, now=1000, keys=KEYS, age=too_old, good_for=3900
        )


def test_status_for_gauges() -> None:
    """None, fresh, stale, none again; with age, next check, failures and kids."""
    assert status_of(CacheState(), 5) == KeySetStatus(
        state=KeySetState.NONE, age=None, next_check=0, failures=0, kids=()
    )
    state = fetched()
    assert status_of(state, 40) == KeySetStatus(
        state=KeySetState.FRESH, age=40, next_check=200, failures=0, kids=(KEY.kid,)
    )
    assert [status_of(state, now).state for now in (299, 300, 3899, 3900)] == [
        "fresh", "stale", "stale", "none",
    ]  # fmt: skip


def test_a_wait_that_is_nearly_over_is_a_second() -> None:
    """RFC 9110 §10.2.3: whole seconds, and never zero."""
    state = after_failure(CacheState(), POLICY, now=0)
    assert decide(state, KEY.kid, "RS256", 0.9) == Refuse(1)
    later = after_failure(after_failure(state, POLICY, now=1), POLICY, now=3)
    assert decide(later, KEY.kid, "RS256", 3.4) == Refuse(4)
    assert decide(later, KEY.kid, "RS256", 3.6) == Refuse(3)


def test_a_long_outage_does_not_overflow() -> None:
    """The wait stops doubling."""
    long_failed = CacheState(failures=10_000)
    assert after_failure(long_failed, CachePolicy(cooldown=10**6), now=0).refresh_at == 2.0**16


def test_an_unknown_key_is_refused_after_a_known_one_was_found() -> None:
    """A key set that served one token does not serve a token of another key or algorithm."""
    state = while_asking_for_kid(fetched(), POLICY, now=0)
    for _ in range(2):
        assert decide(state, KEY.kid, "RS256", 1) is KEY
        assert decide(state, KEY.kid + "x", "RS256", 1) == Refuse(None)
        assert decide(state, KEY.kid, "PS256", 1) == Refuse(None)
