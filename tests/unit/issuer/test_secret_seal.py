"""Unit tests of `issuer.registry.secret_seal`: what seals the secrets that clients sign with."""

import secrets

import pytest

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.credentials import NewSecret, SecretHash, generate_secret
from issuer.registry.errors import InvalidSecretHash, InvalidValue
from issuer.registry.secret_seal import SecretSeal, check_method, sealed

SECRET = "wws_" + "k" * 43


def make_seal(number=1):
    """Make a seal with the n-th key."""
    return SecretSeal(bytes([number]) * 32, random_bytes=secrets.token_bytes)


def client(method=AuthMethod.CLIENT_SECRET_JWT, **decided):
    """Make a client of a method."""
    return ClientRegistration(client_id="till", token_endpoint_auth_method=method, **decided)


def test_a_sealed_secret_opens_for_its_client_and_with_its_key_alone():
    """Rows of the database cannot be swapped, and none is altered unnoticed."""
    content = make_seal().seal("till", SECRET)
    assert SECRET.encode() not in content
    assert make_seal().open("till", content) == SECRET.encode()
    assert make_seal().open("shop", content) is None
    assert make_seal(2).open("till", content) is None
    for damaged in (b"", b"x", content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        assert make_seal().open("till", damaged) is None


def test_the_same_secret_is_never_sealed_alike():
    """AES-GCM: a nonce serves once."""
    assert make_seal().seal("till", SECRET) != make_seal().seal("till", SECRET)


def test_a_secret_that_signs_is_kept_sealed_beside_its_hash():
    """It has the id and the form of every other, and shows nothing of itself."""
    new = NewSecret.of(generate_secret(secrets.token_bytes), secrets.token_bytes, expires_at=9)
    kept = sealed(new, client(), make_seal())
    assert (kept.hash.secret_id, kept.expires_at) == (new.hash.secret_id, 9)
    read = SecretHash.parse(kept.hash.text)
    assert read == kept.hash
    assert not read.slow
    assert read.verify(new.text)
    assert make_seal().open("till", read.sealed) == new.text.encode()
    assert new.text not in repr(kept)
    assert repr(read.sealed) not in repr(kept)


def test_a_secret_of_another_method_is_kept_as_it_was():
    """A hash suffices."""
    new = NewSecret.of(SECRET, secrets.token_bytes)
    plain = client(AuthMethod.CLIENT_SECRET_BASIC)
    assert sealed(new, plain, make_seal()) is new
    assert sealed(new, plain, None) is new


@pytest.mark.rfc("8725-3.5-1", "7518-3-1")
@pytest.mark.parametrize("text", ["correct horse", "x" * 47, "wws_" + "k" * 42, SECRET + "k"])
def test_no_chosen_secret_signs(text):
    """Who sees an assertion can try secrets on it without asking anyone."""
    with pytest.raises(InvalidValue, match="no secret that was chosen"):
        sealed(NewSecret.of(text, secrets.token_bytes), client(), make_seal())


def test_a_hash_alone_cannot_be_sealed():
    """The secret is not in it."""
    new = NewSecret(hash=NewSecret.of(SECRET, secrets.token_bytes).hash)
    with pytest.raises(InvalidValue):
        sealed(new, client(), make_seal())


def test_the_method_needs_a_seal():
    """But a client that has the method already may change, and be disabled, without."""
    check_method(client(), make_seal())
    check_method(client(AuthMethod.CLIENT_SECRET_POST), None)
    check_method(client(disabled=True), None, before=client())
    told = "client_secret_jwt is off; WATCHWORD_CLIENT_SECRET_JWT=on switches it on"
    with pytest.raises(InvalidValue, match=told):
        check_method(client(), None)
    with pytest.raises(InvalidValue, match=told):
        check_method(client(), None, before=client(AuthMethod.CLIENT_SECRET_BASIC))
    with pytest.raises(InvalidValue, match=told):
        sealed(NewSecret.of(SECRET, secrets.token_bytes), client(), None)


def test_a_damaged_text_of_a_sealed_secret_is_refused():
    """As that of any other hash."""
    text = sealed(NewSecret.of(SECRET, secrets.token_bytes), client(), make_seal()).hash.text
    for damaged in (text + "=", text.rpartition("$")[0], text + "$x", "$sealed$$$"):
        with pytest.raises(InvalidSecretHash):
            SecretHash.parse(damaged)
