"""With proxies in the environment, nothing for loopback goes through them: over real sockets.

Plain http is allowed on loopback because no other machine hears it (RFC 6749 §2.3.1); a proxy would
be given the client's secret, and could answer with keys of its own.
"""

import ssl
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from consumer import auth, httpx2_auth
from consumer.client_auth import ClientSecretBasic
from consumer.demo.scenario import run
from consumer.errors import TokenEndpointUnreachable
from issuer.registry.errors import AccessRefused
from keys.errors import FetchFailed
from keys.remote.http_jwks import HttpJwks
from tests.support.cli import run_in_empty_folder
from tests.support.local_issuer import served_issuer
from tests.support.recording_proxy import recording_proxy
from watchword.remote_administration import RemoteAdministration

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
SETTINGS = [
    {"http_proxy": "PROXY", "https_proxy": "PROXY"},
    {"ALL_PROXY": "PROXY", "NO_PROXY": "intranet.example"},
    {"all_proxy": "socks5://127.0.0.1:1", "HTTP_PROXY": "PROXY"},
]


@pytest.fixture
def issuer():
    """A real issuer on a local socket, with an API."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture(params=SETTINGS, ids=["each scheme", "all", "socks"])
def proxy(request, monkeypatch):
    """A real proxy, which the environment names in several ways."""
    with recording_proxy() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in request.param.items():
            monkeypatch.setenv(name, value.replace("PROXY", proxy.url))
        yield proxy


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_the_client_secret_goes_to_the_issuer_itself(library, how, issuer, proxy):
    """Discovery and token request of every kind of client."""
    http, module = LIBRARIES[library]
    credentials = module.ClientCredentials(issuer.url, "id", "s3cret")
    options = {"auth": credentials, "trust_env": False}

    async def send():
        async with http.AsyncClient(**options) as client:
            return await client.get(f"{issuer.url}/api")

    if how == "sync":
        with http.Client(**options) as client:
            answer = client.get(f"{issuer.url}/api")
    else:
        answer = anyio.run(send, backend=how)
    assert (answer.status_code, answer.json(), proxy.seen) == (200, {"seen": "t1"}, [])


def test_a_proxy_of_the_callers_client_sees_no_token_request(issuer, proxy):
    """It carries what the caller sends through it, which the client's secret is no part of."""
    credentials = auth.ClientCredentials(issuer.url, "id", "s3cret")
    with httpx.Client(auth=credentials, proxy=proxy.url, follow_redirects=True) as client:
        client.get(f"{issuer.url}/api")
    assert proxy.seen == [f"GET {issuer.url}/api HTTP/1.1"]
    assert issuer.requests["/token"] == 1


@pytest.mark.parametrize("host", ["localhost", "[::1]", "127.9.9.9"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_loopback_host_on_every_scheme_is_asked_directly(scheme, host, proxy):
    """Where nobody listens, the request fails instead of going another way."""
    credentials = auth.ClientCredentials(f"{scheme}://{host}:1", "id", "s3cret")
    client = httpx.Client(auth=credentials, transport=httpx.MockTransport(lambda request: None))
    with client, pytest.raises(TokenEndpointUnreachable):
        client.get("https://api.example")
    assert proxy.seen == []


async def test_the_key_set_comes_from_the_issuer_itself(issuer, proxy):
    """The issuer has none at this address, and says so; the proxy would have one."""
    answer = await HttpJwks(issuer.url, jwks_uri=f"{issuer.url}/jwks")(None)
    assert (answer.status, proxy.seen) == (404, [])


async def test_a_key_set_that_a_proxy_brought_does_not_count(issuer, proxy):
    """The caller's own client may be sent to a proxy; its keys are not taken."""
    async with httpx.AsyncClient(proxy=proxy.url) as client:
        with pytest.raises(FetchFailed, match="through a proxy"):
            await HttpJwks(issuer.url, jwks_uri=f"{issuer.url}/jwks", client=client)(None)
    async with httpx.AsyncClient(trust_env=False) as client:
        fetch = HttpJwks(issuer.url, jwks_uri=f"{issuer.url}/jwks", client=client)
        assert (await fetch(None)).status == 404


def test_the_remote_administration_asks_directly(issuer, proxy):
    """Both the token request and the call itself."""
    remote = RemoteAdministration(issuer.url, client_id="id", client_secret="s3cret")
    with pytest.raises(AccessRefused):
        remote.list_resources()
    remote.close()
    assert (issuer.requests["/token"], proxy.seen) == (1, [])


def test_the_story_is_told_directly(issuer, proxy):
    """No request of it leaves the machine, whatever comes of them."""
    lines = []
    api = f"{issuer.url}/nothing-here"
    story = {"issuer": issuer.url, "api": api, "auth": ClientSecretBasic("id", "s3cret")}
    assert run(**story, out=lines.append) == 1
    assert "404" in lines[0]
    assert proxy.seen == []


def test_token_get_asks_directly(issuer, proxy, tmp_path, monkeypatch, capsys):
    """The command prints the token that the issuer gave."""
    run_command = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("WATCHWORD_ISSUER", issuer.url)
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "id")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "s3cret")
    assert run_command("token", "get").stdout == "t1\n"
    assert proxy.seen == []


@pytest.mark.parametrize("proxy", SETTINGS[:2], indirect=True)
async def test_what_is_not_on_loopback_may_be_proxied(proxy):
    """A proxy of the environment is an operator's will where other machines are asked."""
    with pytest.raises(httpx.HTTPError):
        await HttpJwks("https://as.example", jwks_uri="https://as.example/jwks")(None)
    assert proxy.seen == ["CONNECT as.example:443 HTTP/1.1"]


@pytest.fixture
def tls(tmp_path):
    """TLS contexts of a server `as.example` and of clients that trust it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("as.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = made.add_extension(names, critical=True).sign(key, hashes.SHA256())
    file = tmp_path / "as.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(
        cadata=certificate.public_bytes(Encoding.PEM).decode()
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", SETTINGS[:1], indirect=True)
def test_a_token_request_goes_through_the_proxy_of_the_environment(
    scheme, how, library, issuer, proxy, tls
):
    """Plain http is forwarded; https goes through a tunnel, in which the proxy reads nothing."""
    proxy.destination = issuer.server_address
    server, client = tls
    if scheme == "https":
        issuer.socket = server.wrap_socket(issuer.socket, server_side=True)
    source = LIBRARIES[library][1].TokenSource(
        f"{scheme}://as.example",
        "id",
        "s3cret",
        token_endpoint=f"{scheme}://as.example/token",
        allow_insecure_http={"as.example"},
        verify=client,
    )
    token = source.token() if how == "sync" else anyio.run(source.atoken, backend=how)
    assert (token.value, issuer.requests["/token"]) == ("t1", 1)
    asked = {"http": "POST http://as.example/token", "https": "CONNECT as.example:443"}
    assert proxy.seen == [f"{asked[scheme]} HTTP/1.1"]
