"""Verify tokens that other issuers gave to a client's workload: federated identities.

RFC 7521 §4, RFC 7523 §3. A platform gives the same token to a workload again and again until it is
about to expire, so such a token may be used as often as it is valid; its `jti` counts for nothing.
"""

from issuer.client_auth.assertion import LEEWAY, ClaimedAssertion
from issuer.client_auth.trusted_issuers import TrustedIssuers
from issuer.errors import InvalidClient, Reason, TemporarilyUnavailable
from issuer.federation import compare
from issuer.registry.client import Client
from issuer.registry.federated_identity import FederatedIdentity
from issuer.replay import Once
from keys.errors import InvalidJwt, NoKeySet, UnknownKey
from keys.jwt import (
    CERTIFICATE_THUMBPRINTS,
    MAX_TOKEN_BYTES,
    JwtProfile,
    ParsedJwt,
    check_header,
    check_times,
    verify_signature,
)
from keys.key_types import ALGORITHMS

MAXIMUM_LIFE = 86_400
"""Seconds from `iat` to `exp` of a token of another issuer: what clusters give at most is an hour
or a few, unless they are told otherwise."""

# JWT-SVID §2.3 has `JOSE` too; GitHub writes `x5t` beside `kid`. Access tokens, assertions and
# proofs have types of their own, and authenticate no workload.
_PROFILE = JwtProfile(
    types=frozenset({None, "jwt", "jose"}),
    algorithms=frozenset(ALGORITHMS),
    max_bytes=MAX_TOKEN_BYTES,
    ignored=CERTIFICATE_THUMBPRINTS,
)


class FederatedVerifier:
    """Verifies a token of another issuer by the federated identities of the client that it is for.

    Args:
        issuer: this issuer's identifier, which tokens have to be for unless an identity says else.
        trusted: the keys of the issuers that identities name.
    """

    def __init__(self, issuer: str, trusted: TrustedIssuers) -> None:
        self._issuer = issuer
        self._trusted = trusted

    def verify_cached(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return which identity the token proves, by keys at hand; None if it proves none."""
        if client is None:
            return None
        try:
            number, identity, jwt = self._check(client, claimed, now)
            key = self._trusted.known(identity, jwt.header.kid, jwt.header.alg, now)
            if key is None:
                return None
            verify_signature(jwt, key)
        except (InvalidClient, InvalidJwt):
            return None
        return _name(number)

    async def verify(
        self, client: Client | None, claimed: ClaimedAssertion, now: int
    ) -> str | None:
        """Return which identity the token proves; None for no client.

        Raises:
            InvalidClient: it proves none, with the explanation for the log.
            TemporarilyUnavailable: the keys of its issuer cannot be had now.
        """
        if client is None:
            return None
        number, identity, jwt = self._check(client, claimed, now)
        try:
            key = await self._trusted.find(identity, jwt.header.kid, jwt.header.alg, now)
            verify_signature(jwt, key)
        except NoKeySet:
            # It may be right: the workload is to try again, and not to take it for refused.
            raise TemporarilyUnavailable(
                Reason.TRUSTED_ISSUER_UNAVAILABLE,
                client_id=client.client_id,
                asked=identity.issuer,
            ) from None
        except UnknownKey:
            raise _refused(Reason.FEDERATED_TOKEN, client, number, "unknown_key") from None
        except InvalidJwt as error:
            raise _refused(Reason.FEDERATED_TOKEN, client, number, error.fault) from None
        return _name(number)

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell that a signature cannot be guessed."""
        return False

    def explain(self, client: Client | None, claimed: ClaimedAssertion, now: int) -> Reason:
        """Return why no client was verified; of a client, `verify` says it."""
        return Reason.UNKNOWN_CLIENT

    def once(self, claimed: ClaimedAssertion) -> tuple[Once, ...]:
        """Return nothing: the token may come again."""
        return ()

    def _check(
        self, client: Client, claimed: ClaimedAssertion, now: int
    ) -> tuple[int, FederatedIdentity, ParsedJwt]:
        """Find the identity that the token claims, and check all but its signature.

        Before a key is looked for: a token that fits no rule has no issuer asked.
        """
        identities, jwt = client.registration.federated_identities, claimed.jwt
        found = compare(identities, jwt.claims, self._issuer)
        number = found.number
        if found.mismatches:
            why = "; ".join(map(str, found.mismatches))
            raise _refused(Reason.FEDERATED_MISMATCH, client, number, why)
        try:
            header = check_header(jwt.header, _PROFILE)
            check_times(jwt.claims, now, LEEWAY, MAXIMUM_LIFE)
        except InvalidJwt as error:
            raise _refused(Reason.FEDERATED_TOKEN, client, number, error.fault) from None
        return number, identities[number], jwt.under(header)


def _name(number: int) -> str:
    return f"federated_identities[{number}]"


def _refused(reason: Reason, client: Client, number: int, why: str) -> InvalidClient:
    return InvalidClient(reason, client_id=client.client_id, asked=f"{_name(number)}: {why}")
