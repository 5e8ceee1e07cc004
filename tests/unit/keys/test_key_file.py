"""The text of a key file: what is written, and what is refused when it is read back."""

import subprocess
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys.encoding import encode_base64url
from keys.errors import KeyStoreError
from keys.jwk import PUBLISHED_TEST_KEYS
from keys.stores.key_file import (
    StoredKey,
    load_private_key,
    parse_key_file,
    render_key_file,
    render_private_pem,
    replace_times,
)
from tests.support.keys import ec_key, key_file, published_keys, rsa_key, stored_key, weak_rsa_key

PASSPHRASE = b"correct horse battery staple"
WARNING, FACTS, *BLOCK = key_file().splitlines(keepends=True)
PEM = b"".join(BLOCK)


def swap(old: bytes, new: bytes) -> bytes:
    """Return the good file with one thing replaced."""
    assert old in key_file()
    return key_file().replace(old, new, 1)


def numbers_to_n(numbers: rsa.RSAPublicNumbers) -> str:
    """Write a modulus as a JWK does."""
    return encode_base64url(numbers.n.to_bytes(128, "big"))


def test_the_public_side_is_read_without_the_passphrase():
    """Publishing keys needs no secret."""
    parsed = parse_key_file(key_file(passphrase=PASSPHRASE), name="k.pem")
    assert parsed == stored_key(encrypted=True)
    assert stored_key().bits == 2048


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE], ids=["plain", "encrypted"])
def test_the_private_key_comes_back(passphrase):
    """What was written is what is loaded, with or without a passphrase."""
    content = key_file(passphrase=passphrase)
    stored = parse_key_file(content, name="k.pem")
    loaded = load_private_key(content, stored, passphrase=passphrase, name="k.pem")

    assert loaded.private_numbers() == rsa_key().private_numbers()


def test_a_plain_file_loads_under_a_passphrase():
    """A passphrase that is set later must not lock out the keys that were there."""
    loaded = load_private_key(key_file(), stored_key(), passphrase=PASSPHRASE, name="k.pem")

    assert loaded.private_numbers() == rsa_key().private_numbers()


def test_an_encrypted_file_holds_no_plain_key():
    """With a passphrase only the encrypted form is written."""
    content = key_file(passphrase=PASSPHRASE)

    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert b"BEGIN PRIVATE KEY" not in content
    assert PASSPHRASE not in content


