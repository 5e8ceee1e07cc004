"""Verify the access tokens that this issuer signed, and say what has become of them.

Pure. What an API checks by what the issuer publishes (RFC 9068 §4), the issuer checks by what it
knows itself: its keys, and the statuses of its tokens.
"""

from collections.abc import Mapping
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
    ParsedJwt,
    check_identity,
    check_times,
    parse_jwt,
    verify_signature,
)
from keys.key_types import ALGORITHMS

_PROFILE = JwtProfile(
    typ=ACCESS_TOKEN_TYPE, algorithms=frozenset(ALGORITHMS), max_bytes=MAX_TOKEN_BYTES
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


class OwnTokens:
    """Verifies tokens of one issuer without asking anything but memory.

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
        try:
            parsed = parse_jwt(token.encode("utf-8", "replace"), _PROFILE)
            verify_signature(parsed, self._key_of(parsed, now))
            claims = parsed.claims
            if claims.get("iss") != self._issuer:
                raise NotOwnToken(Reason.WRONG_ISSUER)
            check_times(claims, now, leeway, MAX_TOKEN_TTL)
            check_identity(claims, "sub", "client_id", "jti")
        except InvalidJwt as error:
            raise NotOwnToken(Reason(error.fault)) from None
        try:
            position = position_of(claims, self._base)
            status = Status.VALID if position is None else self._statuses.status(position)
        except ValueError:
            raise NotOwnToken(Reason.INVALID_STATUS) from None
        except StoreUnavailable:
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        return OwnToken(claims, parsed.header.kid, position, status)

    def _key_of(self, parsed: ParsedJwt, now: int) -> PublicJwk:
        key = self._keys.public_key(parsed.header.kid, now)
        if key is None:
            raise NotOwnToken(Reason.UNKNOWN_KEY)
        return key
