"""Real certificates for servers on this machine, from an authority of the test's own."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate and its key are."""

    file: Path
    key_file: Path
    both_file: Path
    serial: int

    def moved(self, folder: Path) -> "Certificate":
        """Give the same one in another folder."""
        files = (self.file, self.key_file, self.both_file)
        return Certificate(*(file.rename(folder / file.name) for file in files), self.serial)


def serial_of(der: bytes) -> int:
    """Give the serial number of a certificate."""
    return x509.load_der_x509_certificate(der).serial_number


class Authority:
    """Issues certificates for loopback.

    Args:
        folder: where its files are put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        ca = x509.BasicConstraints(ca=True, path_length=0)
        own = self._build(self._name, self._key, ca, _SIGNS_CERTIFICATES)
        self.file = folder / "authority.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def trusting(self) -> ssl.SSLContext:
        """Give what a client verifies these certificates with, and no others."""
        return ssl.create_default_context(cafile=str(self.file))

    def issue(self, name: str, *, password: bytes | None = None) -> Certificate:
        """Write a certificate and its key to files of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._build(subject, key, x509.SubjectAlternativeName(_NAMES))
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption(),
        )
        files = [self._folder / f"{name}.{ending}" for ending in ("crt", "key", "pem")]
        for file, content in zip(files, (pem, key_pem, pem + key_pem), strict=True):
            file.write_bytes(content)
        return Certificate(*files, serial=certificate.serial_number)

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(hours=1),
            not_valid_after=now + timedelta(days=1),
        )
        own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (own_id, issuer_id, *extensions):
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())
