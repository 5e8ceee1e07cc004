"""Fresh, near expiry or gone; and what follows from a refusal."""

import pytest

from consumer.errors import TokenEndpointUnreachable
from consumer.token_cache import (
    MAX_ORIGINS,
    FetchFirst,
    Origin,
    Refuse,
    RenewEarly,
    Token,
    TokenCache,
    Use,
)
from tests.support.consumer_flow import API, OTHER_API


def make_token(lifetime=3600.0, received_at=0.0):
    """Return a token received at moment 0."""
    return Token(value="t", received_at=received_at, lifetime=lifetime)


def cache_with(token):
    """Return a cache that has this token."""
    cache = TokenCache()
    cache.store(token, jitter=0.0)
    return cache


@pytest.mark.rfc("21-3.2.3-1")
@pytest.mark.parametrize(
    ("lifetime", "window", "end"),
    [
        (86400, (86280, 86340), 86395),
        (3600, (3480, 3540), 3595),
        (300, (210, 270), 295),
        (100, (70, 90), 95),
        (10, (7, 9), 9.5),
        (0, (0, 0), 0),
    ],
)
def test_a_token_is_renewed_early_and_given_up_before_its_end(lifetime, window, end):
    """The window takes a fifth, at most a minute; as long is left for the case that it fails."""
    token = make_token(lifetime)
    assert window == (token.renew_at(1.0), token.renew_at(0.0))
    assert token.is_usable(max(end - 0.1, 0)) is (lifetime > 0)
    assert not token.is_usable(end)


@pytest.mark.rfc("9700-4.10-1")
def test_the_value_is_in_no_representation():
    """A token in a log is a token lost."""
    assert "abc" not in repr(Token(value="abc", received_at=0.0, lifetime=1.0))


def test_the_first_failure_is_followed_by_a_second_of_quiet():
    """Where the issuer asks for less than that, or for nothing."""
    cache = TokenCache()
    error = TokenEndpointUnreachable("overloaded", retry_after=0.25)
    cache.record_failure(error, now=10.0)
    assert Refuse(error) == cache.choose(API, now=10.9)
    assert not isinstance(cache.choose(API, now=11.0), Refuse)


def test_a_short_life_is_renewed_early_too():
    """However young the clock is: a new token is renewed when it is time."""
    cache = cache_with(token := make_token(1.0))
    assert Use(token) == cache.choose(API, now=0.85)
    assert RenewEarly(token) == cache.choose(API, now=0.9)


def test_an_empty_cache_needs_a_token():
    """There is nothing to send."""
    cache = TokenCache()
    assert cache.choose(API, now=0.0) == FetchFirst()
    cache.spread(jitter=0.5)  # as in a child that was forked before the first token
    assert cache.choose(API, now=0.0) == FetchFirst()


def test_the_standing_decides():
    """Fresh is used, near expiry renewed, gone fetched anew."""
    cache = cache_with(token := make_token())
    assert Use(token) == cache.choose(API, now=0.0)
    assert RenewEarly(token) == cache.choose(API, now=3550.0)
    assert FetchFirst() == cache.choose(API, now=3600.0)


def test_a_failed_early_renewal_is_not_tried_on_each_call():
    """It backs off by 1, 2, 4 … seconds while the old token serves."""
    cache = cache_with(token := make_token())
    moment = 3540.0
    for wait in (1.0, 2.0, 4.0, 8.0):
        assert RenewEarly(token) == cache.choose(API, now=moment)
        cache.record_failure(TokenEndpointUnreachable("down"), now=moment)
        assert Use(token) == cache.choose(API, now=moment + wait - 0.1)
        moment += wait


def test_the_back_off_is_bounded():
    """However often it failed, a minute later it is tried again."""
    cache = cache_with(token := make_token())
    for _ in range(5000):
        cache.record_failure(TokenEndpointUnreachable("down"), now=3480.0)
    assert RenewEarly(token) == cache.choose(API, now=3540.0)


def test_without_a_token_the_next_caller_tries_again():
    """A failure alone does not lock anyone out, be it the first token or one after another."""
    for cache in (TokenCache(), cache_with(make_token(0.0))):
        cache.record_failure(TokenEndpointUnreachable("down"), now=0.0)
        assert FetchFirst() == cache.choose(API, now=0.0)


