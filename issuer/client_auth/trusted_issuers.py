"""The public keys of the issuers that clients' federated identities name, and of no other.

Nothing of a request chooses what is fetched: a key set is opened for a rule that the claims fit,
from the issuer or the address that the rule has.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from issuer.client_auth.client_keys import ParsedSets, PublishedSet, PublishedSets
from issuer.registry.federated_identity import FederatedIdentity, jwt_keys
from keys.errors import UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set

_REGISTERED = 256
"""Registered key sets that one process keeps parsed; the least recently used goes first."""


class KeySource(NamedTuple):
    """Where an issuer publishes its keys.

    Args:
        issuer: its identifier, or a SPIFFE trust domain.
        jwks_uri: the address of the set; None to find it by the issuer's metadata.
    """

    issuer: str
    jwks_uri: str | None


class TrustedIssuers:
    """Finds the key that another issuer signs with.

    Args:
        open_set: makes the key set of a source; nothing is fetched yet.
    """

    def __init__(self, open_set: Callable[[KeySource], PublishedSet]) -> None:
        self._published = PublishedSets(open_set)
        self._registered = ParsedSets(_parse, _REGISTERED)

    def known(self, identity: FederatedIdentity, kid: str, alg: str, now: int) -> PublicJwk | None:
        """Return the key of a kid and an algorithm, without waiting; None if it is not known."""
        if identity.jwks is None:
            keys = self._open(identity, now).current()
        else:
            keys = self._registered.of(identity, id(identity))  # which is kept, so no other has it
        return None if keys is None else keys.select(kid, alg)

    async def find(self, identity: FederatedIdentity, kid: str, alg: str, now: int) -> PublicJwk:
        """Return the key as `known` does, after asking the issuer if need be.

        Raises:
            UnknownKey: the issuer has no such key.
            NoKeySet: its keys cannot be had now.
        """
        if identity.jwks is None:
            return await self._open(identity, now).key(kid, alg)
        key = self.known(identity, kid, alg, now)
        if key is None:
            raise UnknownKey(kid)
        return key

    def _open(self, identity: FederatedIdentity, now: int) -> PublishedSet:
        return self._published.open(KeySource(identity.issuer, identity.jwks_uri), now)


def _parse(identity: FederatedIdentity) -> JwkSet:
    # The registry has checked each key of it.
    keys = jwt_keys(identity.issuer, identity.jwks or {})
    return parse_jwk_set(json.dumps(keys).encode())
