"""The memory of verified tokens."""

import pytest

from keys.jwks import JwkSet
from resource_api import AccessToken, ResourcePolicy, verify
from resource_api.token_cache import VerifiedTokenCache
from resource_api.token_header import HeaderMemo, TokenHeader
from tests.support.forge import ISSUER, NOW, RESOURCE, TokenForge
from tests.support.gate import Gate
from tests.support.keys import rsa_key

FORGE = TokenForge()
KEYS = FORGE.keys
GOOD = FORGE.token()
TOKEN = verify(GOOD, KEYS, ResourcePolicy(issuer=ISSUER, resource=RESOURCE), now=NOW)


def remembering(*tokens: bytes, bound: int = 8) -> VerifiedTokenCache:
    """Give a memory that was told these tokens."""
    cache = VerifiedTokenCache(bound)
    for token in tokens:
        cache.put(token, KEYS, TOKEN, now=NOW, until=NOW + 10)
    return cache


def found(cache: VerifiedTokenCache, token: bytes) -> AccessToken | None:
    """Look a token up while it is valid."""
    return cache.get(token, KEYS, NOW)


def test_only_the_very_token_is_found() -> None:
    """Another signature over the same claims is another token."""
    cache = remembering(GOOD)
    assert found(cache, GOOD) is TOKEN
    assert found(cache, GOOD + b"=") is None
    assert found(cache, GOOD.rpartition(b".")[0] + b".AA") is None


def test_expiry_is_honoured() -> None:
    """A remembered token is not given out from its end on."""
    cache = remembering(GOOD)
    assert cache.get(GOOD, KEYS, NOW + 9.9) is TOKEN
    assert cache.get(GOOD, KEYS, NOW + 10) is None


def test_another_key_set_forgets_everything() -> None:
    """What was verified under keys that may have left is verified again."""
    cache = remembering(GOOD)
    other = JwkSet(keys=KEYS.keys)
    assert cache.get(GOOD, other, NOW) is None
    assert cache.get(GOOD, None, NOW) is None
    cache.put(b"new", other, TOKEN, now=NOW, until=NOW + 10)
    assert cache.get(b"new", other, NOW) is TOKEN
    assert cache.get(GOOD, other, NOW) is None
    assert found(cache, GOOD) is None


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    """A token asked for again and again survives a flood that would push it out."""
    cache = remembering(GOOD, bound=8)
    for number in range(100):
        cache.put(b"%d" % number, KEYS, TOKEN, now=NOW, until=NOW + 10)
        assert found(cache, GOOD) is TOKEN
    assert sum(found(cache, b"%d" % number) is not None for number in range(100)) <= 8


@pytest.mark.parametrize("bound", [0, 1])
def test_memory_can_be_switched_off(bound: int) -> None:
    """No room, nothing remembered; no key set, nothing to remember under."""
    assert found(remembering(GOOD, bound=bound), GOOD) is None
    cache = VerifiedTokenCache()
    cache.put(GOOD, None, TOKEN, now=NOW, until=NOW + 10)
    assert found(cache, GOOD) is None


async def test_key_that_leaves_the_set_takes_its_tokens_along() -> None:
    """A remembered token is refused once the issuer withdrew its key."""
    gate = Gate(FORGE)
    assert (await gate.ask(GOOD)).status == 200
    assert (await gate.ask(GOOD)).status == 200
    gate.issuer.body = TokenForge(rsa_key(1)).jwks_document
    assert await gate.jwks.refresh()
    assert (await gate.ask(GOOD)).status == 401
    assert gate.reason == "unknown_key"


async def test_remembered_token_does_not_outlive_the_key_set() -> None:
    """When the key set is too old to be believed, remembered tokens are not either."""
    gate = Gate(FORGE)
    assert (await gate.ask(GOOD)).status == 200
    gate.issuer.fails = ConnectionError()
    gate.monotonic.advance(300 + 3600)
    assert (await gate.ask(GOOD)).status == 503


def test_header_memo_starts_afresh_when_full() -> None:
    """The memo of headers is bounded; an entry is kept once."""
    memo = HeaderMemo(bound=2)
    for segment in (b"a", b"a", b"b", b"c"):
        memo.remember(segment, TokenHeader("RS256", segment.decode()))
    assert [memo.get(segment) is not None for segment in (b"a", b"b", b"c")] == [False, False, True]


def test_only_verified_headers_enter_the_memo() -> None:
    """A forger cannot push good headers out, and a known header does not excuse a bad signature."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
    memo = HeaderMemo()
    head, payload, signature = FORGE.parts()
    forged = head + b"." + payload + b".AA"
    for _ in range(2):
        with pytest.raises(Exception, match="bad_signature"):
            verify(forged, KEYS, policy, now=NOW, memo=memo)
        if memo.get(head) is None:
            verify(GOOD, KEYS, policy, now=NOW, memo=memo)
    assert memo.get(head) == TokenHeader("RS256", FORGE.jwk.kid)
    assert signature


def test_a_clock_set_back_makes_a_remembered_token_be_verified_anew():
    """Before the moment of its verification the token may not have been valid yet."""
    cache = VerifiedTokenCache()
    cache.put(GOOD, KEYS, TOKEN, now=NOW, until=NOW + 10)

    assert cache.get(GOOD, KEYS, NOW - 1) is None
    assert cache.get(GOOD, KEYS, NOW) is TOKEN


def test_half_of_the_bound_is_young_and_half_is_old():
    """The smallest memory holds two tokens: a third pushes the first one out."""
    cache = remembering(b"1", b"2", bound=2)
    assert found(cache, b"2") is TOKEN
    assert found(cache, b"1") is TOKEN
    cache = remembering(b"1", b"2", b"3", bound=2)
    assert found(cache, b"1") is None
    assert found(cache, b"3") is TOKEN


def test_a_token_is_refused_after_another_was_remembered():
    """What is remembered is one token under one key set in its time, and nothing near it."""
    cache = remembering(GOOD)
    for _ in range(2):
        assert found(cache, GOOD) is TOKEN
        assert found(cache, GOOD[:-1]) is None
        assert cache.get(GOOD, JwkSet(keys=()), NOW) is None
        assert cache.get(GOOD, KEYS, NOW - 0.1) is None
        assert cache.get(GOOD, KEYS, NOW + 10) is None
