"""`tls_client_auth`: whose certificate it is, by an authority and a name."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from issuer.client_auth.certificate import (
    AuthorityVerifier,
    SelfSignedVerifier,
    ShownCertificate,
    find_certificate,
)
from issuer.client_request import ClientPassword, Evidence
from issuer.errors import Reason
from tests.support.certificates import (
    FOR_CLIENTS,
    FOR_SERVERS,
    Authority,
    common_name,
    self_signed,
)
from tests.support.client_certificates import NOW, Trusted, judge, named, registered_only, shown

NAMES = x509.SubjectAlternativeName(
    [
        x509.DNSName("Svc.example.com"),
        x509.UniformResourceIdentifier("spiffe://example.com/svc"),
        x509.IPAddress(ip_address("2001:db8::1")),
        x509.RFC822Name("svc@example.com"),
    ]
)
SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example, Inc."),
        x509.NameAttribute(NameOID.COMMON_NAME, "Svc  One"),
    ]
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give one that names clients."""
    return Authority(tmp_path)


# What a request shows


def test_a_certificate_authenticates_where_nothing_else_does() -> None:
    """With `client_id` (RFC 8705 §2); beside a secret it only binds the token."""
    password = ClientPassword("svc-a", "secret")
    evidence = Evidence(client_id="svc-a", peer_certificate=b"own", intermediates=(b"above",))
    assert find_certificate(evidence) == ShownCertificate("svc-a", b"own", (b"above",))
    assert find_certificate(evidence._replace(client_id=None)) is None
    assert find_certificate(evidence._replace(peer_certificate=None)) is None
    assert find_certificate(evidence._replace(basic=password)) is None
    assert find_certificate(evidence._replace(secret_post=password)) is None


# By an authority


@pytest.mark.rfc("8705-2-1")
@pytest.mark.parametrize(
    ("subject", "good"),
    [
        ({"tls_client_auth_san_dns": "svc.EXAMPLE.com"}, True),
        ({"tls_client_auth_san_dns": "other.example.com"}, False),
        ({"tls_client_auth_san_dns": "*.example.com"}, False),
        ({"tls_client_auth_san_uri": "spiffe://example.com/svc"}, True),
        ({"tls_client_auth_san_uri": "spiffe://example.com/SVC"}, False),
        ({"tls_client_auth_san_uri": "spiffe://example.com/svc/"}, False),
        ({"tls_client_auth_san_ip": "2001:DB8:0::1"}, True),
        ({"tls_client_auth_san_ip": "2001:db8::2"}, False),
        ({"tls_client_auth_san_email": "svc@example.com"}, True),
        ({"tls_client_auth_san_email": "Svc@example.com"}, False),
        ({"tls_client_auth_subject_dn": "CN=Svc One,O=Example\\, Inc.,C=DE"}, True),
        ({"tls_client_auth_subject_dn": "CN=svc one,O=\\45xample\\, Inc.,C=de"}, True),
        ({"tls_client_auth_subject_dn": "2.5.4.3=Svc One,O=Example\\2c Inc.,C=DE"}, True),
        ({"tls_client_auth_subject_dn": "C=DE,O=Example\\, Inc.,CN=Svc One"}, False),
        ({"tls_client_auth_subject_dn": "CN=Svc One+O=Example\\, Inc.,C=DE"}, False),
        ({"tls_client_auth_subject_dn": "CN=Svc One,O=Example\\, Inc."}, False),
        ({"tls_client_auth_subject_dn": "CN=SvcOne,O=Example\\, Inc.,C=DE"}, False),
    ],
)
async def test_a_client_is_known_by_one_name(
    authority: Authority, subject: dict[str, str], good: bool
) -> None:
    """Names are compared as what they are: a distinguished name part by part, not as text."""
    certificate = authority.issue("svc", FOR_CLIENTS, NAMES, subject=SUBJECT)
    verifier = AuthorityVerifier(Trusted(authority.file))
    expected = None if good else Reason.CERTIFICATE_SUBJECT
    assert await judge(verifier, named(**subject), shown(certificate)) is expected


async def test_a_certificate_without_alternative_names_has_none(authority: Authority) -> None:
    """The common name is no DNS name."""
    certificate = shown(authority.issue("svc.example.com", FOR_CLIENTS))
    verifier = AuthorityVerifier(Trusted(authority.file))
    client = named(tls_client_auth_san_dns="svc.example.com")
    assert await judge(verifier, client, certificate) is Reason.CERTIFICATE_SUBJECT
    client = named(tls_client_auth_subject_dn="CN=svc.example.com")
    assert await judge(verifier, client, certificate) is None


SVC = {"tls_client_auth_subject_dn": "CN=svc"}


@pytest.mark.rfc("8705-2-1")
async def test_a_certificate_counts_within_its_time(authority: Authority) -> None:
    """By the issuer's clock, whatever TLS or a proxy made of it."""
    certificate = shown(authority.issue("svc", FOR_CLIENTS, ends_in=timedelta(hours=1)))
    verifier = AuthorityVerifier(Trusted(authority.file))
    for later, reason in (
        (timedelta(), None),
        (timedelta(hours=2), Reason.CERTIFICATE_EXPIRED),
        (timedelta(days=-3), Reason.CERTIFICATE_EXPIRED),
    ):
        now = NOW + int(later.total_seconds())
        assert await judge(verifier, named(**SVC), certificate, now) is reason