def test_openssl_reads_the_file(tmp_path):
    """The lines above the PEM block do not get in the way of other tools."""
    path = tmp_path / "k.pem"
    path.write_bytes(key_file())
    shown = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout"], capture_output=True, check=True
    )

    assert shown.stdout.startswith(b"-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\x00" * 2000, "damaged or only half written", id="zeros"),
        pytest.param(b"\xff\xfe\x00", "damaged or only half written", id="not text"),
        pytest.param(WARNING, "damaged or only half written", id="first line only"),
        pytest.param(key_file()[:-200], "damaged or only half written", id="half written"),
        pytest.param(PEM, "no Watchword-Key line", id="foreign PEM"),
        pytest.param(FACTS + key_file(), "no Watchword-Key line", id="two lines of facts"),
        pytest.param(key_file() + PEM, "damaged", id="two blocks"),
        pytest.param(swap(b'{"published_at"', b'{"published_at'), "damaged Watch", id="not JSON"),
        pytest.param(swap(b'"signs_from"', b'"published_at"'), "damaged Watch", id="a name twice"),
        pytest.param(swap(b'"signs_from"', b'"signs_fro"'), "damaged Watch", id="a time missing"),
        pytest.param(swap(b'"jwk"', b'"jvk"'), "damaged Watch", id="key missing"),
        pytest.param(swap(b"1000", b"-1"), "damaged Watch", id="a time below zero"),
        pytest.param(swap(b"1000", b"true"), "damaged Watch", id="a time that is true"),
        pytest.param(swap(b"1000", b"1.5"), "damaged Watch", id="a fraction"),
        pytest.param(swap(b"1000", b"1" + b"0" * 30), "damaged Watch", id="a time beyond reason"),
        pytest.param(
            swap(b'"signs_from":1000', b'"signs_from":"soon"'),
            "damaged Watch",
            id="a time in words",
        ),
        pytest.param(
            swap(b'"jwk"', b'"withdrawn_at":-1,"jwk"'), "damaged Watch", id="withdrawn before 1970"
        ),
        pytest.param(swap(b'"jwk"', b'"signer":"hsm","jwk"'), "damaged Watch", id="signer is text"),
        pytest.param(swap(b'"jwk"', b'"signer":{},"jwk"'), "damaged Watch", id="signer of no kind"),
        pytest.param(
            swap(b'"jwk"', b'"signer":{"kind":1},"jwk"'), "damaged Watch", id="signer of kind 1"
        ),
        pytest.param(
            swap(b'"jwk"', b'"signer":{"kind":"pkcs11"},"jwk"'),
            "names a signer and holds a private key as well",
            id="two places of the private key",
        ),
        pytest.param(swap(b'"AQAB"', b'"Aw"'), "kid is not the thumbprint", id="another exponent"),
        pytest.param(swap(b'"RS256"', b'"none"'), "is not usable", id="alg none"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(content, reason):
    """The line names the file and the mend."""
    with pytest.raises(KeyStoreError, match=reason) as caught:
        parse_key_file(content, name="folder/k.pem")

    assert "folder/k.pem" in str(caught.value)
    assert "restore it from a backup or remove it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_facts_that_are_no_jwk_are_refused():
    """The jwk member must be an object."""
    content = WARNING + b'Watchword-Key: {"published_at":1,"signs_from":1,"jwk":[]}\n' + PEM
    with pytest.raises(KeyStoreError, match="damaged"):
        parse_key_file(content, name="k.pem")


@pytest.mark.rfc("7518-3-1")
def test_a_weak_key_is_refused():
    """Neither its public side nor a weak block under a strong public side is taken."""
    numbers = weak_rsa_key().public_key().public_numbers()
    weak = FACTS.replace(stored_key().jwk.members()["n"].encode(), numbers_to_n(numbers).encode())
    with pytest.raises(KeyStoreError, match="too weak"):
        parse_key_file(WARNING + weak + PEM, name="k.pem")
    content = render_key_file(stored_key(), render_private_pem(weak_rsa_key()))
    with pytest.raises(KeyStoreError, match="too weak"):
        load_private_key(content, stored_key(), passphrase=None, name="k.pem")


def test_the_block_must_hold_the_key_that_the_file_names():
    """A file put together from two keys would publish one and sign with the other."""
    content = render_key_file(stored_key(0), render_private_pem(rsa_key(1)))
    with pytest.raises(KeyStoreError, match="another key"):
        load_private_key(content, stored_key(0), passphrase=None, name="k.pem")


def test_a_key_of_another_type_is_refused():
    """An EC key cannot make RS256 signatures."""
    pem = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    content = render_key_file(stored_key(), pem)
    with pytest.raises(KeyStoreError, match="RSA"):
        load_private_key(content, stored_key(), passphrase=None, name="k.pem")


def test_a_block_that_is_not_a_key_is_refused():
    """Right lines around wrong bytes are damage."""
    content = WARNING + FACTS + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(KeyStoreError, match="is damaged"):
        load_private_key(content, stored_key(), passphrase=None, name="k.pem")


@pytest.mark.parametrize("passphrase", [None, b"wrong"], ids=["missing", "wrong"])
def test_an_encrypted_key_needs_its_passphrase(passphrase):
    """The line names the setting, and shows no passphrase."""
    content = key_file(passphrase=PASSPHRASE)
    with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE") as caught:
        load_private_key(content, stored_key(encrypted=True), passphrase=passphrase, name="k.pem")

    assert "correct" not in str(caught.value)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("kid", PUBLISHED_TEST_KEYS)
def test_a_key_printed_in_an_rfc_is_refused(kid):
    """Everybody has these private keys: signing with one would let everybody sign."""
    stored = StoredKey(ring_key=stored_key().ring_key, jwk=published_keys()[kid])
    with pytest.raises(KeyStoreError, match="whose private key is public"):
        parse_key_file(render_key_file(stored, PEM), name="k.pem")


def test_times_change_and_the_rest_of_the_text_does_not():
    """A key is dated or withdrawn without its passphrase; what OpenSSL reads stays as it was."""
    content = key_file(passphrase=PASSPHRASE).replace(WARNING, b"# a note of the operator\r\n")
    stored = parse_key_file(content, name="k.pem")
    times = replace(stored.ring_key, signs_from=None, withdrawn_at=2_000)
    changed = replace_times(content, stored, times)

    assert parse_key_file(changed, name="k.pem") == replace(stored, ring_key=times)
    assert changed.startswith(b"# a note of the operator\r\n")
    assert changed[changed.index(b"-----") :] == content[content.index(b"-----") :]
    assert replace_times(changed, stored, stored.ring_key) == content


def test_a_private_key_may_be_kept_elsewhere():
    """The text says where, and holds no block."""
    reference = {"kind": "pkcs11", "id": "01"}
    stored = StoredKey(ring_key=stored_key().ring_key, jwk=stored_key().jwk, reference=reference)
    content = render_key_file(stored)

    assert b"-----" not in content
    assert parse_key_file(content, name="k.pem") == stored
