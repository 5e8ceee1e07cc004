"""Check a token's signature with the issuer's published keys alone (RFC 7515 §5.2, RFC 7517 §5).

For the story, to show that an API needs no word from the issuer. A consumer never does this with
its own tokens: to a client they are opaque (RFC 6749 §1.4).
"""

import json

import jwt

# A closed table: what a token's header asks for never decides how it is checked (RFC 8725 §3.1).
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


def verify_with_jwks(token: str, jwks: bytes, *, issuer: str) -> str:
    """Return the `kid` of the key that signed a token which has not expired.

    Args:
        token: a JWT access token (RFC 9068).
        jwks: the JWK set as it was served.
        issuer: what the token's `iss` has to be.

    Raises:
        ValueError: no such key, another signature, or not such a token; says which.
    """
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.loads(jwks)).keys}
        if kid not in keys:
            raise ValueError("the key of the token is not among the issuer's keys")
        if header.get("typ") != "at+jwt":
            raise ValueError("the token is not of type at+jwt")
        jwt.decode(
            token,
            keys[kid],
            algorithms=list(_ALGORITHMS),
            issuer=issuer,
            # Whom the token is for is the API's question, and the API has answered it.
            options={"require": ["iss", "exp", "sub", "client_id", "jti"], "verify_aud": False},
        )
    except (jwt.PyJWTError, RecursionError, TypeError, AttributeError) as error:
        raise ValueError(f"the token does not stand: {error}") from None
    return str(kid)
