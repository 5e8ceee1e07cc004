"""The decisions about the key set, with a clock turned by hand."""

import pytest

from keys.jwks import JwkSet
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    Refuse,
    after_failure,
    after_success,
    decide,
    lifetime_of,
)
from tests.support.keys import public_rsa_jwk

POLICY = CachePolicy()
KEY = public_rsa_jwk()
KEYS = JwkSet(keys=(KEY,))


def fetched(now: float = 0, keys: JwkSet | None = KEYS, before: CacheState | None = None):
    """Give the state after a fetch at this moment, with a lifetime of 300 s."""
    return after_success(
        before or CacheState(), POLICY, now=now, keys=keys, etag='"1"', lifetime=300
    )


@pytest.mark.rfc("roll-5")
def test_known_kid_never_fetches_while_the_set_is_usable() -> None:
    """Fresh, due for refresh or stale: a known kid is answered at once."""
    state = fetched()
    for now in (0, 239, 240, 299, 300, 3899):
        assert decide(state, KEY.kid, "RS256", now) is KEY
    assert [state.refresh_due(now) for now in (0, 239, 240)] == [False, False, True]


@pytest.mark.rfc("roll-5")
def test_set_dies_some_time_after_it_went_stale() -> None:
    """The last good set serves an hour beyond its lifetime, then a new one must be had."""
    assert decide(fetched(), KEY.kid, "RS256", 3900) == Fetch()
    failed = after_failure(fetched(), POLICY, now=3900)
    assert decide(failed, KEY.kid, "RS256", 3900) == Refuse(1)


@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize(("kid", "alg"), [("unknown", "RS256"), (KEY.kid, "PS256")])
def test_unknown_key_may_cause_one_fetch_per_cooldown(kid: str, alg: str) -> None:
    """A fetch, good or bad, buys thirty seconds of refusals."""
    state = fetched(now=0)
    assert decide(state, kid, alg, 29.9) == Refuse(None)
    assert decide(state, kid, alg, 30) == Fetch()
    state = after_failure(state, POLICY, now=30)
    assert decide(state, kid, alg, 59.9) == Refuse(None)
    assert decide(state, kid, alg, 60) == Fetch()


def test_cold_start_tries_soon_and_then_less_often() -> None:
    """Without any set the wait is 1, 2, 4 … 30 seconds, so that a late issuer is found quickly."""
    state, now, waits = CacheState(), 0.0, []
    for _ in range(7):
        assert decide(state, KEY.kid, "RS256", now) == Fetch()
        state = after_failure(state, POLICY, now=now)
        refusal = decide(state, KEY.kid, "RS256", now)
        assert isinstance(refusal, Refuse)
        waits.append(refusal.retry_after)
        now = state.retry_at
    assert waits == [1, 2, 4, 8, 16, 30, 30]


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
        ({"cache-control": "max-age=0"}, 10),
        ({"cache-control": "max-age=86400"}, 3600),
        ({"cache-control": "max-age=99999999999999999999"}, 300),
        ({"cache-control": "max-age=-1"}, 300),
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
    assert (state.usable(0), state.refresh_due(0)) == (None, True)
    assert decide(state, KEY.kid, "RS256", 0) == Fetch()


def test_a_refresh_waits_for_the_cooldown_after_a_failure() -> None:
    """A refresh that is due and has failed is not due again before the wait is over."""
    state = after_failure(fetched(), POLICY, now=240)
    assert [state.refresh_due(now) for now in (240, 269.9, 270)] == [False, False, True]


def test_a_success_forgets_the_failures_and_keeps_the_tag() -> None:
    """After an answer the count starts anew, and the next question says what is known."""
    failed = after_failure(after_failure(fetched(), POLICY, now=300), POLICY, now=330)
    assert (failed.failures, failed.etag, failed.keys) == (2, '"1"', KEYS)
    state = fetched(360, None, failed)
    assert state == CacheState(
        keys=KEYS, etag='"1"', refresh_at=600, dead_at=4260, retry_at=390, failures=0
    )


def test_a_wait_that_is_nearly_over_is_a_second() -> None:
    """RFC 9110 §10.2.3: whole seconds, and never zero."""
    state = after_failure(CacheState(), POLICY, now=0)
    assert decide(state, KEY.kid, "RS256", 0.9) == Refuse(1)
    later = after_failure(after_failure(state, POLICY, now=1), POLICY, now=3)
    assert decide(later, KEY.kid, "RS256", 3.4) == Refuse(4)
    assert decide(later, KEY.kid, "RS256", 3.6) == Refuse(3)


def test_a_dead_set_waits_as_no_set_does() -> None:
    """Once nothing can be served, the first wait is short; before, it is the whole cool-down."""
    state = fetched()
    assert after_failure(state, POLICY, now=3899).retry_at == 3929
    assert after_failure(state, POLICY, now=3900).retry_at == 3901
    long_failed = CacheState(failures=10_000)
    assert after_failure(long_failed, CachePolicy(cooldown=10**6), now=0).retry_at == 2.0**16


def test_an_unknown_key_is_refused_after_a_known_one_was_found() -> None:
    """A key set that served one token does not serve a token of another key or algorithm."""
    state = fetched()
    for _ in range(2):
        assert decide(state, KEY.kid, "RS256", 1) is KEY
        assert decide(state, KEY.kid + "x", "RS256", 1) == Refuse(None)
        assert decide(state, KEY.kid, "PS256", 1) == Refuse(None)
