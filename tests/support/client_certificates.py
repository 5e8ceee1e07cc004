"""Clients that are known by certificates, and what a verifier says of one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from issuer.client_auth.certificate import (
    AuthorityVerifier,
    SelfSignedVerifier,
    ShownCertificate,
)
from issuer.client_auth.client_keys import ClientKeys
from issuer.errors import Reason
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from keys.client_cert import certificate_thumbprint
from keys.jwk import PublicJwk, public_jwk
from tests.support.certificates import (
    Certificate,
)
from tests.support.issuer import make_client

NOW = int(datetime.now(UTC).timestamp())


class Trusted:
    """Authorities that are trusted, until the test trusts others."""

    def __init__(self, *files: Path) -> None:
        loaded = [x509.load_pem_x509_certificates(file.read_bytes()) for file in files]
        self.certificates: Sequence[x509.Certificate] = [each for some in loaded for each in some]


def shown(certificate: Certificate, *, alone: bool = False) -> ShownCertificate:
    """Show a certificate, with those above it or alone."""
    own, *above = certificate.chain
    return ShownCertificate("svc-a", own, () if alone else tuple(above))


def named(**subject: str) -> Client:
    """Make a client that is known by a name."""
    return make_client(token_endpoint_auth_method=AuthMethod.TLS_CLIENT_AUTH, secrets=(), **subject)


def key_of(certificate: Certificate) -> PublicJwk:
    """Return the key of a certificate."""
    loaded = x509.load_der_x509_certificate(certificate.chain[0])
    return public_jwk(loaded.public_key(), "ES256")


def keyed(*certificates: Certificate, **members: Any) -> Client:
    """Make a client that is known by the keys of these certificates."""
    keys = [key_of(each).members() for each in certificates]
    return make_client(
        token_endpoint_auth_method=AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
        secrets=(),
        **(members or {"jwks": {"keys": keys}}),
    )


def registered_only() -> ClientKeys:
    """Give keys of clients none of which publishes any."""

    def refuse(uri: str) -> Any:
        raise AssertionError(uri)

    return ClientKeys(refuse)


async def judge(
    verifier: AuthorityVerifier | SelfSignedVerifier,
    client: Client | None,
    certificate: ShownCertificate,
    now: int = NOW,
) -> Reason | None:
    """Verify a certificate from memory and by the store; return why it is refused."""
    proven = verifier.verify_cached(client, certificate, now)
    assert await verifier.verify(client, certificate, now) == proven
    if proven is None:
        return verifier.explain(client, certificate, now)
    assert proven == certificate_thumbprint(certificate.der)
    assert client is not None
    assert not verifier.is_guessable(client, proven)
    assert verifier.once(certificate) == ()
    return None
