"""Looking into a token with nothing but the published keys."""

import time

import pytest

from consumer.demo.token_check import is_on_status_list, verify_with_jwks
from tests.support.demo_provider import ISSUER, DemoProvider, answer


@pytest.fixture(scope="module")
def provider():
    """An issuer with a real key."""
    return DemoProvider()


def verified(provider, token):
    """Verify a token with the provider's JWK set."""
    return verify_with_jwks(token, provider.jwks(None).content, issuer=ISSUER, now=time.time())


def test_a_good_token_names_its_key(provider):
    """The signature stands, and the key that made it is told."""
    assert verified(provider, provider.sign()) == "key-1"


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1}, {"iss": "https://other.example"}, {"jti": None}, {"typ": "JWT"}],
    ids=repr,
)
def test_a_token_that_is_not_good_is_refused(provider, changes):
    """Expired, another's, incomplete or of another kind."""
    with pytest.raises(ValueError):
        verified(provider, provider.sign(**changes))


def test_another_signature_is_refused(provider):
    """One changed character is enough."""
    signed, _, signature = provider.sign().rpartition(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    with pytest.raises(ValueError, match="does not stand"):
        verified(provider, f"{signed}.{changed}")


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 1000])
def test_what_is_no_token_is_refused(provider, token):
    """Nor does it break anything."""
    with pytest.raises(ValueError):
        verified(provider, token)
    with pytest.raises(ValueError):
        is_on_status_list(token)


def test_a_token_with_a_status_is_on_a_list(provider):
    """Any other counts until it ends."""
    status = {"status_list": {"idx": 0, "uri": f"{ISSUER}/status-lists/1-0"}}
    assert is_on_status_list(provider.sign(status=status))
    assert not is_on_status_list(provider.sign())


@pytest.mark.parametrize("document", [{"keys": []}, {"keys": "x"}, {}, [], {"keys": [{"kty": 1}]}])
def test_keys_that_are_none_are_refused(provider, document):
    """A set without the key, or no set at all."""
    with pytest.raises(ValueError):
        verify_with_jwks(
            provider.sign(), answer(200, document).content, issuer=ISSUER, now=time.time()
        )


def test_a_key_that_was_never_published_is_refused(provider):
    """Its name is not in the set."""
    other = DemoProvider(provider.key)
    other.kids = ["key-2"]
    with pytest.raises(ValueError, match="not among the issuer's keys"):
        verified(provider, other.sign())


def test_another_issuers_key_of_the_same_name_is_refused(provider):
    """The name of a key proves nothing."""
    other = DemoProvider()
    with pytest.raises(ValueError, match="bad_signature"):
        verified(provider, other.sign())
