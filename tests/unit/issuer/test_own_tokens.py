"""Unit tests of `issuer.own_tokens`: which tokens are the issuer's own, and what became of them."""

import dataclasses
import math
from typing import Any

import pytest

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.own_tokens import NotOwnToken, OwnToken, OwnTokens
from issuer.status.lists import StatusLists
from issuer.status.positions import Position, Status, status_claim
from keys.jwk import PublicJwk
from keys.key_types import ALGORITHMS
from tests.support.keys import rsa_key
from watchword.testing.forge import DROP, ISSUER, NOW, TokenForge
from watchword.testing.keys import private_key

FORGE = TokenForge()
PLACE = Position(1_000_001, 7)


class Known:
    """What the issuer knows: its published keys and the statuses of its tokens."""

    def __init__(self, *keys: PublicJwk) -> None:
        self.keys = {key.kid: key for key in keys or (FORGE.jwk,)}
        self.until = math.inf
        self.statuses: dict[Position, Status] = {}

    def public_key(self, kid: str, now: int) -> PublicJwk | None:
        return self.keys.get(kid) if now < self.until else None

    def status(self, position: Position) -> Status:
        return self.statuses.get(position, Status.VALID)


def own_tokens(known: Known) -> OwnTokens:
    """Verify with what is known."""
    return OwnTokens(ISSUER, known, known)


def verify(token: bytes, *, known: Known | None = None, now: int = NOW) -> OwnToken:
    """Verify a token that may be used."""
    return own_tokens(known or Known()).verify(token.decode("latin-1"), now=now)


def refusal(token: bytes, **changes: Any) -> Reason:
    """Return why a token may not be used."""
    with pytest.raises(NotOwnToken) as caught:
        verify(token, **changes)
    return caught.value.reason


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_token_of_any_of_our_algorithms_is_read(alg: str) -> None:
    """The algorithm is that of the key; a resource may have one of its own."""
    forge = TokenForge(private_key(alg), alg=alg)
    found = verify(forge.token(), known=Known(forge.jwk))
    assert (found.client_id, found.audience) == ("svc-a", ("https://api.example",))
    assert (found.kid, found.position, found.status) == (forge.jwk.kid, None, Status.VALID)
    assert found.claims["scope"] == "read write"


def test_several_audiences_are_told_apart() -> None:
    """RFC 7519 §4.1.3: an array has one entry for each."""
    assert verify(FORGE.token(aud=["https://a", "https://b"])).audience == (
        "https://a",
        "https://b",
    )


def test_its_status_is_looked_up_by_its_place() -> None:
    """Only one that is VALID may be used; the others are recognised all the same."""
    known = Known()
    token = FORGE.token(status=status_claim(PLACE, ISSUER))
    assert verify(token, known=known).position == PLACE
    for status, reason in {
        Status.INVALID: Reason.TOKEN_REVOKED,
        Status.SUSPENDED: Reason.TOKEN_SUSPENDED,
    }.items():
        known.statuses[PLACE] = status
        assert refusal(token, known=known) is reason
        found = own_tokens(known).recognise(token.decode(), now=NOW)
        assert (found.position, found.status) == (PLACE, status)


def test_until_the_statuses_are_known_a_token_is_neither_good_nor_bad() -> None:
    """503 for whoever asks; a token that is on no list needs none of them."""
    lists = StatusLists(longest=3_600)
    tokens = OwnTokens(ISSUER, Known(), lists)
    token = FORGE.token(status=status_claim(PLACE, ISSUER)).decode()
    with pytest.raises(TemporarilyUnavailable):
        tokens.verify(token, now=NOW)
    assert tokens.verify(FORGE.token().decode(), now=NOW).position is None
    lists.apply((), NOW, counts={})
    assert tokens.verify(token, now=NOW).position == PLACE


