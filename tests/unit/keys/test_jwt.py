"""`keys.jwt`: a JWT that is taken apart and not believed."""

import pytest

from keys.errors import InvalidJwt, JwtFault
from keys.jwt import JwtHeader, read_jwt, verify_signature
from watchword.testing.forge import TokenForge

FORGE = TokenForge()


@pytest.mark.parametrize("kind", [str, bytes])
def test_what_was_taken_apart_can_be_verified(kind: type) -> None:
    """By the header that was checked, whoever checked it."""
    token = FORGE.token()
    jwt = read_jwt(token.decode() if kind is str else token)
    assert (jwt.type, jwt.header["kid"]) == ("at+jwt", FORGE.jwk.kid)
    parsed = jwt.under(JwtHeader("RS256", FORGE.jwk.kid))
    verify_signature(parsed, FORGE.jwk)
    assert parsed.claims == jwt.claims
    assert token.rpartition(b".")[2].decode() not in repr(jwt)
    assert repr(parsed) == f"ParsedJwt(kid={FORGE.jwk.kid!r})"


@pytest.mark.rfc("7515-5.2-1")
@pytest.mark.parametrize(
    "token", [b"", b"a.b.c", b"a.b", FORGE.raw(b'{"alg":"RS256"}', b"[]"), FORGE.token() + b"\n"]
)
def test_anything_else_is_no_jwt(token: bytes) -> None:
    """Nor is one that ends with a line feed, as a file does."""
    with pytest.raises(InvalidJwt) as caught:
        read_jwt(token)
    assert caught.value.fault is JwtFault.MALFORMED_TOKEN


@pytest.mark.parametrize(
    ("typ", "found"), [("Application/DPoP+JWT", "dpop+jwt"), (7, ""), ("JWT", "jwt")]
)
def test_a_type_is_read_as_a_media_type(typ: object, found: str) -> None:
    """Case does not matter, and `application/` may be there (RFC 7515 §4.1.9)."""
    assert read_jwt(FORGE.token(header={"typ": typ})).type == found
