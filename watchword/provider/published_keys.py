"""The provider's own key set, for the APIs that it serves beside its issuer."""

import time
from collections.abc import Callable

from issuer.endpoints.document import Document
from keys.errors import InvalidJwkSet, NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set

LOOK_SECONDS = 0.25
"""Between two looks at the document, which would cost each request more than its own look-ups."""


class PublishedKeys:
    """Gives the keys that this very process publishes at the moment; nothing is fetched.

    Args:
        published: gives the published document.
        clock: monotonic seconds.
    """

    def __init__(
        self, published: Callable[[], Document], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._published = published
        self._clock = clock
        self._look_at = float("-inf")
        self._body = b""
        self._keys: JwkSet | None = None

    @property
    def ready(self) -> bool:
        """Say whether there is a usable set."""
        return self.current() is not None

    async def warm(self) -> bool:
        """Say whether there is a usable set."""
        return self.ready

    def current(self) -> JwkSet | None:
        """Give the set; a key that was withdrawn is no longer in it."""
        now = self._clock()
        if now < self._look_at:
            return self._keys
        self._look_at = now + LOOK_SECONDS
        body = self._published().body
        if body != self._body:
            try:
                keys = parse_jwk_set(body)
            except InvalidJwkSet:
                keys = None  # nothing is published that a token can be judged by
            # An equal set stays the same object: what was verified under it remains verified.
            self._keys, self._body = self._keys if keys == self._keys else keys, body
        return self._keys

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give one key.

        Raises:
            UnknownKey: the set has no such key.
            NoKeySet: there is no set.
        """
        self._look_at = float("-inf")  # it may have been published a moment ago
        keys = self.current()
        if keys is None:
            raise NoKeySet(1)
        if (key := keys.select(kid, alg)) is None:
            raise UnknownKey(kid)
        return key

    async def aclose(self) -> None:
        """End; there is nothing under way."""
