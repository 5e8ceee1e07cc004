"""Real certificates for servers and clients, from authorities of the test's own or of nobody."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
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
IS_AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
FOR_CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate and its key are.

    The files of the certificate have those between it and its highest authority as well.
    """

    file: Path
    key_file: Path
    both_file: Path
    serial: int

    def moved(self, folder: Path) -> "Certificate":
        """Give the same one in another folder."""
        files = (self.file, self.key_file, self.both_file)
        return Certificate(*(file.rename(folder / file.name) for file in files), self.serial)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The DER of the certificate, and of those above it."""
        loaded = x509.load_pem_x509_certificates(self.file.read_bytes())
        return tuple(each.public_bytes(serialization.Encoding.DER) for each in loaded)


def serial_of(der: bytes) -> int:
    """Give the serial number of a certificate."""
    return x509.load_der_x509_certificate(der).serial_number


def common_name(name: str) -> x509.Name:
    """Name somebody by a common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Issues certificates: for servers on loopback, unless told otherwise.

    Args:
        folder: where its files are put.
        name: its common name.
        above: the authority that certifies this one; None if this is the highest.
        constraints: what names it may certify.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "Authority of a test",
        *,
        above: "Authority | None" = None,
        constraints: x509.NameConstraints | None = None,
    ) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = common_name(name)
        is_ca = x509.BasicConstraints(ca=True, path_length=0 if above else 1)
        extensions = (is_ca, SIGNS_CERTIFICATES, *filter(None, [constraints]))
        own = (above or self)._build(self._name, self._key, *extensions)
        self._between = [own.public_bytes(serialization.Encoding.PEM)] if above else []
        self.file = folder / f"{name}.pem" if above else folder / "authority.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def trusting(self) -> ssl.SSLContext:
        """Give what a client verifies these certificates with, and no others."""
        return ssl.create_default_context(cafile=str(self.file))

    def issue(
        self,
        name: str,
        *extensions: x509.ExtensionType,
        password: bytes | None = None,
        subject: x509.Name | None = None,
        ends_in: timedelta = timedelta(days=1),
    ) -> Certificate:
        """Write a certificate and its key to files of this name.

        Args:
            name: of the files, and of the subject.
            extensions: besides those of every certificate; the names of loopback if there are none.
            password: what the key is encrypted with.
            subject: another one than `name`.
            ends_in: how long it counts; negative if it has ended.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        own = extensions or (x509.SubjectAlternativeName(_NAMES),)
        certificate = self._build(subject or common_name(name), key, *own, ends_in=ends_in)
        return write_certificate(self._folder / name, certificate, key, self._between, password)

    def _build(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
        ends_in: timedelta = timedelta(days=1),
    ) -> x509.Certificate:
        return build_certificate(self._name, self._key, subject, key, *extensions, ends_in=ends_in)


def self_signed(
    file: Path,
    *extensions: x509.ExtensionType,
    key: ec.EllipticCurvePrivateKey | None = None,
    ends_in: timedelta = timedelta(days=1),
) -> Certificate:
    """Write a certificate that its own key signed, and the key, to files of this name."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = common_name(file.name)
    certificate = build_certificate(name, key, name, key, *extensions, ends_in=ends_in)
    return write_certificate(file, certificate, key)


def build_certificate(
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *extensions: x509.ExtensionType,
    ends_in: timedelta,
) -> x509.Certificate:
    """Sign a certificate."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=2),
        not_valid_after=now + ends_in,
    )
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    for extension in (own_id, issuer_id, *extensions):
        critical = isinstance(extension, x509.BasicConstraints | x509.NameConstraints)
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, hashes.SHA256())


def write_certificate(
    file: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    between: Sequence[bytes] = (),
    password: bytes | None = None,
) -> Certificate:
    """Write a certificate, with those above it, and its key."""
    pem = b"".join([certificate.public_bytes(serialization.Encoding.PEM), *between])
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )
    files = [file.parent / f"{file.name}.{ending}" for ending in ("crt", "key", "pem")]
    for each, content in zip(files, (pem, key_pem, pem + key_pem), strict=True):
        each.write_bytes(content)
    return Certificate(*files, serial=certificate.serial_number)
