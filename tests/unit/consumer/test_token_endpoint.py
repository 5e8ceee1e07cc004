"""Where a client with a certificate asks for tokens, and who shares them through a store."""

import ssl

import httpx
import pytest

from consumer import TokenSource
from consumer.client_assertion import ClientSecretJwt, PrivateKeyJwt
from consumer.client_auth import ClientSecretBasic, TlsClientAuth
from consumer.dpop import DpopKey
from consumer.errors import InsecureUrl, MetadataError
from consumer.federated_token import FederatedToken
from consumer.token_files import TokenFiles
from tests.support.consumer_flow import ISSUER, Walk, answer, make_flow
from watchword.testing.clock import Clock
from watchword.testing.keys import private_key

ALIAS = "https://mtls.as.example/token"
METADATA = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "mtls_endpoint_aliases": {"token_endpoint": ALIAS},
}
SECRET = "s" * 40
KEY = private_key("ES256")


def asked_at(document, **plan):
    """Return where a client asks for a token that has found these metadata."""
    walk = Walk(make_flow(Clock(1000), token_endpoint=None, **plan))
    return walk.fetched(answer(document)).step.request.url


@pytest.mark.rfc("8705-5-1-C")
def test_a_client_with_a_certificate_prefers_the_alias():
    """A client without one does not, nor does anybody where the issuer names none."""
    assert asked_at(METADATA, has_certificate=True) == ALIAS
    assert asked_at(METADATA) == f"{ISSUER}/token"
    for aliases in (None, {}, "nonsense", {"other_endpoint": ALIAS}):
        document = METADATA | {"mtls_endpoint_aliases": aliases}
        assert asked_at(document, has_certificate=True) == f"{ISSUER}/token"


@pytest.mark.parametrize(
    ("alias", "error"),
    [(7, MetadataError), ("nonsense", MetadataError), ("http://mtls.example/t", InsecureUrl)],
)
def test_an_alias_is_checked_like_the_endpoint(alias, error):
    """A secret could be sent there. Who does not use it has no reason to mind."""
    document = METADATA | {"mtls_endpoint_aliases": {"token_endpoint": alias}}
    with pytest.raises(error):
        asked_at(document, has_certificate=True)
    assert asked_at(document) == f"{ISSUER}/token"


def test_a_client_that_authenticates_by_certificate_needs_one():
    """In a file, in a context of the caller's, or behind a transport of the caller's."""
    auth = TlsClientAuth("billing")
    with pytest.raises(ValueError, match="TlsClientAuth needs `cert`"):
        TokenSource(ISSUER, auth)
    for way in (
        {"cert": ("a", "b")},
        {"verify": ssl.create_default_context()},
        {"transport": httpx.HTTPTransport()},
    ):
        assert TokenSource(ISSUER, auth, **way)._plan.has_certificate
    assert TokenSource(ISSUER, "id", "s", cert="a")._plan.has_certificate
    assert not TokenSource(ISSUER, "id", "s")._plan.has_certificate


def name_in_store(folder, auth, dpop=None):
    """Return under which name a store has the token."""
    source = TokenSource(ISSUER, auth, store=TokenFiles(folder), dpop=dpop)
    return source._flow._stored._name


def test_processes_with_the_same_keys_share_a_token(tmp_path):
    """Who lacks the client's key, or the key that the token is bound to, has another one."""
    bound = DpopKey(private_key("ES256", 1))
    auths = [PrivateKeyJwt("billing", KEY), PrivateKeyJwt("billing", private_key("ES256", 1))]
    auths.append(ClientSecretJwt("billing", SECRET))
    folder = tmp_path / "tokens"
    names = [name_in_store(folder, auth, key) for auth in auths for key in (None, bound, DpopKey())]
    assert len(set(names)) == 9
    assert name_in_store(folder, PrivateKeyJwt("billing", KEY)) == names[0]
    assert name_in_store(folder, PrivateKeyJwt("billing", KEY), bound) == names[1]


def test_a_client_without_a_secret_or_key_shares_no_token(tmp_path):
    """There would be nothing to seal it with."""
    with pytest.raises(ValueError, match="a store needs a client with a secret or a key"):
        TokenSource(
            ISSUER,
            FederatedToken("billing", "/run/token"),
            store=TokenFiles(tmp_path / "tokens"),
        )


@pytest.mark.parametrize("auth", [TlsClientAuth("billing"), ClientSecretBasic("billing", SECRET)])
def test_a_client_with_a_certificate_shares_no_token(tmp_path, auth):
    """It may be bound to the certificate, which another process need not have."""
    with pytest.raises(ValueError, match="shares no token of a client with a certificate"):
        TokenSource(ISSUER, auth, cert="c.pem", store=TokenFiles(tmp_path / "tokens"))
