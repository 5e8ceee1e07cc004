"""The token request and what may come back."""

import json
from urllib.parse import parse_qs

import pytest

from consumer.client_auth import ClientSecretBasic, ClientSecretPost
from consumer.errors import (
    InvalidTokenResponse,
    TokenEndpointUnreachable,
    TokenRequestRefused,
)
from consumer.fetch import FetchAnswer
from consumer.token_request import (
    ASSUMED_LIFETIME,
    parse_token_response,
    write_details,
    write_scope,
)
from tests.support.consumer_flow import token_request

AUTH = ClientSecretBasic("billing", "s3cret")
GOOD = {"access_token": "abc.def-_~+/=", "token_type": "Bearer", "expires_in": 3600}


def answer(document, status=200, **headers):
    """Return an answer of the token endpoint."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return FetchAnswer(
        status=status, headers={"content-type": "application/json"} | headers, body=body
    )


def judged(document, status=200, **headers):
    """Judge such an answer, received at moment 100."""
    return parse_token_response(answer(document, status, **headers), AUTH, now=100.0)


def test_the_request_has_the_grant_and_what_was_asked_for():
    """Scope and resource are form-encoded, the address is left alone."""
    request = token_request(
        AUTH, "https://as.example/token?tenant=1", scope="a b", resource="https://api.example"
    )
    assert (request.method, request.url) == ("POST", "https://as.example/token?tenant=1")
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "resource": ["https://api.example"],
    }


def test_details_are_asked_for_as_json():
    """RFC 9396 §2: one array, in the encoding of the form like everything else."""
    details = [{"type": "payment", "creditor": "Kasse №1"}, {"type": "account"}]
    request = token_request(
        AUTH, "https://as.example/token", authorization_details=write_details(details)
    )
    (sent,) = parse_qs(request.body.decode())["authorization_details"]
    assert json.loads(sent) == details


@pytest.mark.parametrize(
    "details",
    [
        [],
        [{}],
        ["payment"],
        [{"type": 1}],
        [{"type": "a", "b": float("nan")}],
        [{"type": "a", "b": {1}}],
    ],
)
def test_details_that_cannot_be_are_refused_before_anything_is_sent(details):
    """Where the program that asks for them is written."""
    with pytest.raises(ValueError):
        write_details(details)


def test_the_secret_in_the_body_is_form_encoded_once():
    """`client_secret_post` uses the encoding of the form and none besides."""
    request = token_request(ClientSecretPost("a b", "p&q=%"))
    assert b"client_id=a+b&client_secret=p%26q%3D%25" in request.body


def test_a_good_answer_is_a_token():
    """Its life is counted from the moment of receipt."""
    token = judged(GOOD | {"scope": "a b"})
    assert (
        token.value,
        token.received_at,
        token.lifetime,
        token.scope,
    ) == ("abc.def-_~+/=", 100.0, 3600.0, "a b")


def test_a_token_without_expires_in_is_used_for_a_while():
    """The issuer need not say how long it lives; for ever is not a good guess."""
    del (document := dict(GOOD))["expires_in"]
    assert judged(document).lifetime == ASSUMED_LIFETIME


@pytest.mark.parametrize(("told", "seconds"), [("3600", 3600.0), ("0", 0.0), ("0060", 60.0)])
def test_a_lifetime_in_a_string_of_digits_is_read(told, seconds):
    """RFC 6749 §5.1 wants a number; some servers write it as a string."""
    assert judged(GOOD | {"expires_in": told}).lifetime == seconds


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": 7},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\r\nX-Injected: 1"},
        {"access_token": "ünï"},
        {"token_type": None},
        {"token_type": 1},
        {"expires_in": ""},
        {"expires_in": " 3600"},
        {"expires_in": "-1"},
        {"expires_in": "+1"},
        {"expires_in": "36e2"},
        {"expires_in": "3600.0"},
        {"expires_in": "0x10"},
        {"expires_in": "3_600"},
        {"expires_in": "\u0663"},
        {"expires_in": "9" * 16},
        {"expires_in": "9" * 5000},
        {"expires_in": ["3600"]},
        {"expires_in": True},
        {"expires_in": -1},
        {"expires_in": 2**53},
        {"expires_in": 10**400},
        {"scope": ["a", "b"]},
    ],
    ids=repr,
)
def test_an_impossible_answer_is_refused(change):
    """What RFC 6749 §5.1 does not allow is not guessed at."""
    with pytest.raises(InvalidTokenResponse):
        judged(GOOD | change)


def test_an_error_with_200_is_a_refusal():
    """As some servers answer: the code says more than that there is no token."""
    with pytest.raises(TokenRequestRefused, match="refused with 200 invalid_scope: no such scope"):
        judged({"error": "invalid_scope", "error_description": "no such scope"})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"access_token":"t","expires_in":1e999}'])
def test_an_unreadable_answer_is_refused(body):
    """A 200 without JSON is no token."""
    with pytest.raises(InvalidTokenResponse):
        judged(body)


def test_an_oauth_error_keeps_code_description_and_status():
    """The caller can branch on the code and show the rest."""
    with pytest.raises(TokenRequestRefused) as caught:
        judged({"error": "invalid_scope", "error_description": "no such scope"}, 400)
    error = caught.value
    assert (error.code, error.description, error.status) == ("invalid_scope", "no such scope", 400)
    assert error.answer == "the token request was refused with 400 invalid_scope: no such scope"


def test_an_oauth_error_may_come_without_description():
    """Only the code is required; a description that is no text counts as none."""
    with pytest.raises(TokenRequestRefused, match=r"refused with 401 invalid_client; check"):
        judged({"error": "invalid_client", "error_description": 7}, 401)


@pytest.mark.rfc("9700-4.10-1")
def test_a_secret_that_the_issuer_echoes_is_blotted_out():
    """Neither the code nor the description brings it into a message or a log."""
    with pytest.raises(TokenRequestRefused) as caught:
        judged({"error": "x s3cret", "error_description": "y" * 197 + "s3cret\n"}, 400)
    assert "s3c" not in f"{caught.value!r} {caught.value}"


def test_a_description_cannot_garble_a_log():
    """Line breaks are replaced and the length is bounded."""
    with pytest.raises(TokenRequestRefused) as caught:
        judged({"error": "invalid_request", "error_description": "a\r\nb" + "c" * 1000}, 400)
    assert caught.value.description.startswith("a??b")
    assert len(caught.value.description) == 200


def test_the_wish_to_be_left_alone_is_kept():
    """429 and 503 say when to come again."""
    with pytest.raises(TokenRequestRefused) as refused:
        judged({"error": "temporarily_unavailable"}, 429, **{"retry-after": "9"})
    assert refused.value.retry_after == 9.0
    with pytest.raises(TokenEndpointUnreachable) as unreachable:
        judged(b"<html>", 503, **{"retry-after": "8"})
    assert unreachable.value.retry_after == 8.0


@pytest.mark.parametrize("document", [b"<html>", {"error": 1}, {"error": 'a"b'}, {"error": ""}])
@pytest.mark.parametrize(
    ("status", "error"), [(404, InvalidTokenResponse), (502, TokenEndpointUnreachable)]
)
def test_a_failure_that_is_not_oauth_is_told_apart(document, status, error):
    """A wrong address is one thing, a server out of order another."""
    with pytest.raises(error, match=f"answered {status} without an OAuth error"):
        judged(document, status)


def test_a_redirect_is_not_followed():
    """It would take the secret to an address that nobody configured."""
    with pytest.raises(InvalidTokenResponse, match="redirects"):
        judged(b"", 307, location="https://elsewhere.example")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, None),
        ("orders:read", "orders:read"),
        ("a b", "a b"),
        (["a", "b"], "a b"),
        (("a",), "a"),
        (iter(["a", "b"]), "a b"),
    ],
)
def test_a_scope_is_a_text_or_its_names(given, written):
    """One parameter comes of either (RFC 6749 §3.3)."""
    assert write_scope(given) == written


@pytest.mark.parametrize("given", ["", [], " ", [""], iter(())])
def test_a_scope_that_names_nothing_is_refused(given):
    """It would be left out, and the issuer would give all that the client may have."""
    with pytest.raises(ValueError, match="leave it out"):
        write_scope(given)


@pytest.mark.parametrize(
    "given", ["a  b", "a\nb", 'a"', "\\", "é", ["a b"], ["a", ""], " a", 3, [3]]
)
def test_what_cannot_be_a_scope_is_refused(given):
    """Where it is given, and not by the issuer."""
    with pytest.raises(ValueError, match="no name of a scope"):
        write_scope(given)
