"""From a token to an `AccessToken`: what is remembered, and whose keys must prove it."""

from typing import Any

import pytest

from keys import jwt as our_jwt
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import HeaderMemo, JwtHeader
from resource_api import AccessToken, InvalidToken, Reason, ResourcePolicy, verify
from resource_api.errors import StatusUnavailable
from resource_api.status_list import StatusList
from resource_api.validator import TokenValidator, TrustedIssuer, VerifiedTokenCache
from tests.support.keys import rsa_key
from tests.support.protected_api import ProtectedApi
from watchword.testing.clock import Clock
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import pack, status

FORGE = TokenForge()
KEYS = FORGE.keys
GOOD = FORGE.token()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
TOKEN = verify(GOOD, KEYS, POLICY, now=NOW)


class Source:
    """A key set at hand that can be exchanged."""

    ready = True

    def __init__(self, keys: JwkSet | None = KEYS) -> None:
        """Hold a set."""
        self.keys = keys

    def current(self) -> JwkSet | None:
        """Give the set."""
        return self.keys

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Have no other key."""
        raise AssertionError

    async def warm(self) -> bool:
        """Be warm."""
        raise AssertionError

    async def aclose(self) -> None:
        """Stop nothing."""


class Memory:
    """A cache with its clock and the source of its keys."""

    def __init__(self, *tokens: bytes, bound: int = 8) -> None:
        """Remember these tokens for ten seconds."""
        self.clock = Clock(NOW)
        self.source = Source()
        self.cache = VerifiedTokenCache(bound, clock=self.clock)
        for token in tokens:
            self.put(token)

    def put(self, token: bytes) -> None:
        """Remember a token for ten seconds."""
        keys = self.source.keys
        self.cache.put(token, TOKEN, keys, self.source, now=NOW, until=NOW + 10)

    def get(self, token: bytes, *, now: float = NOW) -> AccessToken | None:
        """Look a token up."""
        self.clock.now = now
        return self.cache.get(token)


def test_only_the_very_token_is_found() -> None:
    """Another signature over the same claims is another token."""
    memory = Memory(GOOD)
    assert memory.get(GOOD) is TOKEN
    assert memory.get(GOOD + b"=") is None
    assert memory.get(GOOD.rpartition(b".")[0] + b".AA") is None


def test_expiry_is_honoured() -> None:
    """A remembered token is not given out from its end on."""
    memory = Memory(GOOD)
    assert memory.get(GOOD, now=NOW + 9.9) is TOKEN
    assert memory.get(GOOD, now=NOW + 10) is None


def test_another_key_set_forgets_everything() -> None:
    """What was verified under keys that may have left is verified again, equal as they may be."""
    memory = Memory(GOOD)
    memory.source.keys = None
    assert memory.get(GOOD) is None
    memory.source.keys = JwkSet(keys=KEYS.keys)
    assert memory.get(GOOD) is None
    memory.put(b"new")
    assert memory.get(b"new") is TOKEN
    assert memory.get(GOOD) is None
    memory.put(GOOD)
    assert memory.get(GOOD) is TOKEN


def test_memory_is_bounded_and_keeps_what_is_used() -> None:
    """A token asked for again and again survives a flood that would push it out."""
    memory = Memory(GOOD, bound=8)
    for number in range(100):
        memory.put(b"%d" % number)
        assert memory.get(GOOD) is TOKEN
    assert sum(memory.get(b"%d" % number) is not None for number in range(100)) <= 8


@pytest.mark.parametrize("bound", [0, 1])
def test_memory_can_be_switched_off(bound: int) -> None:
    """No room, nothing remembered; no key set, nothing to remember under."""
    assert Memory(GOOD, bound=bound).get(GOOD) is None
    memory = Memory()
    memory.source.keys = None
    memory.put(GOOD)
    assert memory.get(GOOD) is None


def test_a_clock_set_back_makes_a_remembered_token_be_verified_anew() -> None:
    """Before the moment of its verification the token may not have been valid yet."""
    memory = Memory(GOOD)
    assert memory.get(GOOD, now=NOW - 0.1) is None
    assert memory.get(GOOD, now=NOW) is TOKEN


def test_half_of_the_bound_is_young_and_half_is_old() -> None:
    """The smallest memory holds two tokens: a third pushes the first one out."""
    memory = Memory(b"1", b"2", bound=2)
    assert memory.get(b"2") is TOKEN
    assert memory.get(b"1") is TOKEN
    memory = Memory(b"1", b"2", b"3", bound=2)
    assert memory.get(b"1") is None
    assert memory.get(b"3") is TOKEN


def test_the_default_memory_holds_thousands() -> None:
    """Unless told otherwise, 4096 tokens are remembered."""
    memory = Memory()
    memory.cache = VerifiedTokenCache(clock=memory.clock)
    for number in range(4096):
        memory.put(b"%d" % number)
    assert memory.get(b"0") is TOKEN


OTHER = "https://other.example"
OTHER_FORGE = TokenForge(rsa_key(1))


def trusted(keys: Source | None = None, **bounds: Any) -> TokenValidator:
    """Trust two issuers, each with a key of its own."""
    first = TrustedIssuer(POLICY, keys or Source())
    policy = ResourcePolicy(issuer=OTHER, **({"resource": RESOURCE} | bounds))
    second = TrustedIssuer(policy, Source(OTHER_FORGE.keys))
    return TokenValidator([first, second], clock=Clock(NOW))


async def refusal(validator: TokenValidator, token: bytes) -> Reason:
    """Give the reason for which a token is refused."""
    with pytest.raises(InvalidToken) as caught:
        await validator.validate(token)
    assert validator.cached(token) is None
    return caught.value.reason


@pytest.mark.rfc("8725-3.8-1")
async def test_each_trusted_issuer_is_proven_by_its_own_keys() -> None:
    """`iss` chooses the keys; a key of one issuer proves nothing about another."""
    validator = trusted()
    of_other = OTHER_FORGE.token(iss=OTHER)
    assert (await validator.validate(GOOD)).issuer == ISSUER
    assert (await validator.validate(of_other)).issuer == OTHER
    forged = FORGE.token(iss=OTHER, header={"kid": OTHER_FORGE.jwk.kid})
    assert await refusal(validator, forged) is Reason.BAD_SIGNATURE
    assert await refusal(validator, FORGE.token(iss="https://third.example")) is Reason.WRONG_ISSUER
    assert await refusal(validator, FORGE.token(iss=7)) is Reason.WRONG_ISSUER


async def test_tokens_of_one_issuer_are_forgotten_with_its_own_keys() -> None:
    """A new key set of one issuer leaves what is remembered of another."""
    source = Source()
    validator = trusted(source)
    of_other = OTHER_FORGE.token(iss=OTHER)
    for token in (GOOD, of_other):
        await validator.validate(token)
    source.keys = JwkSet(keys=KEYS.keys)
    assert validator.cached(GOOD) is None
    assert validator.cached(of_other) is not None


async def test_the_bounds_of_each_issuer_are_its_own() -> None:
    """A token that is short enough for one issuer may be too long for another."""
    validator = trusted(max_token_bytes=len(GOOD) - 1)
    assert await validator.validate(GOOD)
    assert await refusal(validator, OTHER_FORGE.token(iss=OTHER)) is Reason.TOKEN_TOO_LONG


async def test_the_algorithms_of_each_issuer_are_its_own() -> None:
    """What one issuer may use is not open to another (RFC 8725 §3.1)."""
    validator = trusted(algorithms=("ES256",))
    assert await validator.validate(GOOD)
    assert await refusal(validator, OTHER_FORGE.token(iss=OTHER)) is Reason.WRONG_ALGORITHM


async def test_the_audience_of_each_issuer_is_its_own() -> None:
    """An API may have another identifier there; no issuer's tokens do with that of another."""
    validator = trusted(resource="https://old.example")
    assert await validator.validate(OTHER_FORGE.token(iss=OTHER, aud="https://old.example"))
    assert await refusal(validator, OTHER_FORGE.token(iss=OTHER)) is Reason.WRONG_AUDIENCE
    assert await validator.validate(GOOD)
    assert await refusal(validator, FORGE.token(aud="https://old.example")) is Reason.WRONG_AUDIENCE


