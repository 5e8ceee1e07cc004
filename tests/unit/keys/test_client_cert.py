"""The certificate of a client: `Client-Cert`, the TLS extension of ASGI, thumbprints."""

import binascii
import ssl
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from keys.client_cert import (
    MAX_CHAIN,
    certificate_thumbprint,
    parse_client_cert,
    parse_client_chain,
    read_tls_extension,
    write_tls_extension,
)
from keys.encoding import decode_base64url

SMALL = b"\x30\x81\xc8" + bytes(200)
LARGE = b"\x30\x82\x02\x58" + bytes(range(200)) * 3
PEM = ssl.DER_cert_to_PEM_cert(LARGE)


def field(der: bytes) -> bytes:
    """Write a certificate as a proxy does."""
    return b":" + b64encode(der) + b":"


@pytest.mark.rfc("9440-2-1")
@pytest.mark.parametrize("der", [SMALL, LARGE])
def test_a_certificate_is_base64_between_colons(der: bytes) -> None:
    """A byte sequence of RFC 8941; white space around it belongs to the field."""
    assert parse_client_cert([field(der)]) == der
    assert parse_client_cert([b" " + field(der) + b"\t"]) == der
    assert parse_client_cert([]) is None


@pytest.mark.rfc("9440-2-1")
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([field(LARGE), field(LARGE)], "repeated"),
        ([field(LARGE) + b", " + field(LARGE)], "base64"),
        ([b64encode(LARGE)], "colons"),
        ([field(LARGE)[1:]], "colons"),
        ([field(LARGE) + b";a=1"], "colons"),
        ([field(LARGE) + b"\n"], "colons"),
        ([b"\x0b" + field(LARGE)], "colons"),
        ([b":" + binascii.b2a_base64(LARGE) + b":"], "base64"),
        ([b":" + b64encode(LARGE).rstrip(b"=")[:-1] + b":"], "base64"),
        ([field(PEM.encode())], "DER"),
        ([PEM.replace("\n", " ").encode()], "colons"),
        ([field(LARGE[:-1])], "DER"),
        ([field(LARGE + b"\0")], "DER"),
        ([field(b"\x30\x03\x02\x01\x01")], "DER"),
        ([b""], "colons"), ([b":"], "colons"), ([b"::"], "DER"), ([b":\xff:"], "base64"),
    ],
)  # fmt: skip
def test_everything_else_is_refused(lines: list[bytes], told: str) -> None:
    """Repeated, a list, parameters, PEM, bytes that are no certificate; it says which of them."""
    with pytest.raises(ValueError, match=told):
        parse_client_cert(lines)
    with pytest.raises(ValueError, match=told):
        parse_client_chain(lines, [])


@pytest.mark.rfc("9440-2-1")
def test_a_chain_comes_beside_its_certificate() -> None:
    """A list in one line or several; the client's certificate is first in what is made of it."""
    both = [field(SMALL) + b" , " + field(LARGE)]
    assert parse_client_chain([field(LARGE)], both) == (LARGE, SMALL, LARGE)
    assert parse_client_chain([field(LARGE)], 2 * [field(SMALL)]) == (LARGE, SMALL, SMALL)
    assert parse_client_chain([field(LARGE)], []) == (LARGE,)
    assert parse_client_chain([], []) == ()


@pytest.mark.rfc("9440-2-1")
def test_a_chain_alone_or_without_end_is_refused() -> None:
    """So are empty members of it."""
    with pytest.raises(ValueError, match="without Client-Cert"):
        parse_client_chain([], [field(SMALL)])
    with pytest.raises(ValueError, match="too long"):
        parse_client_chain([field(SMALL)], MAX_CHAIN * [field(SMALL)])
    with pytest.raises(ValueError, match="colons"):
        parse_client_chain([field(SMALL)], [field(SMALL) + b","])
    longest = (MAX_CHAIN - 1) * [field(SMALL)]
    assert len(parse_client_chain([field(SMALL)], longest)) == MAX_CHAIN


def test_a_chain_travels_in_the_extension_of_asgi() -> None:
    """As PEM that other readers understand as well; of the rest, each member is there and None."""
    extension = write_tls_extension((LARGE, SMALL))
    others = dict.fromkeys(("server_cert", "tls_version", "cipher_suite"))
    assert extension == {**others, "client_cert_chain": extension["client_cert_chain"]}
    assert read_tls_extension({"extensions": {"tls": extension}}) == (LARGE, SMALL)
    assert extension["client_cert_chain"][0] == PEM


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"extensions": None},
        {"extensions": {}},
        {"extensions": {"tls": {}}},
        {"extensions": {"tls": {"client_cert_chain": None}}},
        {"extensions": {"tls": write_tls_extension(())}},
    ],
)
def test_no_certificate_is_an_empty_chain(scope: dict[str, Any]) -> None:
    """However a server says so."""
    assert read_tls_extension(scope) == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "in PEM"),
        ("MIIB", "in PEM"),
        (PEM[:-30], "in PEM"),
        (PEM[30:], "in PEM"),
        (PEM.replace("=", "é"), "in base64"),
        (PEM.replace("M", "!"), "in base64"),
    ],
)
def test_an_extension_that_has_no_pem_is_refused(text: str, told: str) -> None:
    """The server is at fault, and no certificate is made of it."""
    with pytest.raises(ValueError, match=f"^a certificate is not {told}$"):
        read_tls_extension({"extensions": {"tls": {"client_cert_chain": [text]}}})


@pytest.mark.rfc("8705-3-1")
def test_a_thumbprint_is_of_the_der() -> None:
    """SHA-256 in base64url without padding."""
    assert decode_base64url(certificate_thumbprint(LARGE)) == sha256(LARGE).digest()
