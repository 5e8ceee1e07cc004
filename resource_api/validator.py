"""From a token to an `AccessToken`: memory, issuer, key, checks, status.

RFC 9068 §4, RFC 8725 §3.8. Async only because a key or a status list may have to be fetched; a
known kid and a list at hand never wait.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from keys.errors import NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import HeaderMemo, JwtProfile
from resource_api.access_token import (
    AccessToken,
    parse_token,
    profile_of,
    refuse_bound,
    verify_parsed,
)
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, KeysUnavailable, Reason
from resource_api.status_list import VALID, Statuses, StatusReference, check_status, read_status


class KeySource(Protocol):
    """Gives an issuer's keys, such as `JwksClient`."""

    @property
    def ready(self) -> bool:
        """Say whether there is a usable set, which is what a readiness probe asks."""
        ...

    def current(self) -> JwkSet | None:
        """Give the usable set without waiting.

        Raises:
            RuntimeError: this has something fetched, and no event loop runs on this thread.
        """
        ...

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give one key, or raise `keys.errors.UnknownKey` or `NoKeySet`."""
        ...

    async def warm(self) -> bool:
        """Get a set, if there is none and one is to be had; say whether there is one."""
        ...

    async def aclose(self) -> None:
        """Stop what is under way."""
        ...


class StatusSource(Protocol):
    """Gives the status lists of an issuer, such as `StatusListClient`.

    It is asked for lists that a verified token of this issuer names, and for no others.
    """

    def current(self, uri: str) -> Statuses | None:
        """Give a usable list without waiting; raises `RuntimeError` as `KeySource.current` does."""
        ...

    async def get(self, uri: str) -> Statuses:
        """Give a list, fetching it if that may help.

        Raises:
            StatusUnavailable: it cannot be had right now.
            InvalidToken: what is served at this address is not a list of this issuer.
        """
        ...

    async def aclose(self) -> None:
        """Stop what is under way."""
        ...


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose tokens are accepted: what of it, by which keys and which status lists.

    The keys are those of the policy's issuer and of no other: whose key it is decides whose token
    it can be (RFC 8725 §3.8).
    """

    policy: ResourcePolicy
    """What is accepted of this issuer."""
    keys: KeySource
    """Its keys, such as a `JwksClient`."""
    statuses: StatusSource | None = None
    """`BearerMiddleware` has the lists fetched where this is None; else, without it, tokens that
    have a status are refused as `unchecked_status`."""


_Listed = tuple[StatusSource, str, int]
"""Where the status of a token is looked up: source, list, index."""

_Verified = tuple[float, float, JwkSet, KeySource, AccessToken, _Listed | None]
"""A remembered token: since when it holds and until when, by which set of which source; status."""


class VerifiedTokenCache:
    """Remember tokens that passed every check, by the whole token as it was received.

    A digest in its place would cost more than the rest of a hit, and hide nothing: what is
    remembered holds the token (`AccessToken.text`). Python compares bytes only where their keyed
    hashes are equal, so the time that it takes tells nothing about a token.

    Two generations, each of half of the bound. A hit does no bookkeeping in the young generation,
    and moves an entry there from the old one; a full young generation becomes the old one. What is
    not asked for twice in that time is dropped.
    """

    __slots__ = ("_clock", "_half", "_old", "_young")

    def __init__(self, bound: int = 4096, *, clock: Callable[[], float]) -> None:
        """Hold at most this many tokens, of some 3 KB each; 0 switches the memory off.

        Args:
            bound: how many.
            clock: seconds since the epoch.
        """
        self._half = bound // 2
        self._clock = clock
        self._young: dict[bytes, _Verified] = {}
        self._old: dict[bytes, _Verified] = {}

    def get(self, token: bytes) -> AccessToken | None:
        """Give a token that was verified before and still would be.

        It would not be once it expired, once its issuer has another key set than the very one that
        it was verified under (a key may have left), or while the clock is set back to before that
        moment: the token may not be valid yet. Nor unless a list at hand says that it is valid.
        """
        entry = self._young.get(token)
        if entry is None:
            entry = self._old.get(token)
            if entry is None:
                return None
            self._insert(token, entry)
        since, until, keys, source, verified, listed = entry
        if not (since <= self._clock() < until and source.current() is keys):
            return None
        if listed is None:
            return verified
        lists, uri, idx = listed
        statuses = lists.current(uri)
        return verified if statuses is not None and statuses.status(idx) == VALID else None

    def put(
        self,
        token: bytes,
        verified: AccessToken,
        keys: JwkSet | None,
        source: KeySource,
        *,
        now: float,
        until: float,
        listed: _Listed | None = None,
    ) -> None:
        """Remember a token that was verified at ``now`` until it would be refused as expired.

        Args:
            token: as received.
            verified: what it says.
            keys: the set that its key is of; without one, nothing is remembered.
            source: where that set is from.
            now: seconds since the epoch.
            until: seconds since the epoch.
            listed: where its status is looked up; None for a token that has none.
        """
        if keys is not None and self._half:
            self._insert(token, (now, until, keys, source, verified, listed))

    def _insert(self, token: bytes, entry: _Verified) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[token] = entry


