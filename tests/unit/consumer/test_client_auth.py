"""Client authentication as values."""

import copy

import pytest

from consumer.client_auth import ClientSecretBasic, ClientSecretPost

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
def test_the_secret_is_blotted_out_of_foreign_text(method):
    """An issuer that echoes the secret does not get it into a message of ours."""
    assert method("id", "s3cret").redact("bad s3cret!") == "bad (secret)!"


@pytest.mark.parametrize("method", METHODS)
def test_a_secret_that_is_hardly_one_garbles_no_text(method):
    """Blotting out single letters would only show where they were."""
    assert method("id", "b").redact("bubble") == "bubble"


def test_values_are_equal_by_content():
    """They can be compared and copied like any value."""
    auth = ClientSecretBasic("id", "secret")
    assert auth == copy.copy(auth)
    assert auth != ClientSecretPost("id", "secret")