@pytest.mark.parametrize(
    "issuers",
    [[], [TrustedIssuer(POLICY, Source())] * 2],
)
def test_trusted_issuers_are_distinct(issuers: list[TrustedIssuer]) -> None:
    """What could not be chosen by `iss` is refused when it is configured."""
    with pytest.raises(ValueError, match="trusted issuer"):
        TokenValidator(issuers, clock=Clock(NOW))


async def test_key_that_leaves_the_set_takes_its_tokens_along() -> None:
    """A remembered token is refused once the issuer withdrew its key."""
    api = ProtectedApi(FORGE)
    assert (await api.ask(GOOD)).status == 200
    assert (await api.ask(GOOD)).status == 200
    api.issuer.body = TokenForge(rsa_key(1)).jwks_document
    assert await api.jwks.refresh()
    assert (await api.ask(GOOD)).status == 401
    assert api.reason == "unknown_key"


async def test_remembered_token_does_not_outlive_the_key_set() -> None:
    """When the key set is too old to be believed, remembered tokens are not either."""
    api = ProtectedApi(FORGE)
    assert (await api.ask(GOOD)).status == 200
    api.issuer.fails = ConnectionError()
    api.monotonic.advance(300 + 3600)
    assert (await api.ask(GOOD)).status == 503


def test_header_memo_starts_afresh_when_full() -> None:
    """The memo of headers is bounded; an entry is kept once."""
    memo = HeaderMemo(bound=2)
    for segment in (b"a", b"a", b"b", b"c"):
        memo.remember(segment, JwtHeader("RS256", segment.decode()))
    assert [memo.get(segment) is not None for segment in (b"a", b"b", b"c")] == [False, False, True]


