"""The certificate that a client showed in TLS: where a server finds it, and its thumbprint.

Pure, and without cryptography: whether a certificate proves anything is decided elsewhere. RFC
9440, RFC 8705 §3.1, and the TLS extension of ASGI. A chain is a tuple of DER, the client's own
certificate first; it is empty if the client showed none.
"""

import binascii
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from keys.encoding import encode_base64url

MAX_CHAIN = 8
"""The most certificates of a chain; a public one has two or three."""

Chain = tuple[bytes, ...]

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_LINE = 64  # RFC 7468 §2: characters of base64 in a line of PEM
_CONTENT_STARTS = {b"\x30\x81": 3, b"\x30\x82": 4}


def certificate_thumbprint(der: bytes) -> str:
    """Return the `x5t#S256` of a certificate: of the DER, never of the PEM (RFC 8705 §3.1)."""
    return encode_base64url(sha256(der).digest())


def parse_client_cert(lines: Sequence[bytes]) -> bytes | None:
    """Read the lines of `Client-Cert` that a trusted proxy sent (RFC 9440 §2.2).

    Args:
        lines: the values of all its lines; those of any other peer are not even to be read.

    Returns:
        The DER of the client's certificate; None if there is no line.

    Raises:
        ValueError: there are several, or one is a list or no certificate in this form.
    """
    if not lines:
        return None
    if len(lines) > 1:
        raise ValueError("Client-Cert is repeated")
    return _parse_byte_sequence(lines[0])


def parse_client_chain(certificate: Sequence[bytes], chain: Sequence[bytes]) -> Chain:
    """Read the lines of `Client-Cert` and `Client-Cert-Chain` of a trusted proxy (RFC 9440 §2.3).

    Args:
        certificate: as in `parse_client_cert`.
        chain: the values of all lines of `Client-Cert-Chain`, which is a list.

    Raises:
        ValueError: as in `parse_client_cert`; the chain is without its certificate, or too long.
    """
    own = parse_client_cert(certificate)
    members = [member for line in chain for member in line.split(b",")]
    if own is None:
        if members:
            raise ValueError("Client-Cert-Chain is without Client-Cert")
        return ()
    if len(members) >= MAX_CHAIN:
        raise ValueError("Client-Cert-Chain is too long")
    return own, *map(_parse_byte_sequence, members)


def read_tls_extension(scope: Mapping[str, Any]) -> Chain:
    """Return the chain in the TLS extension of an ASGI scope, which the server put there.

    Raises:
        ValueError: it is no PEM.
    """
    extension = (scope.get("extensions") or {}).get("tls")
    if extension is None:
        return ()
    return tuple(map(parse_pem, extension.get("client_cert_chain") or ()))


def write_tls_extension(chain: Chain) -> dict[Any, Any]:
    """Write the TLS extension of ASGI; None is what its receiver need not know."""
    return {
        "server_cert": None,
        "client_cert_chain": tuple(map(_write_pem, chain)),
        "tls_version": None,
        "cipher_suite": None,
    }


def _parse_byte_sequence(value: bytes) -> bytes:
    # RFC 8941 §3.3.5: base64 between colons. Nothing may be beside it, such as parameters.
    value = value.strip(b" \t")
    if len(value) < 2 or value[:1] != b":" or value[-1:] != b":":
        raise ValueError("a certificate is not between colons")
    return _parse_base64(value[1:-1])


def parse_pem(text: str) -> bytes:
    """Return the DER of one certificate in PEM.

    Raises:
        ValueError: it is something else.
    """
    text = text.strip()
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise ValueError("a certificate is not in PEM")
    base64 = text[len(_BEGIN) : -len(_END)]
    return _parse_base64("".join(base64.split()).encode("ascii", "replace"))


def _write_pem(der: bytes) -> str:
    base64 = binascii.b2a_base64(der, newline=False).decode()
    lines = [base64[at : at + _LINE] for at in range(0, len(base64), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _parse_base64(base64: bytes) -> bytes:
    try:
        der = binascii.a2b_base64(base64, strict_mode=True)
    except binascii.Error:
        raise ValueError("a certificate is not in base64") from None
    # X.690 §8.1: one SEQUENCE, whose length takes one or two bytes. So what is something else in
    # base64, such as PEM, is found out here.
    start = _CONTENT_STARTS.get(der[:2])
    if start is None or int.from_bytes(der[2:start], "big") + start != len(der):
        raise ValueError("a certificate is not in DER")
    return der
