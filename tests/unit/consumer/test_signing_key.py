"""The private key of a client: read, bound to one algorithm, copied with care."""

import copy
import pickle

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from consumer.signing_key import SigningKey
from keys.jwk import public_jwk
from tests.support.keys import weak_rsa_key
from watchword.testing.keys import private_key


def pem(key, encryption=None):
    """Write a key as files have it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "Ed25519"])
def test_a_key_signs_with_the_usual_algorithm_of_its_kind(alg):
    """A library that is not ours verifies it, and no two have the same `jti`."""
    key = SigningKey(pem(private_key(alg)))
    signed = [key.sign({"typ": "x"}, {"a": 1}) for _ in range(2)]
    names = [alg] if alg != "Ed25519" else ["EdDSA"]  # PyJWT knows the older name alone
    assert [jwt.get_unverified_header(each) for each in signed] == [{"alg": alg, "typ": "x"}] * 2
    if alg != "Ed25519":
        public = private_key(alg).public_key()
        found = [jwt.decode(each, public, algorithms=names) for each in signed]
        assert len({each["jti"] for each in found}) == 2
        assert all(len(each["jti"]) == 22 for each in found)
    assert key.thumbprint == public_jwk(private_key(alg), alg).kid


def test_another_algorithm_of_the_key_may_be_named():
    """One that the key does not fit is refused in one line."""
    assert SigningKey(private_key("RS256"), "PS256").alg == "PS256"
    for alg in ("ES256", "HS256", "none"):
        with pytest.raises(ValueError, match="the client's key cannot be used: "):
            SigningKey(private_key("RS256"), alg)
    with pytest.raises(ValueError, match="no key can be made: unknown algorithm"):
        SigningKey.generate("none")


def test_a_key_comes_as_text_as_bytes_from_a_file_or_as_it_is(tmp_path):
    """All of them are the same key."""
    key = private_key("ES256")
    file = tmp_path / "key.pem"
    file.write_bytes(pem(key))
    given = [key, pem(key), pem(key).decode(), file, str(file)]
    assert len({SigningKey(each) for each in given}) == 1
    assert SigningKey(key) != SigningKey(private_key("ES256", 1))
    assert SigningKey(key) != "key"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"nonsense", "is no private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nsecret-part\n-----END PRIVATE KEY-----", "no private key"),
        (pem(private_key("ES256"), BestAvailableEncryption(b"p")), "is encrypted"),
        (pem(weak_rsa_key()), "too weak"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "on no curve of ours"),
        (ed448.Ed448PrivateKey.generate(), "has to be an RSA, EC or Ed25519 key"),
        (
            ec.derive_private_key(
                int("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", 16),
                ec.SECP256R1(),
            ),
            "is printed in RFC 6979",
        ),
    ],
)
def test_what_cannot_sign_is_refused_where_it_is_given(given, why):
    """In one line, which repeats nothing of the key."""
    with pytest.raises(ValueError, match=why) as refused:
        SigningKey(given)
    assert "secret-part" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path):
    """It names the file."""
    with pytest.raises(FileNotFoundError, match=r"gone\.pem"):
        SigningKey(tmp_path / "gone.pem")


@pytest.mark.rfc("9700-4.10-1")
def test_only_a_pickle_holds_the_private_key():
    """Copies and pickles are the same key; what is shown, or seals tokens, does not tell it."""
    key = SigningKey(private_key("ES256"), "ES256")
    for other in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        assert other == key
        assert other.secret == key.secret
    assert key.secret not in pem(private_key("ES256")).decode()
    assert repr(key) == f"SigningKey(ES256, {key.thumbprint})"
    assert SigningKey(private_key("ES256", 1)).secret != key.secret
