"""The closed tables of algorithms and key types."""

from dataclasses import replace
from typing import NoReturn

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from keys.errors import InvalidJwk, UnknownAlgorithm
from keys.jwk import parse_public_jwk
from keys.key_types import ALGORITHMS, algorithm, generate_private_key, verifier
from keys.ring import RingKey
from keys.stores.key_file import (
    StoredKey,
    load_private_key,
    parse_key_file,
    render_key_file,
    render_private_pem,
)
from tests.support.keys import public_key_of, rsa_key
from watchword.testing.keys import private_key


@pytest.mark.rfc("7518-3-1")
def test_the_smallest_key_has_2048_bits():
    """2048 is the least, and the public exponent the usual one."""
    key = generate_private_key("RS256", bits=2048)

    assert key.key_size == 2048
    assert key.public_key().public_numbers().e == 65_537


def test_a_larger_key_is_made_on_request():
    """3072 bits are there on request."""
    assert generate_private_key("RS256", bits=3072).key_size == 3072


@pytest.mark.rfc("7518-3-1")
@pytest.mark.parametrize("bits", [0, -1, 1024, 2047, 2049, 8192, 10**9])
def test_other_sizes_are_refused(bits):
    """Only three sizes exist: neither weakness nor an endless computation can be asked for."""
    with pytest.raises(ValueError, match="2048, 3072, 4096"):
        generate_private_key("RS256", bits=bits)


def test_an_unknown_algorithm_is_refused():
    """The algorithm comes from the closed table."""
    with pytest.raises(UnknownAlgorithm):
        generate_private_key("HS256", bits=2048)


def test_the_table_is_closed():
    """Neither none nor any HMAC is an algorithm of ours."""
    assert list(ALGORITHMS) == [
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"),
        *("EdDSA", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"),
    ]


@pytest.mark.rfc("8725-3.1-1", "none-1", "7515-4.1.1-1")
@pytest.mark.parametrize(
    "name",
    ["none", "None", "HS256", "rs256", "RS256 ", "", "RSA1_5", "ES256K", "Ed448", "HashML-DSA-44"],
)
def test_what_is_not_in_the_table_is_refused(name):
    """An alg is an exact name out of an allow-list, whatever the library below could do."""
    with pytest.raises(UnknownAlgorithm):
        algorithm(name)
    with pytest.raises(UnknownAlgorithm):
        verifier(name)


def test_nobody_can_add_an_algorithm():
    """The table cannot be written at run time."""
    with pytest.raises(TypeError):
        ALGORITHMS["none"] = ALGORITHMS["RS256"]


def test_a_refusal_does_not_repeat_the_name():
    """An alg from outside may be hostile text; it does not come back in the error."""
    with pytest.raises(UnknownAlgorithm) as caught:
        algorithm("<script>")
    assert "<script>" not in str(caught.value)


def test_the_verifier_tells_a_good_signature_from_a_bad_one():
    """The object of a table entry signs with a private key and verifies with its public one."""
    rs256 = verifier("RS256")
    signature = rs256.sign(b"message", rsa_key())

    assert rs256.verify(b"message", rsa_key().public_key(), signature)
    assert not rs256.verify(b"other message", rsa_key().public_key(), signature)
    assert not rs256.verify(b"message", rsa_key(1).public_key(), signature)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_every_algorithm_has_keys_that_sign_are_stored_and_published(alg: str):
    """Key, JWK, key file and signature fit each other, and no other key fits."""
    key, jwk = private_key(alg), public_key_of(alg)
    assert parse_public_jwk(jwk.members()) == jwk
    ring_key = RingKey(kid=jwk.kid, alg=alg, published_at=1, signs_from=1)
    stored = StoredKey(ring_key=ring_key, jwk=jwk)
    for passphrase in (None, b"a passphrase"):
        text = render_key_file(stored, render_private_pem(key, passphrase))
        read = parse_key_file(text, name="k")
        assert read == replace(stored, encrypted=passphrase is not None)
        loaded = load_private_key(text, read, passphrase=passphrase, name="k")
        signature = verifier(alg).sign(b"message", loaded)
        assert verifier(alg).verify(b"message", jwk.key, signature)
        assert not verifier(alg).verify(b"massage", jwk.key, signature)
        assert not verifier(alg).verify(b"message", public_key_of(alg, 1).key, signature)


@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "ML-DSA-44"])
def test_only_rsa_keys_have_a_choice_of_sizes(alg: str):
    """The size of any other key follows from its algorithm."""
    with pytest.raises(ValueError, match=f"a key for {alg} has one size"):
        generate_private_key(alg, bits=256)


def test_an_openssl_without_an_algorithm_is_told_from_a_wrong_name(
    monkeypatch: pytest.MonkeyPatch,
):
    """Older ones have no ML-DSA, and some distributions leave out Ed25519."""
    members = public_key_of("ML-DSA-44").members()

    def missing(*_: object) -> NoReturn:
        raise UnsupportedAlgorithm("not here")

    monkeypatch.setattr(mldsa.MLDSA44PrivateKey, "generate", missing)
    monkeypatch.setattr(mldsa.MLDSA44PublicKey, "from_public_bytes", missing)
    with pytest.raises(UnknownAlgorithm, match="OpenSSL of this installation has no ML-DSA-44"):
        generate_private_key("ML-DSA-44")
    with pytest.raises(InvalidJwk, match="OpenSSL of this installation has no ML-DSA-44"):
        parse_public_jwk(members)
