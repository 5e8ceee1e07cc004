"""Read client assertions and check what they claim (RFC 7521 §4.2, RFC 7523 §3, RFC 10070 §4).

Pure. `claim_assertion` says what a sender claims, `check_client_assertion` whether that may be
believed once the signature is verified; by which key it is, only the methods know.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from issuer.errors import InvalidClient, Reason
from issuer.replay import Once
from keys.errors import InvalidJwt, JwtFault
from keys.jwt import (
    MAX_TOKEN_BYTES,
    JwtProfile,
    ParsedJwt,
    UnverifiedJwt,
    check_header,
    check_identity,
    check_times,
    read_jwt,
)

JWT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The `client_assertion_type` of a JWT (RFC 7523 §2.2)."""

JWT_SPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
"""That of a JWT-SVID (draft-ietf-oauth-spiffe-client-auth)."""

ASSERTION_TYPES = frozenset({JWT_ASSERTION, JWT_SPIFFE})
"""The values of `client_assertion_type` that are read; any other is refused."""

LEEWAY = 60
"""Seconds that the clock of who made an assertion may differ from ours."""
MAXIMUM_LIFE = 300
"""Seconds from `iat` to `exp` of an assertion that a client makes for itself."""
MAXIMUM_JTI_LENGTH = 128

# RFC 10070 §4: an assertion without `typ`, or with that of any JWT, is not to be refused. With the
# type of another kind it is: an access token or a DPoP proof is no assertion.
_TYPES = frozenset({None, "jwt", "client-authentication+jwt"})

_REASONS: Mapping[JwtFault, Reason] = {
    JwtFault.TOKEN_TOO_LONG: Reason.ASSERTION_MALFORMED,
    JwtFault.MALFORMED_TOKEN: Reason.ASSERTION_MALFORMED,
    JwtFault.FORBIDDEN_HEADER: Reason.ASSERTION_MALFORMED,
    JwtFault.INVALID_KID: Reason.ASSERTION_MALFORMED,
    JwtFault.WRONG_TYPE: Reason.ASSERTION_TYPE,
    JwtFault.WRONG_ALGORITHM: Reason.ASSERTION_ALGORITHM,
    JwtFault.EXPIRED: Reason.ASSERTION_EXPIRED,
    JwtFault.INVALID_TIME: Reason.ASSERTION_TIMES,
    JwtFault.NOT_YET_VALID: Reason.ASSERTION_TIMES,
    JwtFault.LIFETIME_TOO_LONG: Reason.ASSERTION_TIMES,
    JwtFault.INVALID_IDENTITY: Reason.ASSERTION_IDENTITY,
    JwtFault.BAD_SIGNATURE: Reason.ASSERTION_SIGNATURE,
}


class BadAssertion(Exception):
    """An assertion that proves nothing; the caller decides what is answered.

    Args:
        reason: what is wrong with it, for the log alone: a JWT's fault, or one of assertions.
    """

    def __init__(self, reason: JwtFault | Reason) -> None:
        self.reason = _REASONS[reason] if isinstance(reason, JwtFault) else reason
        super().__init__(self.reason)


class ClaimedAssertion(NamedTuple):
    """A well-formed assertion, of which nothing is proven.

    Args:
        type: its `client_assertion_type`.
        client_id: whom it is to authenticate: the form's `client_id`, or else its `sub`.
        issuer: `iss`; None if it is missing or no string.
        subject: `sub`, likewise.
        jwt: the whole of it.
    """

    type: str
    client_id: str
    issuer: str | None
    subject: str | None
    jwt: UnverifiedJwt

    @property
    def is_own(self) -> bool:
        """Whether the client claims to have made it for itself (RFC 7523 §3)."""
        return self.client_id == self.issuer == self.subject

    @property
    def is_symmetric(self) -> bool:
        """Whether it claims to be authenticated by a secret that both sides have."""
        alg: str = self.jwt.header["alg"]
        return alg.startswith("HS")

    def __repr__(self) -> str:
        """Show whose it claims to be, not the assertion."""
        return f"ClaimedAssertion(client_id={self.client_id!r})"


