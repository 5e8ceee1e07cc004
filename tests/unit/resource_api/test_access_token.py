"""Unit tests of `resource_api.access_token`: bounds, reasons, and foreign exceptions."""

import pickle
from typing import Any

import cryptography.exceptions
import jwt
import pytest

from keys import jwt as our_jwt
from keys.errors import InvalidJwt, JwtFault
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import HeaderMemo
from resource_api import InvalidToken, Reason, ResourcePolicy, verify
from resource_api.access_token import CHECKS, parse_token, profile_of, verify_parsed
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge

FORGE = TokenForge()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)


def descendants(base: type[BaseException]) -> set[type[BaseException]]:
    """Give a class and all its subclasses."""
    return {base}.union(*map(descendants, base.__subclasses__()))


FOREIGN = sorted(
    descendants(jwt.PyJWTError)
    | {
        value
        for value in vars(cryptography.exceptions).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    | {ValueError, TypeError, OverflowError, MemoryError, AttributeError},
    key=lambda kind: kind.__qualname__,
)


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__qualname__)
def test_library_errors_are_bad_signatures(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the signature library raises, the token is refused and nothing leaks."""

    class Broken:
        def verify(self, *arguments: Any) -> bool:
            raise kind.__new__(kind)

    monkeypatch.setattr(our_jwt, "verifier", lambda name: Broken())
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(), FORGE.keys, POLICY, now=NOW)
    assert caught.value.reason is Reason.BAD_SIGNATURE


@pytest.mark.rfc("8725-3.1-1")
def test_key_is_used_with_its_own_algorithm_only() -> None:
    """A key bound to another algorithm verifies nothing, however it was selected."""
    parsed = parse_token(FORGE.token(), profile_of(POLICY))
    other = PublicJwk(kid=FORGE.jwk.kid, alg="PS256", kty="RSA", key=FORGE.jwk.key)
    with pytest.raises(InvalidToken) as caught:
        verify_parsed(parsed, other, POLICY, now=NOW)
    assert caught.value.reason is Reason.BAD_SIGNATURE


def refusal(token: bytes, policy: ResourcePolicy = POLICY, now: float = NOW) -> InvalidToken:
    """Return why a token is refused."""
    with pytest.raises(InvalidToken) as caught:
        verify(token, FORGE.keys, policy, now=now)
    return caught.value


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (FORGE.token(header={"kid": "unknown"}), Reason.UNKNOWN_KEY),
        (FORGE.token().rpartition(b".")[0] + b".AA", Reason.BAD_SIGNATURE),
        (FORGE.token(iss="https://other.example"), Reason.WRONG_ISSUER),
        (FORGE.token(exp=NOW - 60), Reason.EXPIRED),
    ],
)
def test_a_refusal_names_the_key_that_the_token_named(token: bytes, reason: Reason) -> None:
    """The log of a roll-over shows which key it was."""
    error = refusal(token)
    kid = "unknown" if reason is Reason.UNKNOWN_KEY else FORGE.jwk.kid
    assert (error.reason, error.kid) == (reason, kid)


LEEWAY = POLICY.leeway
LONGEST = POLICY.max_lifetime
BOUNDARIES: list[tuple[dict[str, Any], float, Reason | None]] = [
    ({}, NOW + 300 + LEEWAY - 0.5, None),
    ({}, NOW + 300 + LEEWAY, Reason.EXPIRED),
    ({"nbf": NOW + LEEWAY}, NOW, None),
    ({"nbf": NOW + LEEWAY + 1}, NOW, Reason.NOT_YET_VALID),
    ({"nbf": None}, NOW, Reason.INVALID_TIME),
    ({"iat": NOW + 60}, NOW, None),
    ({"iat": NOW + 61}, NOW, Reason.NOT_YET_VALID),
    ({"iat": NOW, "exp": NOW}, NOW, None),
    ({"iat": NOW + 1, "exp": NOW}, NOW, Reason.INVALID_TIME),
    ({"exp": NOW + LONGEST + LEEWAY}, NOW, None),
    ({"exp": NOW + LONGEST + LEEWAY + 1}, NOW, Reason.LIFETIME_TOO_LONG),
    ({"iat": 0, "exp": 1}, 0, None),
    ({"iat": -1, "exp": 1}, 0, Reason.INVALID_TIME),
    ({"iat": 2**53 - 2, "exp": 2**53 - 1}, 2**53 - 2, None),
    ({"iat": 2**53 - 2, "exp": 2**53}, 2**53 - 2, Reason.INVALID_TIME),
    ({"iat": NOW + 0.5, "exp": NOW + 0.5}, NOW, None),
    ({"iat": True}, NOW, Reason.INVALID_TIME),
    ({"sub": "s" * 255}, NOW, None),
    ({"sub": "s" * 256}, NOW, Reason.INVALID_IDENTITY),
    ({"client_id": "s"}, NOW, None),
    ({"client_id": ""}, NOW, Reason.INVALID_IDENTITY),
    ({"jti": 1}, NOW, Reason.INVALID_IDENTITY),
    ({"aud": [RESOURCE, "https://b.example"]}, NOW, None),
    ({"aud": [RESOURCE, 1]}, NOW, Reason.WRONG_AUDIENCE),
    ({"aud": RESOURCE + "/"}, NOW, Reason.WRONG_AUDIENCE),
    ({"cnf": None}, NOW, Reason.INVALID_CONFIRMATION),
    ({"status": None}, NOW, Reason.INVALID_STATUS),
]


@pytest.mark.parametrize(("claims", "now", "reason"), BOUNDARIES)
def test_claims_are_good_up_to_their_bounds(
    claims: dict[str, Any], now: float, reason: Reason | None
) -> None:
    """The last value that is accepted and the first that is not."""
    token = FORGE.token(**claims)
    if reason is None:
        assert verify(token, FORGE.keys, POLICY, now=now).claims == FORGE.good_claims | claims
    else:
        assert refusal(token, now=now).reason is reason


def test_a_token_is_good_up_to_its_longest() -> None:
    """The bound is the length of the token as received, in bytes."""
    token = FORGE.token()
    exact, short = (
        ResourcePolicy(issuer=ISSUER, resource=RESOURCE, max_token_bytes=len(token) - missing)
        for missing in (0, 1)
    )
    assert verify(token, FORGE.keys, exact, now=NOW).jti == "token-1"
    assert refusal(token, short).reason is Reason.TOKEN_TOO_LONG


def test_what_was_proven_is_told_as_it_was_signed() -> None:
    """Each name stands for its own claim; without a scope nothing may be done."""
    claims = {"sub": "s", "client_id": "c", "jti": "j", "aud": ["https://b.example", RESOURCE]}
    token = verify(FORGE.token(**claims), FORGE.keys, POLICY, now=NOW)
    assert (token.issuer, token.subject, token.client_id, token.jti) == (ISSUER, "s", "c", "j")
    assert token.audience == ("https://b.example", RESOURCE)
    assert token.scopes == {"read", "write"}
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 300)
    bare = verify(FORGE.token(scope=DROP), FORGE.keys, POLICY, now=NOW)
    assert (bare.audience, bare.scopes) == ((RESOURCE,), frozenset())


def test_a_remembered_header_excuses_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a success the same header is not read again, and everything else is still checked."""
    memo = HeaderMemo()
    verify(FORGE.token(), FORGE.keys, POLICY, now=NOW, memo=memo)
    monkeypatch.setattr(our_jwt, "parse_header", None)  # a call of it fails
    assert verify(FORGE.token(jti="2"), FORGE.keys, POLICY, now=NOW, memo=memo).jti == "2"
    for token, reason in (
        (FORGE.token(iss="https://other.example"), Reason.WRONG_ISSUER),
        (FORGE.token(exp=NOW - 60), Reason.EXPIRED),
        (FORGE.token().rpartition(b".")[0] + b".AA", Reason.BAD_SIGNATURE),
    ):
        with pytest.raises(InvalidToken) as caught:
            verify(token, FORGE.keys, POLICY, now=NOW, memo=memo)
        assert caught.value.reason is reason
    with pytest.raises(InvalidToken) as caught:
        verify(FORGE.token(), JwkSet(keys=()), POLICY, now=NOW, memo=memo)
    assert caught.value.reason is Reason.UNKNOWN_KEY


def test_every_fault_of_a_jwt_has_its_reason() -> None:
    """What `keys.jwt` refuses is refused here under the same stable code."""
    assert {Reason(fault).value for fault in JwtFault} == {fault.value for fault in JwtFault}


FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "issuer": ({"iss": "https://other.example"}, Reason.WRONG_ISSUER),
    "audience": ({"aud": []}, Reason.WRONG_AUDIENCE),
    "times": ({"iat": 0, "exp": 1}, Reason.EXPIRED),
    "identity": ({"sub": ""}, Reason.INVALID_IDENTITY),
    "confirmation": ({"cnf": {}}, Reason.INVALID_CONFIRMATION),
    "status": ({"status": {}}, Reason.INVALID_STATUS),
    "scope": ({"scope": ["read"]}, Reason.INVALID_SCOPE_CLAIM),
    "authorization_details": ({"authorization_details": {}}, Reason.INVALID_DETAILS_CLAIM),
}


