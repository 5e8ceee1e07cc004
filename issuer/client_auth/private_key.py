"""Verify the assertions that clients sign with a private key: private_key_jwt.

RFC 7523 §2.2 and §3, RFC 10070 §4. Which key and which algorithms count is up to the registration,
never to the assertion.
"""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from issuer.client_auth.assertion import (
    BadAssertion,
    ClaimedAssertion,
    Expected,
    check_client_assertion,
    single_use,
)
from issuer.client_auth.client_keys import ClientKeys
from issuer.errors import Reason
from issuer.profile import OPEN, SecurityProfile
from issuer.registry.client import Client
from issuer.replay import Once
from keys.errors import InvalidJwt
from keys.jwk import PublicJwk
from keys.jwt import ParsedJwt, verify_signature

_RSA = rsa.RSAPublicNumbers(65_537, 2**2047 + 1).public_key()
_EC = ec.derive_private_key(1, ec.SECP256R1()).public_key()
_ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
# Keys that nobody is known by: they make an unknown client cost the same work as a known one.
_DUMMIES: Mapping[str, PublicJwk] = {
    "RS256": PublicJwk(kid="", alg="RS256", kty="RSA", key=_RSA),
    "PS256": PublicJwk(kid="", alg="PS256", kty="RSA", key=_RSA),
    "ES256": PublicJwk(kid="", alg="ES256", kty="EC", key=_EC),
    "EdDSA": PublicJwk(kid="", alg="EdDSA", kty="OKP", key=_ED25519),
    "Ed25519": PublicJwk(kid="", alg="Ed25519", kty="OKP", key=_ED25519),
}


class PrivateKeyVerifier:
    """Verifies an assertion by the keys of the client that it is for.

    Args:
        issuer: this issuer's identifier, which assertions have to be for.
        keys: the keys of clients.
        profile: what algorithms and audiences count.
    """

    def __init__(self, issuer: str, keys: ClientKeys, profile: SecurityProfile = OPEN) -> None:
        self._issuer = issuer
        self._keys = keys
        self._profile = profile

    def verify_cached(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return the kid of the key at hand that made the assertion; None if none did."""
        try:
            jwt = self._check(client, claimed, now)
            return self._verify(jwt, self._known(client, jwt, now))
        except BadAssertion:
            return None

    async def verify(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return the kid of the client's key that made the assertion; None if none did."""
        try:
            jwt = self._check(client, claimed, now)
            key = None
            if client is not None:
                key = await self._keys.find(client, jwt.header.kid, jwt.header.alg, now)
            return self._verify(jwt, key)
        except BadAssertion:
            return None

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell that a signature cannot be guessed."""
        return False

    def explain(self, client: Client | None, claimed: ClaimedAssertion, now: int) -> Reason:
        """Return why the assertion proves nothing."""
        try:
            # Without a client too: the time does not tell which clients there are.
            jwt = self._check(client, claimed, now)
        except BadAssertion as error:
            return Reason.UNKNOWN_CLIENT if client is None else error.reason
        if client is None:
            return Reason.UNKNOWN_CLIENT
        if self._known(client, jwt, now) is not None:
            return Reason.ASSERTION_SIGNATURE
        missing = self._keys.current_set(client, now) is None
        return Reason.ASSERTION_KEYS_UNAVAILABLE if missing else Reason.ASSERTION_KEY

    def once(self, claimed: ClaimedAssertion) -> tuple[Once, ...]:
        """Return the `jti`, which counts once for the client (RFC 7523 §3)."""
        return (single_use(claimed),)

    def _check(self, client: Client | None, claimed: ClaimedAssertion, now: int) -> ParsedJwt:
        bound = None if client is None else client.registration.token_endpoint_auth_signing_alg
        allowed = self._profile.assertion_algorithms
        return check_client_assertion(
            claimed,
            Expected(self._issuer, now, self._profile.plain_audience),
            algorithms=[each for each in allowed if bound in (None, each)],
        )

    def _known(self, client: Client | None, jwt: ParsedJwt, now: int) -> PublicJwk | None:
        if client is None:
            return None
        return self._keys.known(client, jwt.header.kid, jwt.header.alg, now)

    @staticmethod
    def _verify(jwt: ParsedJwt, key: PublicJwk | None) -> str | None:
        try:
            # Without a key too: the time does not tell which clients there are.
            verify_signature(jwt, key or _DUMMIES[jwt.header.alg])
        except InvalidJwt:
            return None
        return None if key is None else key.kid
