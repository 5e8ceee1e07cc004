"""RFC 9068 §4: the checks on an access token come in one order, and each has its reason."""

from typing import Any

import pytest

from keys.jwks import JwkSet
from resource_api import AccessToken, InvalidToken, Reason, ResourcePolicy, verify
from tests.support.keys import rsa_key
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge, dump, segment

FORGE = TokenForge()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)

# One fault for each step, in the order of the checks: what to change in header or claims.
FAULTS: list[tuple[Reason, dict[str, Any], dict[str, Any]]] = [
    (Reason.WRONG_TYPE, {"typ": "JWT"}, {}),
    (Reason.WRONG_ALGORITHM, {"alg": "PS256"}, {}),
    (Reason.FORBIDDEN_HEADER, {"jku": "https://evil.example"}, {}),
    (Reason.INVALID_KID, {"kid": ""}, {}),
    (Reason.WRONG_ISSUER, {}, {"iss": "https://other.example"}),
    (Reason.WRONG_AUDIENCE, {}, {"aud": "https://other.example"}),
    (Reason.EXPIRED, {}, {"exp": NOW - 100}),
    (Reason.INVALID_IDENTITY, {}, {"sub": ""}),
    (Reason.INVALID_CONFIRMATION, {}, {"cnf": {}}),
    (Reason.INVALID_STATUS, {}, {"status": {}}),
    (Reason.INVALID_SCOPE_CLAIM, {}, {"scope": []}),
]


def reason_of(token: bytes, keys: JwkSet = FORGE.keys) -> Reason:
    """Give the reason for which a token is refused."""
    with pytest.raises(InvalidToken) as caught:
        verify(token, keys, POLICY, now=NOW)
    return caught.value.reason


@pytest.mark.rfc(
    "9068-4-3", "9068-4-4", "9068-4-7", "9068-4-8", "9068-4-9", "9068-4-10", "9068-4-11"
)
@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_checks_come_in_order(first: int) -> None:
    """Of several faults, the reason is the one that the order reaches first."""
    header: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    for _, header_fault, claims_fault in FAULTS[first:]:
        header |= header_fault
        claims |= claims_fault
    assert reason_of(FORGE.token(header=header, **claims)) is FAULTS[first][0]


@pytest.mark.rfc("9068-4-1", "9068-4-2", "9068-4-5", "9068-4-6")
def test_shape_key_and_signature_come_before_claims() -> None:
    """Size, shape, key and signature are judged, in this order, before any claim is believed."""
    faulty = {"iss": "https://other.example", "exp": 1}
    no_typ = segment(dump({**FORGE.good_header, "typ": "JWT"}))
    assert reason_of(b"x" * 9000) is Reason.TOKEN_TOO_LONG
    assert reason_of(no_typ + b"." + segment(b"[]") + b".AA") is Reason.MALFORMED_TOKEN
    assert reason_of(no_typ + b"." + segment(b"{}") + b".AA") is Reason.WRONG_TYPE
    assert reason_of(TokenForge(rsa_key(1)).token(**faulty)) is Reason.UNKNOWN_KEY
    spoilt = FORGE.token(**faulty).rpartition(b".")[0] + b".AA"
    assert reason_of(spoilt) is Reason.BAD_SIGNATURE
    assert reason_of(FORGE.token(**faulty)) is Reason.WRONG_ISSUER


@pytest.mark.rfc("9068-2.1-1")
def test_good_token_becomes_an_access_token() -> None:
    """What was verified is what the application sees."""
    token = verify(FORGE.token(extra={"a": 1}), FORGE.keys, POLICY, now=NOW)
    assert type(token) is AccessToken
    assert token[:4] == (ISSUER, "svc-a", "svc-a", (RESOURCE,))
    assert {"read", "write"} == token.scopes
    assert (token.issued_at, token.expires_at, token.jti) == (NOW, NOW + 300, "token-1")
    assert token.claims["extra"] == {"a": 1}


def test_scope_may_be_absent() -> None:
    """A token without `scope` is valid and allows nothing that needs one."""
    assert frozenset() == verify(FORGE.token(scope=DROP), FORGE.keys, POLICY, now=NOW).scopes


def test_access_tokens_are_made_by_verification_only() -> None:
    """Nobody constructs one, and nobody changes its claims afterwards."""
    with pytest.raises(TypeError):
        AccessToken()
    token = verify(FORGE.token(), FORGE.keys, POLICY, now=NOW)
    with pytest.raises(TypeError):
        token.claims["scope"] = "admin"  # type: ignore[index]
    with pytest.raises(AttributeError):
        token.subject = "admin"  # type: ignore[misc]
