"""What an API finds out about a token without the issuer's help.

Only shown: a consumer never looks into its own tokens, which are opaque to it (RFC 6749 §1.4).
"""

import math

from keys.errors import KeysError
from keys.jwks import parse_jwk_set
from keys.jwt import (
    MAX_TOKEN_BYTES,
    JwtProfile,
    ParsedJwt,
    check_identity,
    check_times,
    parse_jwt,
    verify_signature,
)
from keys.key_types import ALGORITHMS

# A closed table: what the header asks for never decides how it is checked (RFC 8725 §3.1).
_PROFILE = JwtProfile(
    types=frozenset({"at+jwt"}), algorithms=frozenset(ALGORITHMS), max_bytes=MAX_TOKEN_BYTES
)


def verify_with_jwks(token: str, jwks: bytes, *, issuer: str, now: float) -> str:
    """Return the `kid` of the key that signed a token which has not expired.

    An API can do so without asking the issuer (RFC 7515 §5.2).

    Args:
        token: a JWT access token (RFC 9068).
        jwks: the JWK set as it was served.
        issuer: what the token's `iss` has to be.
        now: seconds since the epoch.

    Raises:
        ValueError: no such key, another signature, or not such a token; says which.
    """
    try:
        parsed = _parse(token)
        key = parse_jwk_set(jwks).select(parsed.header.kid, parsed.header.alg)
        if key is None:
            raise ValueError("the key of the token is not among the issuer's keys")
        verify_signature(parsed, key)
        # Whom the token is for is the API's question, and the API has answered it.
        check_times(parsed.claims, now, leeway=0, max_lifetime=math.inf)
        check_identity(parsed.claims, "sub", "client_id", "jti")
    except KeysError as error:
        raise ValueError(f"the token does not stand: {error}") from None
    if parsed.claims.get("iss") != issuer:
        raise ValueError("the token is of another issuer")
    return key.kid


def is_on_status_list(token: str) -> bool:
    """Tell whether APIs learn of a revocation of the token (Token Status List §6.1).

    Raises:
        ValueError: not a token.
    """
    try:
        return "status" in _parse(token).claims
    except KeysError as error:
        raise ValueError(f"the token does not stand: {error}") from None


def _parse(token: str) -> ParsedJwt:
    return parse_jwt(token.encode(), _PROFILE)
