"""Verify the certificates of clients: tls_client_auth and self_signed_tls_client_auth.

RFC 8705 §2. That the client has the private key, TLS has proven. What the certificate is worth is
decided here, wherever TLS ended: the issuer verifies the chain itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from issuer.client_auth.client_keys import ClientKeys
from issuer.client_request import Evidence
from issuer.errors import Reason
from issuer.registry.auth_methods import TLS_SUBJECTS, parse_distinguished_name
from issuer.registry.client import Client, ClientRegistration
from issuer.replay import Once
from keys.client_cert import Chain, certificate_thumbprint

# The rules of the Web's PKI (RFC 5280, and what is too weak for it). A client may be known by its
# distinguished name alone, so that it needs no alternative one.
_CA_POLICY = ExtensionPolicy.webpki_defaults_ca()
_CLIENT_POLICY = ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
# A certificate is parsed bit by bit, so that any look at it may find that it is malformed.
_MALFORMED = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_CLIENT_PURPOSES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


class ShownCertificate(NamedTuple):
    """A certificate that was shown in TLS, and the client that it is said to be of.

    Args:
        client_id: the form parameter, which such a request MUST have (RFC 8705 §2).
        der: the certificate.
        intermediates: those that were shown beside it.
    """

    client_id: str
    der: bytes
    intermediates: Chain


def find_certificate(evidence: Evidence) -> ShownCertificate | None:
    """Return the certificate of a request that shows nothing else to authenticate its client."""
    other = evidence.basic or evidence.secret_post or evidence.assertion
    if evidence.client_id is None or evidence.peer_certificate is None or other is not None:
        return None
    return ShownCertificate(evidence.client_id, evidence.peer_certificate, evidence.intermediates)


class Authorities(Protocol):
    """The authorities whose certificates count, as they are now."""

    @property
    def certificates(self) -> Sequence[x509.Certificate]:
        """Those that are trusted; another sequence once they have changed."""
        ...


class _Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class _CertificateVerifier(ABC):
    """What does not depend on how a certificate is known."""

    def verify_cached(self, client: Client | None, shown: ShownCertificate, now: int) -> str | None:
        """Return the thumbprint of a certificate that is the client's; None of any other."""
        # For an unknown client too: the time does not tell which clients there are.
        fault = self._find_fault(client, shown, now)
        return certificate_thumbprint(shown.der) if client and fault is None else None

    async def verify(self, client: Client | None, shown: ShownCertificate, now: int) -> str | None:
        """Return what `verify_cached` does."""
        return self.verify_cached(client, shown, now)

    def is_guessable(self, client: Client, credential_id: str) -> bool:
        """Tell that the key of a certificate cannot be guessed."""
        return False

    def explain(self, client: Client | None, shown: ShownCertificate, now: int) -> Reason:
        """Return why a certificate is not the client's."""
        return self._find_fault(client, shown, now) or Reason.UNKNOWN_CLIENT

    def once(self, shown: ShownCertificate) -> tuple[Once, ...]:
        """Return nothing: a certificate may be shown again."""
        return ()

    def _find_fault(
        self, client: Client | None, shown: ShownCertificate, now: int
    ) -> Reason | None:
        try:
            self._check(client, shown, now)
        except _Refused as refused:
            return refused.reason
        except _MALFORMED:
            return Reason.CERTIFICATE_UNTRUSTED
        return None

    @abstractmethod
    def _check(self, client: Client | None, shown: ShownCertificate, now: int) -> None:
        """Refuse a certificate that does not count, or is not the client's if there is one."""


class AuthorityVerifier(_CertificateVerifier):
    """Verifies a certificate by its authority, and the client by its name (RFC 8705 §2.1).

    Args:
        authorities: those that are trusted to name clients.
    """

    def __init__(self, authorities: Authorities) -> None:
        self._authorities = authorities
        self._loaded: Sequence[x509.Certificate] | None = None
        self._anchors: Store | None = None

    def _check(self, client: Client | None, shown: ShownCertificate, now: int) -> None:
        certificate = self._verify_chain(shown, now)
        if client is not None and not _is_named(client.registration, certificate):
            raise _Refused(Reason.CERTIFICATE_SUBJECT)

    def _verify_chain(self, shown: ShownCertificate, now: int) -> x509.Certificate:
        chain = (shown.der, *shown.intermediates)
        own, *others = map(x509.load_der_x509_certificate, chain)
        _check_time(own, now)
        anchors = self._current_anchors()
        if anchors is None:
            raise _Refused(Reason.CERTIFICATE_UNTRUSTED)
        policy = PolicyBuilder().store(anchors).time(_utc(now).replace(tzinfo=None))
        policy = policy.extension_policies(ca_policy=_CA_POLICY, ee_policy=_CLIENT_POLICY)
        try:
            policy.build_client_verifier().verify(own, others)
        except VerificationError:
            raise _Refused(Reason.CERTIFICATE_UNTRUSTED) from None
        return own

    def _current_anchors(self) -> Store | None:
        loaded = self._authorities.certificates
        if loaded is not self._loaded:
            anchors = [each for each in loaded if is_authority(each)]
            self._anchors = Store(anchors) if anchors else None
            self._loaded = loaded
        return self._anchors