def test_verification_stops_at_the_first_check_that_fails() -> None:
    """The order of the table is the order of the reasons."""
    assert list(FAULTS) == [name for name, _ in CHECKS]
    left = list(FAULTS.values())
    while left:
        claims = {name: value for wrong, _ in left for name, value in wrong.items()}
        assert refusal(FORGE.token(**claims)).reason is left[0][1]
        del left[0]


def test_each_check_looks_at_its_own_claims_alone() -> None:
    """An explanation can run them all, whatever the others say."""
    for name, check in CHECKS:
        others: dict[str, Any] = {}
        for other in FAULTS.keys() - {name}:
            others |= FAULTS[other][0]
        check({**FORGE.good_claims, **others}, POLICY, NOW)
        with pytest.raises((InvalidToken, InvalidJwt)):
            check({**FORGE.good_claims, **FAULTS[name][0]}, POLICY, NOW)


def test_a_bound_token_is_no_bearer_token() -> None:
    """Nothing here tells what its sender possesses (RFC 9449 §7.2)."""
    bound = FORGE.token(cnf={"jkt": "A" * 43})
    with pytest.raises(InvalidToken) as caught:
        verify(bound, FORGE.keys, POLICY, now=NOW)
    assert caught.value.reason is Reason.UNCHECKED_BINDING


def test_the_text_of_a_token_is_there_for_an_exchange_and_nowhere_else() -> None:
    """Whoever has it can use it: it is in no repr, and no pickle takes it along."""
    token = FORGE.token()
    verified = verify(token, FORGE.keys, POLICY, now=NOW)
    assert verified.text == token.decode()
    signature = token.decode().rpartition(".")[2]
    for shown in (
        repr(verified),
        str(verified),
        repr(verified._asdict()),
        repr(vars(type(verified))),
        repr(verified.presented),
    ):
        assert signature not in shown
    assert repr(verified.presented) == "TokenText(...)"
    for kept in (verified, verified.presented):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(kept)
