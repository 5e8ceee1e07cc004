"""`self_signed_tls_client_auth`: whose certificate it is, by its key."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from issuer.client_auth.certificate import (
    SelfSignedVerifier,
    ShownCertificate,
)
from issuer.client_auth.client_keys import ClientKeys
from issuer.errors import Reason
from issuer.registry.client import Client
from keys.errors import UnknownKey
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from tests.support.certificates import (
    FOR_CLIENTS,
    FOR_SERVERS,
    IS_AUTHORITY,
    Certificate,
    self_signed,
)
from tests.support.client_certificates import (
    NOW,
    Trusted,
    judge,
    key_of,
    keyed,
    registered_only,
    shown,
)


@pytest.mark.rfc("8705-2-1")
async def test_a_self_signed_certificate_counts_by_its_key(tmp_path: Path) -> None:
    """Of several keys one is enough, and a new certificate of the same key needs no change."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    client = keyed(*[self_signed(tmp_path / f"svc{at}", key=keys[at]) for at in range(2)])
    verifier = SelfSignedVerifier(registered_only(), Trusted())
    for key, reason in zip(keys, (None, None, Reason.CERTIFICATE_KEY), strict=True):
        renewed = self_signed(tmp_path / "renewed", FOR_CLIENTS, key=key)
        assert await judge(verifier, client, shown(renewed)) is reason


@pytest.mark.rfc("8705-2-1")
async def test_a_self_signed_certificate_has_a_time_and_a_purpose(tmp_path: Path) -> None:
    """As any other; without a purpose it is for all."""
    key = ec.generate_private_key(ec.SECP256R1())
    client = keyed(self_signed(tmp_path / "svc", key=key))
    verifier = SelfSignedVerifier(registered_only(), Trusted())
    for extensions, ends_in, reason in (
        ((), timedelta(days=1), None),
        ((FOR_CLIENTS,), timedelta(days=1), None),
        ((FOR_SERVERS,), timedelta(days=1), Reason.CERTIFICATE_UNTRUSTED),
        ((), timedelta(hours=-1), Reason.CERTIFICATE_EXPIRED),
    ):
        certificate = self_signed(tmp_path / "svc", *extensions, key=key, ends_in=ends_in)
        assert await judge(verifier, client, shown(certificate)) is reason


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a\x86\x48\xce\x3d\x02\x7f"),  # the type of the key
        (b"\x55\x1d\x25\x04\x0c\x30", b"\x55\x1d\x25\x04\x0c\x31"),  # the purposes: no SEQUENCE
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x7f"),  # the version
    ],
)
async def test_a_self_signed_certificate_that_is_malformed_proves_nothing(
    tmp_path: Path, good: bytes, bad: bytes
) -> None:
    """Though its key may be the registered one."""
    certificate = self_signed(tmp_path / "svc", FOR_CLIENTS)
    der = certificate.chain[0].replace(good, bad)
    assert der != certificate.chain[0]
    verifier, client = SelfSignedVerifier(registered_only(), Trusted()), keyed(certificate)
    malformed = ShownCertificate("svc-a", der, ())
    assert await judge(verifier, client, malformed) is Reason.CERTIFICATE_UNTRUSTED


@pytest.mark.rfc("8705-2-1")
async def test_the_key_of_an_authority_is_no_client_s(tmp_path: Path) -> None:
    """Whoever has it could name any client: it is to be one or the other."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = self_signed(tmp_path / "authority", IS_AUTHORITY, key=key)
    odd = self_signed(tmp_path / "odd", IS_AUTHORITY)
    unknown_kind = b"\x2a\x86\x48\xce\x3d\x02\x7f"  # of key, where a P-256 one should be
    der = odd.chain[0].replace(b"\x2a\x86\x48\xce\x3d\x02\x01", unknown_kind)
    trusted = Trusted(authority.file)
    trusted.certificates = [x509.load_der_x509_certificate(der), *trusted.certificates]
    verifier = SelfSignedVerifier(registered_only(), trusted)
    renewed, other = self_signed(tmp_path / "svc", key=key), self_signed(tmp_path / "other")
    client = keyed(renewed, other)
    for certificate in (authority, renewed):
        refused = await judge(verifier, client, shown(certificate))
        assert refused is Reason.CERTIFICATE_AUTHORITY
    assert await judge(verifier, client, shown(other)) is None


async def test_a_key_is_looked_for_where_the_client_publishes_it(tmp_path: Path) -> None:
    """Again, where the certificate's is not among those at hand."""
    old, new = (self_signed(tmp_path / name, FOR_CLIENTS) for name in ("old", "new"))
    published = Published(old)
    uri = "https://keys.example.com/svc"
    verifier = SelfSignedVerifier(ClientKeys({uri: published}.__getitem__), Trusted())
    client = keyed(jwks_uri=uri)
    assert verifier.verify_cached(client, shown(old), NOW) is None
    assert verifier.explain(client, shown(old), NOW) is Reason.CERTIFICATE_KEY
    assert await judge_once(verifier, client, old)
    assert await judge(verifier, client, shown(old)) is None
    published.certificates = (new,)
    assert verifier.verify_cached(client, shown(new), NOW) is None
    assert await judge_once(verifier, client, new)
    assert not await judge_once(verifier, client, old)


async def judge_once(
    verifier: SelfSignedVerifier, client: Client, certificate: Certificate
) -> bool:
    """Verify a certificate after the client's keys were fetched."""
    proven = await verifier.verify(client, shown(certificate), NOW)
    return proven is not None


class Published:
    """The keys that a client publishes; each request for one that is unknown fetches them."""

    def __init__(self, *certificates: Certificate) -> None:
        self.certificates = certificates
        self._fetched: JwkSet | None = None

    def current(self) -> JwkSet | None:
        """Give what was fetched last."""
        return self._fetched

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Fetch, and find nothing."""
        await self.warm()
        raise UnknownKey

    async def renew(self) -> None:
        """Fetch."""
        await self.warm()

    async def warm(self) -> bool:
        """Fetch."""
        self._fetched = JwkSet(keys=tuple(map(key_of, self.certificates)))
        return True