class SelfSignedVerifier(_CertificateVerifier):
    """Verifies a certificate by its key, which is registered for the client (RFC 8705 §2.2).

    An authority's key is no client's: the certificate of a client that an operator listed among the
    authorities could name every client of tls_client_auth, so it is refused until it is moved.

    Args:
        keys: the keys of clients.
        authorities: those that are trusted to name clients.
    """

    def __init__(self, keys: ClientKeys, authorities: Authorities) -> None:
        self._keys = keys
        self._authorities = authorities

    async def verify(self, client: Client | None, shown: ShownCertificate, now: int) -> str | None:
        """Return what `verify_cached` does, once what the client publishes has been fetched."""
        if client is not None:
            await self._keys.renew(client, now)
        return self.verify_cached(client, shown, now)

    def _check(self, client: Client | None, shown: ShownCertificate, now: int) -> None:
        certificate = x509.load_der_x509_certificate(shown.der)
        _check_time(certificate, now)
        if not _is_for_clients(certificate):
            raise _Refused(Reason.CERTIFICATE_UNTRUSTED)
        key = certificate.public_key()
        if any(_has_key(each, key) for each in self._authorities.certificates):
            raise _Refused(Reason.CERTIFICATE_AUTHORITY)
        known = None if client is None else self._keys.current_set(client, now)
        if client is not None and (
            known is None or not any(each.key == key for each in known.keys)
        ):
            raise _Refused(Reason.CERTIFICATE_KEY)


def _check_time(certificate: x509.Certificate, now: int) -> None:
    if not certificate.not_valid_before_utc <= _utc(now) <= certificate.not_valid_after_utc:
        raise _Refused(Reason.CERTIFICATE_EXPIRED)


def _utc(now: int) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is one that may sign others (RFC 5280 §4.2.1.9)."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, *_MALFORMED):
        return False


def _has_key(authority: x509.Certificate, key: object) -> bool:
    try:
        return authority.public_key() == key
    except _MALFORMED:  # a kind of key that is not known, and so is not this one
        return False


def _is_for_clients(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate says that it is for clients, or not what it is for."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _CLIENT_PURPOSES.isdisjoint(purposes)


def _is_named(registration: ClientRegistration, certificate: x509.Certificate) -> bool:
    """Tell whether a certificate has the name that is registered (RFC 8705 §2.1.2)."""
    ((member, wanted),) = (
        (name, value) for name in TLS_SUBJECTS if (value := getattr(registration, name)) is not None
    )
    return _MATCHES[member](wanted, certificate)


def _has_subject(wanted: str, certificate: x509.Certificate) -> bool:
    return _comparable(parse_distinguished_name(wanted)) == _comparable(certificate.subject)


def _comparable(name: x509.Name) -> list[set[tuple[str, str]]]:
    # RFC 4517 §4.2.15, distinguishedNameMatch: the parts in their order, the attributes of a part
    # in any; values by caseIgnoreMatch, to which case and the width of white space are nothing.
    return [
        {(each.oid.dotted_string, " ".join(str(each.value).casefold().split())) for each in part}
        for part in name.rdns
    ]


def _has_dns_name(wanted: str, certificate: x509.Certificate) -> bool:
    names = _alternative_names(certificate, x509.DNSName)
    return wanted.lower() in (name.lower() for name in names)  # RFC 4343


def _has_uri(wanted: str, certificate: x509.Certificate) -> bool:
    return wanted in _alternative_names(certificate, x509.UniformResourceIdentifier)


def _has_address(wanted: str, certificate: x509.Certificate) -> bool:
    return ip_address(wanted) in _alternative_names(certificate, x509.IPAddress)


def _has_email(wanted: str, certificate: x509.Certificate) -> bool:
    return wanted in _alternative_names(certificate, x509.RFC822Name)


_MATCHES: Mapping[str, Callable[[str, x509.Certificate], bool]] = {
    "tls_client_auth_subject_dn": _has_subject,
    "tls_client_auth_san_dns": _has_dns_name,
    "tls_client_auth_san_uri": _has_uri,
    "tls_client_auth_san_ip": _has_address,
    "tls_client_auth_san_email": _has_email,
}


def _alternative_names(certificate: x509.Certificate, kind: Any) -> list[Any]:  # noqa: ANN401
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(names.value.get_values_for_type(kind))
