"""Unit tests of `issuer.administration.documents`."""

from typing import Any

import pytest

from issuer.administration.documents import (
    NewClientDocument,
    NewSecretDocument,
    built,
    make_secret,
    read_document,
)
from issuer.registry.credentials import ClientSecret
from issuer.registry.errors import InvalidDocument, InvalidValue
from issuer.registry.mistakes import MAXIMUM_MISTAKES, Mistake, write_pointer
from issuer.registry.schema import Json
from tests.support.keys import public_rsa_jwk
from tests.support.registry import NOW, SECRET, fast_hash

BY_KEY = {
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [public_rsa_jwk().members()]},
}


def random_bytes(count: int) -> bytes:
    """Give bytes that are not random at all."""
    return bytes(range(count))


def mistakes_in(document: Json, model: type[Any] = NewClientDocument) -> dict[str, str]:
    """Return what is wrong with a document, by place."""
    with pytest.raises(InvalidDocument) as caught:
        read_document(model, document)
    return {write_pointer(each.path): each.why for each in caught.value.mistakes}


def test_every_mistake_is_told_with_its_place() -> None:
    """An operator mends a document once."""
    document = {
        "client_name": "",
        "scope": "read  write",
        "resources": [],
        "client_secret": "short",
        "client_secret_expires_at": "tomorrow",
        "scopes": "read",
        "grants": [{"resource": "urn:a", "scope": "read"}, {"resource": "urn:b"}],
    }
    assert set(mistakes_in(document)) == {
        "/client_id",
        "/client_name",
        "/scope",
        "/resources",
        "/client_secret",
        "/client_secret_expires_at",
        "/scopes",
        "/grants/1/scope",
    }


def test_the_error_has_a_line_for_each_mistake_and_no_secret() -> None:
    """What the command line prints."""
    with pytest.raises(InvalidDocument) as caught:
        read_document(NewSecretDocument, {"client_secret": "pässword", "expires_in": 0})
    assert str(caught.value).splitlines() == [
        "client_secret: a secret is 8 to 512 printable ASCII characters",
        "expires_in: must be at least 1",
    ]


def test_a_document_full_of_mistakes_is_not_answered_at_length() -> None:
    """An answer stays small whatever was sent."""
    document = {"client_id": "till"} | {f"x{number}": 1 for number in range(1000)}
    assert len(mistakes_in(document)) == MAXIMUM_MISTAKES


def test_a_secret_is_in_no_representation_of_a_document() -> None:
    """A repr may end up in a log."""
    client = read_document(NewClientDocument, {"client_id": "till", "client_secret": SECRET})
    secret = read_document(NewSecretDocument, {"client_secret": SECRET})
    assert SECRET not in repr(client) + repr(secret)


@pytest.mark.parametrize("flat", [{"scope": "read"}, {"resources": ["urn:a"]}])
def test_grants_are_written_out_or_not(flat: Json) -> None:
    """Two ways to say one thing could say two things."""
    grants = [{"resource": "urn:a", "scope": "read"}]
    document = {"client_id": "till", "grants": grants}
    assert mistakes_in(document | flat) == {"": "has either grants, or resources and scope"}
    assert read_document(NewClientDocument, document).grants[0].scopes == ("read",)


def test_a_client_that_has_keys_brings_no_secret() -> None:
    """A secret that nothing asks for would only be there to leak."""
    document = {"client_id": "till", **BY_KEY}
    assert read_document(NewClientDocument, document).scope is None
    assert mistakes_in(document | {"client_secret": SECRET}) == {
        "": "private_key_jwt has no secret"
    }
    assert mistakes_in(document | {"client_secret_expires_at": "2030-01-01T00:00:00Z"})


def test_a_secret_ends_at_a_time_or_after_one() -> None:
    """`expires_in` is counted from now."""
    assert NewSecretDocument(expires_in=60).end(NOW) == NOW + 60
    ending = read_document(NewSecretDocument, {"expires_at": "1970-01-01T00:01:00Z"})
    assert ending.end(NOW) == 60
    assert NewSecretDocument().end(NOW) is None
    both = {"expires_in": 60, "expires_at": "2030-01-01T00:00:00Z"}
    assert mistakes_in(both, NewSecretDocument) == {"": "has either expires_at or expires_in"}


def test_what_the_registry_cannot_accept_is_a_mistake_of_the_document() -> None:
    """The sender can correct it."""

    def build() -> None:
        raise InvalidValue("it cannot be")

    with pytest.raises(InvalidDocument) as caught:
        built(build)
    assert caught.value.mistakes == (Mistake((), "it cannot be"),)


def test_a_secret_that_was_made_is_shown_once_and_one_that_was_brought_never() -> None:
    """Who brought it has it."""
    made = make_secret(None, expires_at=None, now=NOW, random_bytes=random_bytes)
    shown = made.in_client_response()
    assert made.new.hash.verify(shown["client_secret"])
    assert shown["client_secret"] not in repr(made)
    brought = make_secret(SECRET, expires_at=NOW + 1, now=NOW, random_bytes=random_bytes)
    assert brought.in_client_response() == {
        "secret_id": brought.new.hash.secret_id,
        "client_secret_expires_at": "2023-11-14T22:13:21Z",
    }


@pytest.mark.parametrize("end", [NOW, NOW - 1, 2**40])
def test_a_secret_that_could_never_be_used_is_not_made(end: int) -> None:
    """Nor one that ends later than a time can be written."""
    with pytest.raises(InvalidValue):
        make_secret(None, expires_at=end, now=NOW, random_bytes=random_bytes)


def test_a_retry_brings_the_secret_of_the_first_time() -> None:
    """As far as that can be told: a secret that has been revoked since is not known any more."""
    kept = ClientSecret(
        secret_id="1", hash=fast_hash(), created_at=NOW, starts_at=NOW, expires_at=None
    )
    brought = make_secret(SECRET, expires_at=None, now=NOW, random_bytes=random_bytes)
    other = make_secret(SECRET + "x", expires_at=None, now=NOW, random_bytes=random_bytes)
    made = make_secret(None, expires_at=None, now=NOW, random_bytes=random_bytes)
    assert [each.is_as_kept(kept) for each in (brought, other, made)] == [True, False, True]
    assert other.is_as_kept(None)


@pytest.mark.parametrize("beside", [{"scope": "read"}, {"grants": []}])
def test_all_scopes_stand_alone(beside: Json) -> None:
    """Beside scopes that are named they would have two meanings."""
    document = {"client_id": "till", "all_scopes": True}
    assert read_document(NewClientDocument, document).all_scopes
    assert mistakes_in(document | beside) == {"": "has either all_scopes, or scope or grants"}
