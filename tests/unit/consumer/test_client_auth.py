"""Client authentication as values."""

import copy
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest

from consumer.client_auth import ClientSecretBasic, ClientSecretPost, choose_client_auth
from tests.support.consumer_flow import applied

METHODS = [ClientSecretBasic, ClientSecretPost]


@pytest.mark.rfc("9700-4.10-1")
@pytest.mark.parametrize("method", METHODS)
def test_the_secret_is_in_no_representation(method):
    """Neither `repr` nor `str` shows it, and what is shown names the client."""
    auth = method("billing", "wws_very-secret")
    assert "very-secret" not in f"{auth!r} {auth}"
    assert "billing" in repr(auth)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("client_id", "client_secret"), [("", "s"), ("i", ""), ("", "")])
def test_empty_credentials_are_a_mistake(method, client_id, client_secret):
    """They are refused where they are given, not by the issuer later."""
    with pytest.raises(ValueError, match="neither of them empty"):
        method(client_id, client_secret)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("credentials", [("i\n", "s"), ("i", "s\n"), ("i", "s\r\n"), ("i", "\0s")])
def test_a_line_break_is_a_mistake(method, credentials):
    """The issuer would only say 401; a space or an umlaut may be part of a foreign secret."""
    with pytest.raises(ValueError, match="has a line break or another control character"):
        method(*credentials)
    assert method("i", " ö ").client_secret == " ö "


@pytest.mark.parametrize("method", METHODS)
def test_the_secret_is_redacted_from_foreign_text(method):
    """An issuer that echoes the secret does not get it into a message of ours."""
    assert method("id", "s3cret").redact("bad s3cret!") == "bad (secret)!"


SECRET = 'p+s/w ö&"%rd~'
ENCODED = quote_plus(SECRET)


def in_base64(text):
    """Encode as a Basic header does."""
    return b64encode(text.encode()).decode()


@pytest.mark.rfc("9700-4.10-1")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        ENCODED,
        ENCODED.lower(),
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps(SECRET, ensure_ascii=False),
        in_base64(f"id:{ENCODED}"),
        in_base64(f"id:{ENCODED}").rstrip("="),
        in_base64(f"longer:{SECRET}"),
        in_base64(SECRET),
        in_base64(f"?{SECRET}"),
        in_base64(f"??{SECRET}"),
        urlsafe_b64encode(SECRET.encode()).decode(),
        quote_plus(in_base64(f"id:{SECRET}")),
        "x" + in_base64(SECRET),
    ],
)
def test_the_secret_is_blotted_out_in_every_form_that_was_sent(method, echo):
    """Form encoding and base64 carry it to the issuer, and may come back from there."""
    redacted = method("id", SECRET).redact(f"error in <{echo}>, said the server")
    assert "(secret)" in redacted
    assert redacted.startswith("error in <")
    assert redacted.endswith(">, said the server")
    assert echo not in redacted
    assert ENCODED not in redacted


@pytest.mark.parametrize("method", METHODS)
def test_other_words_stay_as_they_are(method):
    """What only looks like base64 is no secret."""
    text = "the request dXNlcjpwYXNzd29yZA== was refused by 0123456789abcdef0 at path/to/some-thing"
    assert method("id", "wws_very-secret").redact(text) == text


@pytest.mark.parametrize("method", METHODS)
def test_a_secret_that_is_hardly_one_garbles_no_text(method):
    """Blotting out single letters would only show where they were."""
    assert method("id", "b").redact("bubble") == "bubble"


def test_values_are_equal_by_content():
    """They can be compared and copied like any value."""
    auth = ClientSecretBasic("id", "secret")
    assert auth == copy.copy(auth)
    assert auth != ClientSecretPost("id", "secret")


def test_basic_is_in_the_header_alone():
    """One request, one method (RFC 6749 §2.3)."""
    form, headers = applied(ClientSecretBasic("id", "s3cret"))
    assert (form, list(headers)) == ({}, ["Authorization"])


def test_post_is_in_the_form_alone():
    """The form encodes it, once."""
    form, headers = applied(ClientSecretPost("id", "p q"))
    assert (form, headers) == ({"client_id": "id", "client_secret": "p q"}, {})


@pytest.mark.parametrize(
    "given",
    [
        ("id", "s3cret", None),
        (None, "s3cret", "id"),
        (ClientSecretBasic("id", "s3cret"), None, None),
    ],
)
def test_id_and_secret_stand_for_basic(given):
    """A value, its shorthand, and the shorthand by names are the same."""
    assert choose_client_auth(*given) == ClientSecretBasic("id", "s3cret")


@pytest.mark.parametrize(
    "given",
    [
        (None, None, None),
        ("id", None, None),
        (None, None, "id"),
        (None, "s3cret", None),
        ("id", "s3cret", "id"),
        (ClientSecretPost("id", "s3cret"), "s3cret", None),
        (ClientSecretPost("id", "s3cret"), None, "id"),
    ],
    ids=repr,
)
def test_half_of_a_form_or_both_are_a_mistake(given):
    """It is told which forms there are."""
    with pytest.raises(ValueError, match="give a client's id and its secret, or one value"):
        choose_client_auth(*given)


@pytest.mark.parametrize("given", [ClientSecretPost, 7], ids=repr)
def test_what_is_no_method_is_a_mistake(given):
    """A class instead of its value, for example."""
    with pytest.raises(TypeError, match="such as ClientSecretBasic"):
        choose_client_auth(given, None, None)
