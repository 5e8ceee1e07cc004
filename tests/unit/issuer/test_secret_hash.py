"""Unit tests of `issuer.registry.credentials`."""

import hashlib
import hmac
import secrets

import pytest

from issuer.registry.credentials import (
    DUMMY_FAST,
    DUMMY_SLOW,
    SecretHash,
    check_secret,
    generate_secret,
    hash_secret,
)
from issuer.registry.errors import InvalidSecretHash, InvalidValue
from keys.encoding import encode_base64url

SALT = bytes(range(16))
STRONG = "wws_" + "k" * 43
WEAK = "correct horse"


def write_hash(secret: str, salt: bytes = SALT) -> str:
    """Hash a secret, as it is stored."""
    return hash_secret(secret, lambda _: salt).text


@pytest.mark.rfc("6749-10.10-1")
def test_a_generated_secret_is_256_random_bits_in_base64url():
    """All the randomness asked for is in the secret, behind a prefix for secret scanners."""
    asked = []

    def random_bytes(count):
        asked.append(count)
        return bytes(range(count))

    secret = generate_secret(random_bytes)
    assert asked == [32]
    assert secret == "wws_" + encode_base64url(bytes(range(32)))


@pytest.mark.rfc("6749-10.10-1")
def test_no_two_generated_secrets_are_alike():
    """The probability of guessing one is 2^-256."""
    assert len({generate_secret(secrets.token_bytes) for _ in range(1000)}) == 1000


@pytest.mark.rfc("6749-2.3.1-4")
@pytest.mark.parametrize("secret", [STRONG, WEAK, "x" * 32, "x" * 31])
def test_a_hash_verifies_its_secret_and_no_other(secret):
    """Only the hash is kept, and it tells right from wrong."""
    parsed = SecretHash.parse(write_hash(secret))
    assert parsed.verify(secret)
    assert not parsed.verify(secret + "x")
    assert not parsed.verify(secret[:-1])
    assert not parsed.verify("")
    assert not parsed.verify("\ud800ü")


def test_from_32_characters_on_the_hash_is_fast_and_below_it_is_slow():
    """A short secret can be guessed, so each guess must be dear."""
    assert not SecretHash.parse(write_hash("x" * 32)).slow
    assert SecretHash.parse(write_hash("x" * 31)).slow


def test_the_fast_hash_is_salted_hmac_sha256():
    """The stored text says what it is and can be checked with other tools."""
    digest = hmac.new(SALT, STRONG.encode(), hashlib.sha256).digest()
    expected = f"$sha256${encode_base64url(SALT)}${encode_base64url(digest)}"
    assert write_hash(STRONG) == expected


def test_the_slow_hash_is_scrypt_and_names_its_cost():
    """RFC 7914: N = 2^14, r = 8, p = 1."""
    digest = hashlib.scrypt(WEAK.encode(), salt=SALT, n=2**14, r=8, p=1, dklen=32)
    expected = f"$scrypt$ln=14,r=8,p=1${encode_base64url(SALT)}${encode_base64url(digest)}"
    assert write_hash(WEAK) == expected


@pytest.mark.parametrize("secret", [STRONG, WEAK])
def test_a_parsed_hash_writes_itself_back(secret):
    """Reading and writing lose nothing."""
    text = write_hash(secret)
    assert SecretHash.parse(text).text == text


def test_another_salt_makes_another_hash_and_another_secret_id():
    """Two clients with the same secret are not seen to have it."""
    one = SecretHash.parse(write_hash(STRONG))
    two = SecretHash.parse(write_hash(STRONG, bytes(16)))
    assert one.digest != two.digest
    assert one.secret_id != two.secret_id
    assert one.secret_id == "0001020304"


@pytest.mark.parametrize("secret", [STRONG, WEAK])
def test_neither_salt_nor_digest_is_in_the_repr(secret):
    """A hash in a log is an invitation to guess."""
    parsed = SecretHash.parse(write_hash(secret))
    shown = repr(parsed)
    assert repr(parsed.salt) not in shown
    assert repr(parsed.digest) not in shown
    assert "digest" not in shown


GOOD = write_hash(STRONG)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "$md5$abc$def",
        GOOD[1:],
        GOOD[:-1],
        GOOD + "A",
        GOOD + "\n",
        GOOD.replace("$sha256$", "$sha512$"),
        "$sha256$$" + GOOD.rsplit("$", 1)[1],
        "$sha256$AAAA$" + GOOD.rsplit("$", 1)[1],
        "$sha256$" + "A" * 22 + "$AAAA",
        "$scrypt$ln=40,r=8,p=1$" + "A" * 22 + "$" + "A" * 43,
        "$scrypt$ln=14,r=99,p=1$" + "A" * 22 + "$" + "A" * 43,
        "$scrypt$ln=14,r=8,p=0$" + "A" * 22 + "$" + "A" * 43,
        "$scrypt$" + "A" * 22 + "$" + "A" * 43,
    ],
)
def test_a_damaged_hash_is_neither_right_nor_wrong(text):
    """A hash that cannot be read is an error of its own, and names no content."""
    with pytest.raises(InvalidSecretHash) as caught:
        SecretHash.parse(text)
    assert "AAAA" not in str(caught.value)


@pytest.mark.rfc("6749-2.3.1-4")
def test_the_dummies_cost_what_real_hashes_cost_and_accept_nothing():
    """An unknown client is refused after the same work as a known one."""
    assert not DUMMY_FAST.slow
    assert DUMMY_SLOW.slow
    assert DUMMY_SLOW.cost == SecretHash.parse(write_hash(WEAK)).cost
    for secret in ("", STRONG, WEAK):
        assert not DUMMY_FAST.verify(secret)
        assert not DUMMY_SLOW.verify(secret)


@pytest.mark.parametrize("secret", ["12345678", "x" * 512, "with space ok", "~!@#$%^&*()"])
def test_printable_ascii_of_8_characters_or_more_may_be_a_secret(secret):
    """RFC 6749 appendix A.2: a client secret is VSCHAR."""
    check_secret(secret)


@pytest.mark.parametrize(
    "secret", ["", "1234567", "x" * 513, "tab\tinside", "ümlaut-secret", "x" * 8 + "\n"]
)
def test_other_texts_may_not_be_secrets(secret):
    """A refused secret is not echoed."""
    with pytest.raises(InvalidValue) as caught:
        check_secret(secret)
    assert not secret or secret not in str(caught.value)