async def test_a_header_that_was_verified_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each token of the same key has it; all else of the token is checked."""
    validator = TokenValidator([TrustedIssuer(POLICY, Source())], clock=Clock(NOW))
    await validator.validate(GOOD)
    monkeypatch.setattr(our_jwt, "parse_header", None)  # a call of it fails
    assert (await validator.validate(FORGE.token(jti="2"))).jti == "2"
    assert await refusal(validator, FORGE.token(exp=NOW - 60)) is Reason.EXPIRED


def test_only_verified_headers_enter_the_memo() -> None:
    """A forger cannot push good headers out, and a known header does not excuse a bad signature."""
    memo = HeaderMemo()
    head, payload, signature = FORGE.parts()
    forged = head + b"." + payload + b".AA"
    for _ in range(2):
        with pytest.raises(Exception, match="bad_signature"):
            verify(forged, KEYS, POLICY, now=NOW, memo=memo)
        if memo.get(head) is None:
            verify(GOOD, KEYS, POLICY, now=NOW, memo=memo)
    assert memo.get(head) == JwtHeader("RS256", FORGE.jwk.kid)
    assert signature


URI = f"{ISSUER}/status-lists/1-0"
LISTED = FORGE.token(status=status(URI, 1))


class Lists:
    """The status lists of an issuer, one of them at hand or only to be waited for."""

    def __init__(self, statuses: StatusList | None, *, at_hand: bool = True) -> None:
        """Have one list."""
        self.statuses = statuses
        self.at_hand = at_hand
        self.asked: list[str] = []
        self.clock = Clock(NOW)
        self.takes = 0.0

    def current(self, uri: str) -> StatusList | None:
        """Give the list if it is at hand."""
        return self.statuses if self.at_hand else None

    async def get(self, uri: str) -> StatusList:
        """Give the list after a while, if there is one."""
        self.asked.append(uri)
        self.clock.advance(self.takes)
        if self.statuses is None:
            raise StatusUnavailable(7)
        return self.statuses

    async def aclose(self) -> None:
        """Stop nothing."""

    def validator(self) -> TokenValidator:
        """Trust one issuer."""
        return TokenValidator([TrustedIssuer(POLICY, Source(), self)], clock=self.clock)


def statuses_of(*statuses: int) -> StatusList:
    """Make a list of two bits."""
    return StatusList(pack(statuses, 2), 2, issued_at=NOW, expires_at=NOW + 300, ttl=8)


@pytest.mark.attack("V40")
@pytest.mark.parametrize(
    ("status", "reason"), [(1, Reason.TOKEN_REVOKED), (2, Reason.TOKEN_SUSPENDED)]
)
async def test_a_remembered_token_is_looked_up_in_every_request(
    status: int, reason: Reason
) -> None:
    """Revoked or suspended, it is refused at once; restored, it is accepted again."""
    lists = Lists(statuses_of(0, 0))
    validator = lists.validator()
    await validator.validate(LISTED)
    assert validator.cached(LISTED) is not None
    lists.statuses = statuses_of(status, 0)
    assert validator.cached(LISTED) is not None  # another token's
    lists.statuses = statuses_of(0, status)
    assert await refusal(validator, LISTED) is reason
    lists.statuses = statuses_of(0, 0)
    assert validator.cached(LISTED) is not None
    assert lists.asked == []


async def test_a_list_is_waited_for_only_where_none_is_at_hand() -> None:
    """Then the token is judged by what came; without any list nothing is remembered of it."""
    lists = Lists(statuses_of(0, 0), at_hand=False)
    validator = lists.validator()
    assert await validator.validate(LISTED)
    assert (validator.cached(LISTED), lists.asked) == (None, [URI])
    lists.at_hand = True
    assert validator.cached(LISTED) is not None
    lists.at_hand, lists.statuses = False, None
    with pytest.raises(StatusUnavailable) as caught:
        await validator.validate(LISTED)
    assert caught.value.retry_after == 7


@pytest.mark.rfc("tsl-8.3-1")
async def test_nothing_is_fetched_for_a_token_that_is_not_good() -> None:
    """Forged, expired, or for another API: its list does not matter."""
    lists = Lists(None, at_hand=False)
    validator = lists.validator()
    for bad in (
        FORGE.token(status=status(URI)).rpartition(b".")[0] + b".AA",
        OTHER_FORGE.token(status=status(URI), header={"kid": FORGE.jwk.kid}),
        FORGE.token(status=status(URI), exp=NOW - 100),
        FORGE.token(status=status(URI), aud=OTHER),
        FORGE.token(status=status(URI), scope=[]),
        FORGE.token(status=status(OTHER + "/x")),
        FORGE.token(status=status(URI, -1)),
    ):
        await refusal(validator, bad)
    assert lists.asked == []


async def test_a_token_that_expires_while_its_list_is_fetched_is_refused() -> None:
    """Expiry beats VALID."""
    lists = Lists(statuses_of(0, 0), at_hand=False)
    lists.takes = 300 + POLICY.leeway
    assert await refusal(lists.validator(), LISTED) is Reason.EXPIRED


async def test_a_list_that_shrinks_takes_tokens_along() -> None:
    """What lies beyond its end has no status."""
    lists = Lists(statuses_of(0, 0))
    validator = lists.validator()
    await validator.validate(LISTED)
    lists.statuses = StatusList(b"", 2, issued_at=NOW, expires_at=NOW + 300, ttl=8)
    assert await refusal(validator, LISTED) is Reason.INVALID_STATUS


async def test_without_lists_a_token_with_a_status_is_not_checked() -> None:
    """And so refused, while others pass; the log names the key."""
    validator = TokenValidator([TrustedIssuer(POLICY, Source())], clock=Clock(NOW))
    assert await validator.validate(GOOD)
    with pytest.raises(InvalidToken) as caught:
        await validator.validate(LISTED)
    assert (caught.value.reason, caught.value.kid) == (Reason.UNCHECKED_STATUS, FORGE.jwk.kid)