@pytest.mark.parametrize(
    ("reason", "header", "claims"),
    [
        (Reason.WRONG_TYPE, {"typ": "JWT"}, {}),
        (Reason.WRONG_TYPE, {"typ": "statuslist+jwt"}, {}),
        (Reason.WRONG_TYPE, {"typ": "token-introspection+jwt"}, {}),
        (Reason.WRONG_ALGORITHM, {"alg": "none"}, {}),
        (Reason.WRONG_ALGORITHM, {"alg": "HS256"}, {}),
        (Reason.FORBIDDEN_HEADER, {"jwk": {}}, {}),
        (Reason.INVALID_KID, {"kid": DROP}, {}),
        (Reason.UNKNOWN_KEY, {"kid": "another"}, {}),
        (Reason.BAD_SIGNATURE, {"alg": "RS384"}, {}),
        (Reason.WRONG_ISSUER, {}, {"iss": ISSUER + "/"}),
        (Reason.WRONG_ISSUER, {}, {"iss": DROP}),
        (Reason.INVALID_TIME, {}, {"exp": "1"}),
        (Reason.EXPIRED, {}, {"iat": NOW - 300, "exp": NOW}),
        (Reason.NOT_YET_VALID, {}, {"nbf": NOW + 1}),
        (Reason.LIFETIME_TOO_LONG, {}, {"exp": NOW + 86_401}),
        (Reason.INVALID_IDENTITY, {}, {"client_id": DROP}),
        (Reason.INVALID_IDENTITY, {}, {"jti": ""}),
        (Reason.INVALID_IDENTITY, {}, {"sub": DROP}),
        (Reason.INVALID_STATUS, {}, {"status": {"status_list": {"idx": -1, "uri": "x"}}}),
        (Reason.INVALID_STATUS, {}, {"status": status_claim(PLACE, "https://other.example")}),
    ],
)
def test_what_is_no_token_of_ours_is_refused_for_its_own_reason(
    reason: Reason, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """RFC 9068 §4, by what the issuer knows; the reason is the API's name for it."""
    assert refusal(FORGE.token(header=header, **claims)) is reason


@pytest.mark.parametrize(
    ("reason", "token"),
    [
        (Reason.TOKEN_TOO_LONG, b"a" * 8_193),
        (Reason.MALFORMED_TOKEN, b""),
        (Reason.MALFORMED_TOKEN, b"opaque"),
        (Reason.MALFORMED_TOKEN, b"\xff.\xff.\xff"),
        (Reason.MALFORMED_TOKEN, FORGE.token() + b"\n"),
        (Reason.BAD_SIGNATURE, FORGE.token()[:-4] + b"AAAA"),
    ],
)
def test_what_is_no_jwt_or_not_signed_is_refused(reason: Reason, token: bytes) -> None:
    """Whatever the bytes, nothing but a refusal comes out."""
    assert refusal(token) is reason


def test_text_that_no_header_can_have_is_refused() -> None:
    """Such as of a caller within the process: a lone surrogate has no encoding."""
    with pytest.raises(NotOwnToken) as caught:
        own_tokens(Known()).verify("a.\ud800.c", now=NOW)
    assert caught.value.reason is Reason.MALFORMED_TOKEN


def test_a_key_counts_while_it_is_published() -> None:
    """Whether the token was verified before or not."""
    known = Known()
    tokens = own_tokens(known)
    tokens.verify(FORGE.token().decode(), now=NOW)
    known.until = NOW + 1
    for token in (FORGE.token(), FORGE.token(jti="2")):
        assert tokens.verify(token.decode(), now=NOW)
        with pytest.raises(NotOwnToken) as caught:
            tokens.verify(token.decode(), now=NOW + 1)
        assert caught.value.reason is Reason.UNKNOWN_KEY


def test_a_token_of_another_key_or_of_one_that_was_withdrawn_is_refused() -> None:
    """Only what is published counts: a withdrawn key is not."""
    other = TokenForge(rsa_key(1))
    assert refusal(other.token()) is Reason.UNKNOWN_KEY
    assert refusal(other.token(header={"kid": FORGE.jwk.kid})) is Reason.BAD_SIGNATURE
    known = Known()
    known.keys.clear()
    assert refusal(FORGE.token(), known=known) is Reason.UNKNOWN_KEY


def test_leeway_is_for_those_who_ask_for_it() -> None:
    """An API may accept a token a little after its end, so that it can still be revoked then."""
    tokens, token = own_tokens(Known()), FORGE.token().decode()
    assert tokens.recognise(token, now=NOW + 359, leeway=60).client_id == "svc-a"
    for now, leeway in ((NOW + 360, 60), (NOW + 300, 0)):
        with pytest.raises(NotOwnToken):
            tokens.recognise(token, now=now, leeway=leeway)


def test_an_issuer_with_a_final_slash_has_its_lists_without_it() -> None:
    """`iss` is compared byte for byte, and paths are appended to what comes before the slash."""
    issuer = "https://as.example/"
    forge, known = TokenForge(issuer=issuer), Known()
    token = forge.token(status=status_claim(PLACE, "https://as.example")).decode()
    assert OwnTokens(issuer, known, known).verify(token, now=NOW).position == PLACE


def test_a_representation_shows_which_token_it_is_and_nothing_else() -> None:
    """It may end up in a log."""
    assert repr(verify(FORGE.token(note="private"))) == (
        "OwnToken(client_id='svc-a', jti='token-1', status=<Status.VALID: 0>)"
    )


def test_the_signature_of_a_token_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, times and status are looked at each time, so whatever ends a token ends it at once."""
    known = Known()
    tokens, token = own_tokens(known), FORGE.token(status=status_claim(PLACE, ISSUER)).decode()
    tokens.verify(token, now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr("issuer.own_tokens.verify_signature", None)  # called, it would fail
        assert tokens.verify(token, now=NOW).position == PLACE
        for now, reason in ((NOW + 300, Reason.EXPIRED), (NOW - 61, Reason.NOT_YET_VALID)):
            with pytest.raises(NotOwnToken) as caught:
                tokens.verify(token, now=now)
            assert caught.value.reason is reason
        known.statuses[PLACE] = Status.INVALID
        with pytest.raises(NotOwnToken) as caught:
            tokens.verify(token, now=NOW)
        assert caught.value.reason is Reason.TOKEN_REVOKED
    known.statuses.clear()
    published = known.keys.pop(FORGE.jwk.kid)
    with pytest.raises(NotOwnToken) as caught:
        tokens.verify(token, now=NOW)
    assert caught.value.reason is Reason.UNKNOWN_KEY
    other = TokenForge(private_key("PS256"), alg="PS256").jwk
    known.keys[FORGE.jwk.kid] = dataclasses.replace(other, kid=FORGE.jwk.kid)
    with pytest.raises(NotOwnToken):
        tokens.verify(token, now=NOW)
    known.keys[FORGE.jwk.kid] = published
    tokens.verify(token, now=NOW)


def test_what_is_remembered_is_bounded_and_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that are none of ours are not remembered, however many are sent."""
    monkeypatch.setattr("issuer.own_tokens.REMEMBERED", 3)
    tokens = own_tokens(Known())
    for number in range(5):
        tokens.verify(FORGE.token(jti=f"t{number}").decode(), now=NOW)
        with pytest.raises(NotOwnToken):
            tokens.verify(FORGE.token(iss=f"https://{number}.example").decode(), now=NOW)
    assert len(tokens._signed) == 3
    tokens.verify(FORGE.token(jti="t2").decode(), now=NOW)
    tokens.verify(FORGE.token(jti="t5").decode(), now=NOW)
    monkeypatch.setattr("issuer.own_tokens.verify_signature", None)  # called, it would fail
    for jti in ("t2", "t4", "t5"):  # what was used last
        assert tokens.verify(FORGE.token(jti=jti).decode(), now=NOW).jti == jti
