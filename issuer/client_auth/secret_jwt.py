"""Verify the assertions that clients authenticate with a secret: client_secret_jwt (RFC 7523 §2.2).

HS256 alone, over a secret that Watchword made. The secret is opened for each assertion and kept
nowhere in the clear.
"""

import hmac
from collections.abc import Callable

from issuer.client_auth.assertion import (
    BadAssertion,
    ClaimedAssertion,
    Expected,
    check_client_assertion,
    single_use,
)
from issuer.errors import Reason
from issuer.registry.auth_methods import HMAC_ALGORITHM
from issuer.registry.client import Client
from issuer.registry.credentials import ClientSecret
from issuer.registry.secret_seal import SecretSeal
from issuer.replay import Once
from keys.jwt import ParsedJwt

_DUMMY = bytes(32)


class SecretJwtVerifier:
    """Verifies an assertion by the sealed secrets of the client that it is for.

    Args:
        issuer: this issuer's identifier, which assertions have to be for.
        seal: gives what opens secrets; None while the registry has not answered since the start.
    """

    def __init__(self, issuer: str, seal: Callable[[], SecretSeal | None]) -> None:
        self._issuer = issuer
        self._seal = seal

    def verify_cached(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return the id of the live secret that made the assertion; None if none did."""
        try:
            jwt = self._check(claimed, now)
        except BadAssertion:
            return None
        live = [] if client is None else [each for each in client.secrets if each.is_live(now)]
        return self._find(client, jwt, live)

    async def verify(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return the id of the live secret that made the assertion; None if none did."""
        return self.verify_cached(client, claimed, now)

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell that a generated secret cannot be guessed."""
        return False

    def explain(self, client: Client | None, claimed: ClaimedAssertion, now: int) -> Reason:
        """Return why the assertion proves nothing; an ended secret is told from a wrong one."""
        secrets = () if client is None else client.secrets
        try:
            # Without a client too: the time does not tell which clients there are.
            jwt = self._check(claimed, now)
        except BadAssertion as error:
            return Reason.UNKNOWN_CLIENT if client is None else error.reason
        ended = [each for each in secrets if not each.is_live(now)]
        if self._find(client, jwt, ended) is not None:
            return Reason.SECRET_EXPIRED
        if client is None:
            return Reason.UNKNOWN_CLIENT
        opened = [self._open(client, each) for each in client.secrets if each.is_live(now)]
        return Reason.ASSERTION_SIGNATURE if any(opened) else Reason.ASSERTION_SECRET

    def once(self, claimed: ClaimedAssertion) -> tuple[Once, ...]:
        """Return the `jti`, which counts once for the client (RFC 7523 §3)."""
        return (single_use(claimed),)

    def _check(self, claimed: ClaimedAssertion, now: int) -> ParsedJwt:
        # The registration has the method, the method the algorithm: no header chooses (RFC 8725
        # §3.1).
        expected = Expected(self._issuer, now)
        return check_client_assertion(claimed, expected, algorithms=(HMAC_ALGORITHM,))

    def _find(
        self, client: Client | None, jwt: ParsedJwt, secrets: list[ClientSecret]
    ) -> str | None:
        """Return the id of the secret that made the assertion, in time that tells of none."""
        matched = None
        for known in secrets:
            secret = None if client is None else self._open(client, known)
            if secret is not None and _is_made_with(secret, jwt):
                matched = matched or known.secret_id
        # Without a secret too: the time does not tell which clients there are.
        if not secrets:
            _is_made_with(_DUMMY, jwt)
        return matched

    def _open(self, client: Client, known: ClientSecret) -> bytes | None:
        seal, sealed = self._seal(), known.hash.sealed
        if seal is None or sealed is None:
            return None
        return seal.open(client.client_id, sealed)


def _is_made_with(secret: bytes, jwt: ParsedJwt) -> bool:
    made = hmac.digest(secret, jwt.signing_input, "sha256")
    return hmac.compare_digest(made, jwt.signature)
