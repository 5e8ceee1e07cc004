"""Verify the access tokens that this issuer signed, and say what has become of them.

Pure. What an API checks by what the issuer publishes (RFC 9068 §4), the issuer checks by what it
knows itself: its keys, and the statuses of its tokens.
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from issuer.config import MAX_TOKEN_TTL
from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, position_of
from keys.errors import InvalidJwt
from keys.jwk import PublicJwk
from keys.jwt import (
    ACCESS_TOKEN_TYPE,
    MAX_TOKEN_BYTES,
    JwtProfile,
    check_identity,
    check_times,
    parse_jwt,
    verify_signature,
)
from keys.key_types import ALGORITHMS

_PROFILE = JwtProfile(
    types=frozenset({ACCESS_TOKEN_TYPE}),
    algorithms=frozenset(ALGORITHMS),
    max_bytes=MAX_TOKEN_BYTES,
)

_REFUSED = {
    Status.INVALID: Reason.TOKEN_REVOKED,
    Status.SUSPENDED: Reason.TOKEN_SUSPENDED,
}


class PublishedKeys(Protocol):
    """Knows the keys that the issuer publishes: none that was withdrawn or is gone."""

    def public_key(self, kid: str, now: int) -> PublicJwk | None:
        """Return the key of a kid that is published at `now`, in seconds since the epoch."""
        ...


class TokenStatuses(Protocol):
    """Knows which tokens were revoked or suspended."""

    def status(self, position: Position) -> Status:
        """Return the status of the token at a position.

        Raises:
            StoreUnavailable: the registry was not read yet.
        """
        ...


class NotOwnToken(Exception):
    """No token of this issuer that may be used; `reason` says why, and is for the log alone."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class OwnToken(NamedTuple):
    """A token that this issuer signed.

    Args:
        claims: as they were signed.
        kid: of the key that signed.
        position: where it stands on the status lists; None if it is on none.
        status: VALID too where it is on no list.
    """

    claims: Mapping[str, Any]
    kid: str
    position: Position | None
    status: Status

    @property
    def client_id(self) -> str:
        """The client that it was issued to."""
        client_id: str = self.claims["client_id"]
        return client_id

    @property
    def jti(self) -> str:
        """Its id."""
        jti: str = self.claims["jti"]
        return jti

    @property
    def audience(self) -> tuple[str, ...]:
        """The resources that it is for (RFC 7519 §4.1.3)."""
        value = self.claims["aud"]
        return (value,) if isinstance(value, str) else tuple(value)

    def __repr__(self) -> str:
        """Show whose token it is and which; further claims may be confidential."""
        return f"OwnToken(client_id={self.client_id!r}, jti={self.jti!r}, status={self.status!r})"


REMEMBERED = 2048
"""Tokens whose signature one process does not verify again; the least recently used goes first."""


class _Signed(NamedTuple):
    """What stays as it is for as long as the key is published: claims, key, place."""

    claims: Mapping[str, Any]
    key: PublicJwk
    position: Position | None


class OwnTokens:
    """Verifies tokens of one issuer without asking anything but memory.

    The same token is introspected, or exchanged, again and again: its signature is verified once.
    Its key, times and status are looked at each time.

    Args:
        issuer: the issuer identifier.
        keys: its public keys.
        statuses: what became of its tokens.
    """

    def __init__(self, issuer: str, keys: PublishedKeys, statuses: TokenStatuses) -> None:
        self._issuer = issuer
        self._base = issuer.removesuffix("/")
        self._keys = keys
        self._statuses = statuses
        self._signed: OrderedDict[bytes, _Signed] = OrderedDict()

    def verify(self, token: str, *, now: int) -> OwnToken:
        """Return a token of ours that may be used now.

        Args:
            token: the compact serialisation as received.
            now: seconds since the epoch; the issuer is its own clock, so there is no leeway.

        Raises:
            NotOwnToken: it is none; the first check that failed is the reason.
            TemporarilyUnavailable: what became of it is not known yet.
        """
        found = self.recognise(token, now=now)
        if found.status is not Status.VALID:  # Token Status List §7.1: no other may be used
            raise NotOwnToken(_REFUSED[found.status])
        return found

    def recognise(self, token: str, *, now: int, leeway: int = 0) -> OwnToken:
        """Return a token of ours that has not expired, whether or not it was revoked.

        Args:
            token: the compact serialisation as received.
            now: seconds since the epoch.
            leeway: seconds after its end for which it counts as not expired.

        Raises:
            NotOwnToken: it is none; the first check that failed is the reason.
            TemporarilyUnavailable: what became of it is not known yet.
        """
        raw = token.encode("utf-8", "replace")
        digest = sha256(raw).digest()
        signed = self._signed.get(digest)
        try:
            # A key that was withdrawn, or is another by now, proves nothing any more.
            if signed is None or self._keys.public_key(signed.key.kid, now) is not signed.key:
                signed = self._read(raw, now)
            check_times(signed.claims, now, leeway, MAX_TOKEN_TTL)
        except InvalidJwt as error:
            raise NotOwnToken(Reason(error.fault)) from None
        self._remember(digest, signed)
        claims, key, position = signed
        try:
            status = Status.VALID if position is None else self._statuses.status(position)
        except StoreUnavailable:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        return OwnToken(claims, key.kid, position, status)

    def _read(self, raw: bytes, now: int) -> _Signed:
        """Check all of a token that stays as it is for as long as its key does."""
        parsed = parse_jwt(raw, _PROFILE)
        key = self._keys.public_key(parsed.header.kid, now)
        if key is None:
            raise NotOwnToken(Reason.UNKNOWN_KEY)
        verify_signature(parsed, key)
        claims = parsed.claims
        if claims.get("iss") != self._issuer:
            raise NotOwnToken(Reason.WRONG_ISSUER)
        check_identity(claims, "sub", "client_id", "jti")
        try:
            return _Signed(claims, key, position_of(claims, self._base))
        except ValueError:
            raise NotOwnToken(Reason.INVALID_STATUS) from None

    def _remember(self, digest: bytes, signed: _Signed) -> None:
        self._signed[digest] = signed
        self._signed.move_to_end(digest)
        if len(self._signed) > REMEMBERED:
            self._signed.popitem(last=False)
