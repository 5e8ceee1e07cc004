"""`keys.jwt`: a JWT that is taken apart and not believed."""

import json
from dataclasses import replace

import pytest

from keys.encoding import decode_base64url
from keys.errors import InvalidJwt, JwtFault
from keys.jwt import (
    HeaderMemo,
    JwtHeader,
    JwtProfile,
    check_header,
    parse_jwt,
    read_jwt,
    verify_signature,
)
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
PROFILE = JwtProfile(
    types=frozenset({"at+jwt"}), algorithms=frozenset({"RS256"}), max_bytes=len(FORGE.token()) + 1
)


@pytest.mark.parametrize("kind", [str, bytes])
def test_what_was_taken_apart_can_be_verified(kind: type) -> None:
    """By the header that was checked, whoever checked it."""
    token = FORGE.token()
    jwt = read_jwt(token.decode() if kind is str else token)
    assert (jwt.type, jwt.header["kid"]) == ("at+jwt", FORGE.jwk.kid)
    parsed = jwt.under(JwtHeader("RS256", FORGE.jwk.kid))
    verify_signature(parsed, FORGE.jwk)
    assert parsed.claims == jwt.claims == json.loads(decode_base64url(token.split(b".")[1]))
    assert parsed.header_segment == token.partition(b".")[0]
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
    with pytest.raises(InvalidJwt) as caught:
        parse_jwt(token, PROFILE)
    assert caught.value.fault is JwtFault.MALFORMED_TOKEN


@pytest.mark.parametrize(
    ("typ", "found"), [("Application/DPoP+JWT", "dpop+jwt"), (7, ""), ("JWT", "jwt")]
)
def test_a_type_is_read_as_a_media_type(typ: object, found: str) -> None:
    """Case does not matter, and `application/` may be there (RFC 7515 §4.1.9)."""
    assert read_jwt(FORGE.token(header={"typ": typ})).type == found


def test_a_header_without_a_kid_names_none() -> None:
    """Where none is required; a kid that is there is checked all the same."""
    profile = replace(PROFILE, types=frozenset({None}), kid_required=False)
    assert check_header({"alg": "RS256"}, profile) == JwtHeader("RS256", "")
    for kid in ("", None, 7):
        with pytest.raises(InvalidJwt) as caught:
            check_header({"alg": "RS256", "kid": kid}, profile)
        assert caught.value.fault is JwtFault.INVALID_KID


def test_a_memo_of_headers_is_bounded() -> None:
    """A full one starts afresh; a header that is in it already takes no room."""
    memo, header = HeaderMemo(bound=2), JwtHeader("RS256", "a")
    for segment in (b"1", b"2", b"2", b"1"):
        memo.remember(segment, header)
    assert memo.get(b"1") == memo.get(b"2") == header
    memo.remember(b"3", header)
    assert [memo.get(each) for each in (b"1", b"2", b"3")] == [None, None, header]