class TokenValidator:
    """Validate the tokens of trusted issuers for one API."""

    def __init__(
        self,
        issuers: Iterable[TrustedIssuer],
        *,
        clock: Callable[[], float],
        cache_size: int = 4096,
    ) -> None:
        """Prepare.

        Args:
            issuers: whose tokens are accepted; at least one, and each once.
            clock: seconds since the epoch.
            cache_size: how many verified tokens to remember; 0 for none.

        Raises:
            ValueError: there is no issuer, or one is named twice.
        """
        trusted = tuple(issuers)
        if not trusted or len({each.policy.issuer for each in trusted}) < len(trusted):
            raise ValueError("name at least one trusted issuer, and each once")
        self._kind = profile_of(*(each.policy for each in trusted))
        self._issuers = {each.policy.issuer: self._with_kind(each) for each in trusted}
        self._first = self._issuers[trusted[0].policy.issuer]
        self._clock = clock
        self._memo = HeaderMemo()
        # Apart, so that the look-up that nearly all requests need never gives a token whose sender
        # has to prove something.
        self._bearer = VerifiedTokenCache(cache_size, clock=clock)
        self._bound = VerifiedTokenCache(cache_size, clock=clock)
        # The method itself: it is called for every request.
        self.cached = self._bearer.get
        """Give a bearer token that was validated before and still would be; costs no await."""

    def _with_kind(self, issuer: TrustedIssuer) -> tuple[TrustedIssuer, JwtProfile | None]:
        """Note what kind of JWT an issuer's tokens are, if others accept more than that."""
        own = profile_of(issuer.policy)
        return issuer, None if own == self._kind else own

    async def validate(self, token: bytes) -> AccessToken:
        """Validate a bearer token as it came in the Authorization header, whatever is remembered.

        Raises:
            InvalidToken: a check failed, or the token is bound to a key or a certificate.
            KeysUnavailable: the issuer's keys are not known and cannot be had right now.
            StatusUnavailable: so is the status list that the token names.
        """
        verified = await self._validate(token)
        refuse_bound(verified)
        return verified

    async def validate_any(self, token: bytes) -> AccessToken:
        """Validate a token of either kind; of a bound one, this checks no possession.

        Whoever calls it checks that in every request, also of a token that is remembered.

        Raises:
            ResourceError: as in `validate`, but for bound tokens.
        """
        return self._bound.get(token) or await self._validate(token)

    async def _validate(self, token: bytes) -> AccessToken:
        parsed = parse_token(token, self._kind, self._memo)
        # Unproven as yet, `iss` only chooses whose keys must prove it (RFC 8725 §3.8). A token that
        # names no trusted issuer is checked as one of the first: it is refused all the same, and
        # a warning about a wrong issuer needs a signature of a trusted one.
        named = parsed.claims.get("iss")
        first = self._first
        issuer, own = self._issuers.get(named, first) if isinstance(named, str) else first
        if own is not None:  # what another issuer's tokens may have counts for that one alone
            parsed = parse_token(token, own)
        policy, source = issuer.policy, issuer.keys
        alg, kid = parsed.header
        keys = source.current()
        key = keys.select(kid, alg) if keys is not None else None
        if key is None:
            key = await _fetch_key(source, kid, alg)
            keys = source.current()
        now = self._clock()
        verified = verify_parsed(parsed, key, policy, now=now, memo=self._memo)
        until = verified.expires_at + policy.leeway
        # Only now: a token that is not good must not have anything fetched.
        reference = read_status(verified.claims, policy)
        listed = None
        if reference is not None:
            await self._check_status(reference, issuer, kid, until)
            listed = None if issuer.statuses is None else (issuer.statuses, *reference)
        cache = self._bound if verified.confirmation else self._bearer
        cache.put(token, verified, keys, source, now=now, until=until, listed=listed)
        return verified

    async def _check_status(
        self, reference: StatusReference, issuer: TrustedIssuer, kid: str, until: float
    ) -> None:
        """Refuse a token that its issuer's list does not call valid, fetching the list if need be.

        Raises:
            InvalidToken: it is not valid, or expired meanwhile.
            StatusUnavailable: the list cannot be had right now.
        """
        source, statuses = issuer.statuses, None
        try:
            if source is not None:
                statuses = source.current(reference.uri)
                if statuses is None:
                    statuses = await source.get(reference.uri)
                    if self._clock() >= until:
                        raise InvalidToken(Reason.EXPIRED)
            check_status(reference, statuses)
        except InvalidToken as refusal:
            refusal.kid = kid
            raise


async def _fetch_key(source: KeySource, kid: str, alg: str) -> PublicJwk:
    """Give a key that is not in the current set, or the refusal that the caller gets."""
    try:
        return await source.key(kid, alg)
    except UnknownKey:
        raise InvalidToken(Reason.UNKNOWN_KEY, kid=kid) from None
    except NoKeySet as error:
        raise KeysUnavailable(error.retry_after) from None
