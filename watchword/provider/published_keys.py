"""The provider's own key set, for the APIs that it serves beside its issuer."""

from collections.abc import Callable

from issuer.endpoints.document import Document
from keys.errors import InvalidJwkSet, NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set


class PublishedKeys:
    """Gives the keys that this very process publishes at the moment; nothing is fetched.

    Args:
        published: gives the published document.
    """

    def __init__(self, published: Callable[[], Document]) -> None:
        self._published = published
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
        keys = self.current()
        if keys is None:
            raise NoKeySet(1)
        if (key := keys.select(kid, alg)) is None:
            raise UnknownKey(kid)
        return key

    async def aclose(self) -> None:
        """End; there is nothing under way."""