@pytest.mark.rfc("8705-2-1")
async def test_a_certificate_of_another_make_proves_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    """For servers, self-made, of a namesake of the authority, of another client's key, or none."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    client_key = ec.generate_private_key(ec.SECP256R1())
    verifier = AuthorityVerifier(Trusted(authority.file))
    good = shown(authority.issue("svc", FOR_CLIENTS))
    for certificate in (
        shown(authority.issue("svc", FOR_SERVERS)),
        shown(self_signed(tmp_path / "svc", FOR_CLIENTS, key=client_key)),
        shown(other.issue("svc", FOR_CLIENTS)),
        good._replace(der=b"\x30\x82\x00\x00"),
        good._replace(intermediates=(b"x",)),
    ):
        assert await judge(verifier, named(**SVC), certificate) is Reason.CERTIFICATE_UNTRUSTED
    assert await judge(verifier, named(**SVC), good) is None


async def test_authorities_in_between_come_with_the_certificate_or_are_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    """The second where a proxy passes on the client's own certificate alone."""
    below = Authority(tmp_path, "Below", above=authority)
    certificate = below.issue("svc", FOR_CLIENTS)
    verifier = AuthorityVerifier(Trusted(authority.file))
    assert await judge(verifier, named(**SVC), shown(certificate)) is None
    alone = shown(certificate, alone=True)
    assert await judge(verifier, named(**SVC), alone) is Reason.CERTIFICATE_UNTRUSTED
    verifier = AuthorityVerifier(Trusted(below.file))
    assert await judge(verifier, named(**SVC), alone) is None


async def test_names_that_an_authority_may_not_give_do_not_count(
    authority: Authority, tmp_path: Path
) -> None:
    """Name constraints of RFC 5280 §4.2.1.10."""
    permitted = x509.NameConstraints([x509.DNSName("team-a.example.com")], None)
    below = Authority(tmp_path, "Team A", above=authority, constraints=permitted)
    verifier = AuthorityVerifier(Trusted(authority.file))
    for name, reason in (
        ("svc.team-a.example.com", None),
        ("svc.team-b.example.com", Reason.CERTIFICATE_UNTRUSTED),
    ):
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        certificate = shown(below.issue("svc", FOR_CLIENTS, names))
        client = named(tls_client_auth_san_dns=name)
        assert await judge(verifier, client, certificate) is reason


async def test_a_client_is_no_authority(authority: Authority, tmp_path: Path) -> None:
    """Not one whose certificate was given by an authority, nor one that is in the file itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = self_signed(tmp_path / "own", FOR_CLIENTS, key=key)
    namesake = Authority(tmp_path, "own", above=authority)
    forged = shown(namesake.issue("svc", FOR_CLIENTS), alone=True)
    client_of_authority = authority.issue("client", FOR_CLIENTS, subject=common_name("own")).chain[
        0
    ]
    verifier = AuthorityVerifier(Trusted(authority.file, own.file))
    for certificate in (
        forged,
        forged._replace(intermediates=(client_of_authority,)),
        ShownCertificate("svc-a", own.chain[0], ()),
    ):
        assert await judge(verifier, named(**SVC), certificate) is Reason.CERTIFICATE_UNTRUSTED
    only_clients = AuthorityVerifier(Trusted(own.file))
    assert await judge(only_clients, named(**SVC), forged) is Reason.CERTIFICATE_UNTRUSTED


async def test_authorities_are_those_of_now(authority: Authority, tmp_path: Path) -> None:
    """What replaces them counts with the next request."""
    certificate = shown(authority.issue("svc", FOR_CLIENTS))
    (tmp_path / "other").mkdir()
    trusted = Trusted(Authority(tmp_path / "other").file)
    verifier = AuthorityVerifier(trusted)
    assert await judge(verifier, named(**SVC), certificate) is Reason.CERTIFICATE_UNTRUSTED
    trusted.certificates = Trusted(authority.file).certificates
    assert await judge(verifier, named(**SVC), certificate) is None
    trusted.certificates = ()
    assert await judge(verifier, named(**SVC), certificate) is Reason.CERTIFICATE_UNTRUSTED


async def test_an_unknown_client_is_nobody(authority: Authority, tmp_path: Path) -> None:
    """Its certificate is verified all the same, so that the time does not tell."""
    verifier = AuthorityVerifier(Trusted(authority.file))
    certificate = shown(authority.issue("svc", FOR_CLIENTS))
    assert await judge(verifier, None, certificate) is Reason.UNKNOWN_CLIENT
    other = shown(self_signed(tmp_path / "svc", FOR_CLIENTS))
    assert await judge(verifier, None, other) is Reason.CERTIFICATE_UNTRUSTED
    assert (
        await judge(SelfSignedVerifier(registered_only(), Trusted()), None, other)
        is Reason.UNKNOWN_CLIENT
    )


# What is malformed


async def test_a_certificate_that_was_changed_proves_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    """Its parts are parsed when they are looked at: wherever that fails, it is no fault of ours."""
    trusted = Trusted(authority.file)
    good = shown(authority.issue("svc", FOR_CLIENTS, NAMES))
    client = named(tls_client_auth_san_dns="svc.example.com")
    chance = Random(8705)
    for _ in range(400):
        changed = bytearray(good.der)
        changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
        reason = await judge(AuthorityVerifier(trusted), client, good._replace(der=bytes(changed)))
        assert reason is not None


async def test_a_malformed_authority_is_none(authority: Authority) -> None:
    """The others in the file count."""
    own = x509.load_pem_x509_certificate(authority.file.read_bytes())
    der = own.public_bytes(Encoding.DER).replace(b"\x06\x03\x55\x1d\x0e", b"\x06\x03\x55\x1d\x13")
    trusted = Trusted(authority.file)
    trusted.certificates = [x509.load_der_x509_certificate(der), own]
    certificate = shown(authority.issue("svc", FOR_CLIENTS))
    assert await judge(AuthorityVerifier(trusted), named(**SVC), certificate) is None
