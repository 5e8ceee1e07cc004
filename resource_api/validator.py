"""Own the way from a token to an `AccessToken`: memory first, then key, then every check.

RFC 9068 §4. Async only because a key may have to be fetched; a known kid never waits.
"""

from collections.abc import Callable
from typing import Protocol

from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from resource_api.access_token import AccessToken, parse_token, verify_parsed
from resource_api.config import ResourcePolicy
from resource_api.token_cache import VerifiedTokenCache
from resource_api.token_header import HeaderMemo


class KeySource(Protocol):
    """Give the issuer's keys: `JwksClient`, or anything that behaves like it."""

    def glance(self) -> JwkSet | None:
        """Give the usable set without waiting."""
        ...

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give one key, or raise `InvalidToken` or `KeysUnavailable`."""
        ...


class TokenValidator:
    """Validate the tokens of one issuer for one resource."""

    def __init__(
        self,
        policy: ResourcePolicy,
        keys: KeySource,
        *,
        clock: Callable[[], float],
        cache_size: int = 4096,
    ) -> None:
        """Prepare.

        Args:
            policy: what is accepted.
            keys: the keys of the policy's issuer and of nobody else (RFC 8725 §3.8).
            clock: seconds since the epoch.
            cache_size: how many verified tokens to remember; 0 for none.
        """
        self._policy = policy
        self._keys = keys
        self._clock = clock
        self._memo = HeaderMemo()
        self._verified = VerifiedTokenCache(cache_size)
        # Bound once: they are called for every request.
        self._glance = keys.glance
        self._remembered = self._verified.get

    def recall(self, token: bytes) -> AccessToken | None:
        """Give a token that was validated before and still would be; costs no await."""
        return self._remembered(token, self._glance(), self._clock())

    async def validate(self, token: bytes) -> AccessToken:
        """Validate a token as it came in the Authorization header, whatever is remembered.

        Raises:
            InvalidToken: a check failed.
            KeysUnavailable: the issuer's keys are not known and cannot be had right now.
        """
        parsed = parse_token(token, self._policy, self._memo)
        alg, kid = parsed.header
        keys = self._glance()
        key = keys.select(kid, alg) if keys is not None else None
        if key is None:
            key = await self._keys.key(kid, alg)
            keys = self._glance()
        now = self._clock()
        verified = verify_parsed(parsed, key, self._policy, now=now, memo=self._memo)
        until = verified.expires_at + self._policy.leeway
        self._verified.put(token, keys, verified, now=now, until=until)
        return verified