def test_retry_after_is_honoured():
    """An issuer that asked for quiet gets it, and callers learn at once why there is no token."""
    cache = TokenCache()
    error = TokenEndpointUnreachable("overloaded", retry_after=30.0)
    cache.record_failure(error, now=0.0)
    assert Refuse(error) == cache.choose(API, now=29.9)
    assert FetchFirst() == cache.choose(API, now=30.0)
    cache.store(token := make_token(), jitter=0.0)
    assert Use(token) == cache.choose(API, now=1.0)


def test_a_rejected_token_is_not_sent_there_again():
    """But other APIs go on with it: one that is out of order must not take it from all."""
    cache = cache_with(token := make_token())
    cache.reject(token, API, now=1.0)
    assert FetchFirst() == cache.choose(API, now=1.0)
    assert Use(token) == cache.choose(OTHER_API, now=1.0)


def test_only_the_token_that_was_rejected_is_affected():
    """A late 401 about an old token does not touch the new one."""
    cache = cache_with(old := make_token())
    cache.store(new := make_token(), jitter=0.0)
    cache.reject(old, API, now=1.0)
    assert Use(new) == cache.choose(API, now=1.0)
    assert not cache.has_refusals


def test_a_fresh_token_that_is_rejected_too_stops_the_renewing():
    """Waiting times grow: 60, 120, … at most 960 s for one token each."""
    cache = cache_with(make_token(1e9))
    cache.reject(cache.token, API, now=0.0)
    moment = 0.0
    for wait in (60.0, 120.0, 240.0, 480.0, 960.0, 960.0):
        assert FetchFirst() == cache.choose(API, now=moment)
        cache.store(token := make_token(1e9), jitter=0.0)
        for _ in range(3):  # several callers report the same token
            cache.reject(token, API, now=moment)
        assert Use(token) == cache.choose(API, now=moment + wait - 0.1)
        moment += wait


def test_a_cure_is_remembered():
    """When the API accepts the next token, the next refusal is a first one again."""
    cache = cache_with(first := make_token())
    cache.reject(first, API, now=0.0)
    cache.store(second := make_token(), jitter=0.0)
    cache.accept(second, API, now=60.0)
    assert not cache.has_refusals
    cache.reject(second, API, now=61.0)
    assert FetchFirst() == cache.choose(API, now=61.0)


def test_an_api_that_refuses_every_other_request_costs_two_token_requests_a_minute():
    """Such as one of whose replicas is out of order, or that wants to be a burden to the issuer."""
    cache, fetches = cache_with(make_token(1e9)), 0
    for request in range(120):
        moment = request / 2
        cache.reject(cache.token, API, now=moment)
        if cache.choose(API, now=moment) == FetchFirst():
            fetches += 1
            cache.store(make_token(1e9), jitter=0.0)
        cache.accept(cache.token, API, now=moment)
    assert fetches <= 2


def test_an_open_route_does_not_pass_for_a_cure():
    """While the API is left alone, a yes to any token proves nothing."""
    cache = cache_with(first := make_token(1e9))
    cache.reject(first, API, now=0.0)
    cache.accept(first, API, now=0.0)
    cache.store(second := make_token(1e9), jitter=0.0)
    cache.reject(second, API, now=0.0)
    cache.store(third := make_token(1e9), jitter=0.0)
    cache.accept(third, API, now=59.0)
    assert cache.has_refusals
    cache.accept(third, API, now=60.0)
    assert not cache.has_refusals


def test_an_api_that_never_refused_needs_no_cure():
    """Accepting says nothing new."""
    cache = cache_with(token := make_token())
    cache.accept(token, API, now=0.0)
    assert not cache.has_refusals


def test_the_memory_of_refusals_is_bounded():
    """The oldest is forgotten; a client of very many servers cannot fill the memory."""
    cache = cache_with(token := make_token())
    for port in range(MAX_ORIGINS + 5):
        cache.reject(token, Origin("https", "api.example", port), now=0.0)
    assert Use(token) == cache.choose(Origin("https", "api.example", 4), now=0.0)
    assert FetchFirst() == cache.choose(Origin("https", "api.example", 5), now=0.0)