def claim_assertion(kind: str, assertion: str, client_id: str | None) -> ClaimedAssertion:
    """Read what an assertion claims.

    Args:
        kind: its `client_assertion_type`.
        assertion: as sent.
        client_id: the parameter of the form; None without one.

    Raises:
        BadAssertion: it is no JWT in the compact serialisation, or names no client.
    """
    if len(assertion) > MAX_TOKEN_BYTES:
        raise BadAssertion(Reason.ASSERTION_MALFORMED)
    try:
        jwt = read_jwt(assertion)
    except InvalidJwt as error:
        raise BadAssertion(error.fault) from None
    named = (jwt.claims.get("iss"), jwt.claims.get("sub"))
    issuer, subject = (name if isinstance(name, str) else None for name in named)
    claimed_id = client_id or subject
    if not claimed_id:
        raise BadAssertion(Reason.ASSERTION_IDENTITY)
    return ClaimedAssertion(kind, claimed_id, issuer, subject, jwt)


def assertion_profile(algorithms: Collection[str]) -> JwtProfile:
    """Return what the header of an assertion of a client for itself may be."""
    return JwtProfile(
        types=_TYPES,
        algorithms=frozenset(algorithms),
        max_bytes=MAX_TOKEN_BYTES,
        kid_required=False,
    )


class Expected(NamedTuple):
    """What the claims of a client's own assertion are checked against.

    Args:
        issuer: this issuer's identifier, which the assertion has to be for.
        now: seconds since the epoch.
        plain_audience: whether `aud` is a text, and no list of one.
    """

    issuer: str
    now: int
    plain_audience: bool = False


def _check_times(claims: Mapping[str, Any], expected: Expected) -> None:
    check_times(claims, expected.now, LEEWAY, MAXIMUM_LIFE)
    # The leeway is for two clocks; both times are of one, so here it does not count.
    if claims["exp"] - claims["iat"] > MAXIMUM_LIFE:
        raise BadAssertion(Reason.ASSERTION_TIMES)


def _check_identity(claims: Mapping[str, Any], expected: Expected) -> None:
    check_identity(claims, "iss", "sub", "jti")
    if claims["iss"] != claims["sub"] or len(claims["jti"]) > MAXIMUM_JTI_LENGTH:
        raise BadAssertion(Reason.ASSERTION_IDENTITY)


def _check_audience(claims: Mapping[str, Any], expected: Expected) -> None:
    # RFC 10070 §4: this issuer as the sole value, and never an endpoint of it. An assertion for two
    # could be sent to one by the other. FAPI 2.0 §5.3.2.1 has no list of one.
    issuer, audience = expected.issuer, claims.get("aud")
    if audience != issuer and (expected.plain_audience or audience != [issuer]):
        raise BadAssertion(Reason.ASSERTION_AUDIENCE)


CLAIM_CHECKS: tuple[tuple[str, Callable[[Mapping[str, Any], Expected], None]], ...] = (
    ("times", _check_times),
    ("identity", _check_identity),
    ("audience", _check_audience),
)
"""The checks of claims by name, in order.

Each raises BadAssertion or InvalidJwt, and none depends on another.
"""


def check_client_assertion(
    claimed: ClaimedAssertion, expected: Expected, *, algorithms: Collection[str]
) -> ParsedJwt:
    """Check all that an assertion of a client for itself claims; its signature remains to verify.

    Args:
        claimed: with the client's id as `iss` and `sub`.
        expected: what its claims have to be.
        algorithms: the accepted ones.

    Raises:
        BadAssertion: type, algorithm, header, audience, times or `jti` are not as they must be.
    """
    jwt = claimed.jwt
    try:
        header = check_header(jwt.header, assertion_profile(algorithms))
        for _, check in CLAIM_CHECKS:
            check(jwt.claims, expected)
    except InvalidJwt as error:
        raise BadAssertion(error.fault) from None
    return jwt.under(header)


def single_use(claimed: ClaimedAssertion) -> Once:
    """Return what counts once of an assertion that was verified: its `jti` (RFC 7523 §3)."""
    refusal = InvalidClient(Reason.ASSERTION_REPLAYED, client_id=claimed.client_id)
    claims = claimed.jwt.claims
    until = int(claims["exp"]) + LEEWAY + 1
    return Once(f"assertion {claimed.client_id}", claims["jti"], until, refusal)
