"""Key sets that clients publish, over real TLS: what is fetched, from where, and how much of it."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from issuer.client_auth.client_keys import ClientKeys
from issuer.client_auth.methods import ClientAuthenticator
from issuer.client_auth.private_key import PrivateKeyVerifier
from issuer.errors import InvalidClient, Reason
from issuer.limits import Limits
from issuer.registry.auth_methods import ASSERTION_ALGORITHMS
from keys.errors import FetchFailed
from keys.jwks import MAXIMUM_BYTES
from keys.remote.http_get import HttpGet
from keys.remote.http_jwks import get_json
from keys.remote.jwks_client import JwksClient
from tests.support.assertions import asserting_client, evidence_of, jwk_of, make_assertion
from tests.support.certificates import Authority
from tests.support.issuer import ISSUER, NOW, Clients
from watchword.provider.authentication import CLIENT_KEYS
from watchword.provider.ssrf_guard import SsrfGuard

HOST = "keys.client.example"
INTERNATIONAL = "xn--bcher-kva.example"
"""`bücher.example`, as a URL has it (RFC 5890 §2.3.2.1)."""


@dataclass(slots=True)
class KeyServer:
    """Answers every request alike, on loopback, under a certificate for `HOST`."""

    status: int = 200
    body: bytes = b""
    location: str | None = None
    hosts: list[str] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False

    @property
    def url(self) -> str:
        """Where it is, by its name."""
        return f"https://{HOST}:{self.port}/jwks"

    def publish(self, *keys: dict[str, str]) -> None:
        """Answer with a key set."""
        self.body = json.dumps({"keys": keys}).encode()


def _names(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(list(map(x509.DNSName, names)))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """Serve until the test ends; its certificate is one that the system trusts."""
    authority = Authority(tmp_path)
    issued = authority.issue("keys", _names(HOST, INTERNATIONAL))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    state = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.hosts.append(self.headers["host"])
            if state.hangs:
                state.released.wait(10)
            self.send_response(state.status)
            self.send_header("content-type", "application/json")
            if state.location is not None:
                self.send_header("location", state.location)
            self.end_headers()
            try:
                self.wfile.write(state.body)
            except OSError:
                return  # the client has read enough

        def log_message(self, *arguments: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.file, issued.key_file)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    state.port = served.server_address[1]
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        served.shutdown()
        thread.join()
        served.server_close()


@pytest.fixture
def guard() -> Iterator[SsrfGuard]:
    """Know one host, on loopback, which an operator has allowed."""
    allowing = SsrfGuard([HOST], resolve=lambda host: ["127.0.0.1"])
    yield allowing
    allowing.close()


def http_of(guard: SsrfGuard) -> HttpGet:
    """Make what fetches, over connections that the guard allows."""
    return HttpGet(maximum=MAXIMUM_BYTES, client=None, clock=lambda: 0.0, addresses=guard.addresses)


@dataclass(slots=True)
class Published:
    """A client that publishes its keys, the issuer that fetches them, and a clock of seconds."""

    server: KeyServer
    guard: SsrfGuard
    now: float = 0.0
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    timeout: float = 5.0
    _authenticator: ClientAuthenticator | None = None

    def _open(self, uri: str) -> JwksClient:
        return JwksClient(
            partial(get_json, http_of(self.guard), self.server.url),
            policy=CLIENT_KEYS,
            clock=lambda: self.now,
            on_event=lambda event, **fields: self.events.append((event, fields)),
            timeout=self.timeout,
            algorithms=ASSERTION_ALGORITHMS,
        )

    async def reason(self, n: int = 0) -> Reason | None:
        """Authenticate with the n-th key; return why that is refused."""
        if self._authenticator is None:
            client = asserting_client(jwks=None, jwks_uri=f"https://{HOST}/jwks")
            verifier = PrivateKeyVerifier(ISSUER, ClientKeys(self._open))
            self._authenticator = ClientAuthenticator(
                Clients(client), verifier, limits=Limits(failed_auth=0)
            )
        try:
            await self._authenticator.authenticate(evidence_of(make_assertion(n=n)), now=NOW)
        except InvalidClient as refused:
            return refused.reason
        return None


async def test_a_set_is_fetched_from_the_address_that_was_checked(
    server: KeyServer, guard: SsrfGuard
) -> None:
    """With the name in `Host` and in the certificate, which no address has."""
    server.publish(jwk_of())
    answer = await get_json(http_of(guard), server.url, None)
    assert (answer.status, answer.body) == (200, server.body)
    assert server.hosts == [f"{HOST}:{server.port}"]


async def test_a_set_is_fetched_from_a_host_with_an_internationalised_name(
    server: KeyServer,
) -> None:
    """Resolved, asked for and compared with the certificate as the URL has it, in ASCII."""
    server.publish(jwk_of())
    asked: list[str] = []

    def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    guard = SsrfGuard([INTERNATIONAL], resolve=resolve)
    answer = await get_json(http_of(guard), server.url.replace(HOST, INTERNATIONAL), None)
    guard.close()
    assert (answer.status, asked) == (200, [INTERNATIONAL])
    assert server.hosts == [f"{INTERNATIONAL}:{server.port}"]


@pytest.mark.rfc("8725-3.10-1")
async def test_a_host_that_decodes_to_no_name_is_refused_as_any_other(server: KeyServer) -> None:
    """`xn--` with something behind it that is no Punycode: a refusal, and no error of a library."""
    guard = SsrfGuard(resolve=lambda host: [])
    with pytest.raises(FetchFailed, match="no internationalised name"):
        await get_json(http_of(guard), "https://xn--a.example/jwks", None)
    guard.close()


@pytest.mark.rfc("8725-3.10-1")
async def test_a_private_address_is_not_connected_to(server: KeyServer) -> None:
    """Nor any other address of that host."""
    for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], []):
        guard = SsrfGuard(resolve=lambda host, found=addresses: found)
        with pytest.raises(FetchFailed, match="no address"):
            await get_json(http_of(guard), server.url, None)
        guard.close()
    assert not server.hosts


@pytest.mark.rfc("8725-3.10-1")
async def test_a_name_that_changes_its_address_leads_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the name is looked up once, and what was checked is connected to."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    guard = SsrfGuard(resolve=lambda host: next(answers))
    asked: list[tuple[str, str, str]] = []

    async def answer(self: Any, request: httpx.Request) -> httpx.Response:
        asked.append(
            (request.url.host, request.headers["host"], request.extensions["sni_hostname"])
        )
        return httpx.Response(200, content=b"{}", request=request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    await get_json(http_of(guard), f"https://{HOST}/jwks", None)
    assert asked == [("8.8.8.8", HOST, HOST)]
    with pytest.raises(FetchFailed):
        await get_json(http_of(guard), f"https://{HOST}/jwks", None)
    assert len(asked) == 1
    guard.close()


@pytest.mark.rfc("8725-3.10-1")
async def test_a_redirect_leads_nowhere(server: KeyServer, guard: SsrfGuard) -> None:
    """Neither to a private address nor to any other."""
    server.status, server.location = 302, f"https://127.0.0.1:{server.port}/jwks"
    published = Published(server, guard)
    assert await published.reason() is Reason.ASSERTION_KEYS_UNAVAILABLE
    assert [fields["reason"] for _, fields in published.events] == ["status 302"]
    assert len(server.hosts) == 1


async def test_ten_megabytes_are_not_read(server: KeyServer, guard: SsrfGuard) -> None:
    """64 KB are the most that a key set has."""
    server.body = b'{"keys": [' + b" " * 10_000_000 + b"]}"
    published = Published(server, guard)
    assert await published.reason() is Reason.ASSERTION_KEYS_UNAVAILABLE
    assert [fields["reason"] for _, fields in published.events] == ["more than 65536 bytes"]


async def test_a_server_that_hangs_is_given_up(server: KeyServer, guard: SsrfGuard) -> None:
    """A request waits for it as long as for a fetch, and the next one not at all."""
    server.hangs = True
    published = Published(server, guard, timeout=0.3)
    async with asyncio.timeout(5):
        assert await published.reason() is Reason.ASSERTION_KEYS_UNAVAILABLE
    assert await published.reason() is Reason.ASSERTION_KEYS_UNAVAILABLE
    assert len(server.hosts) == 1


async def test_a_certificate_of_another_name_is_refused(
    server: KeyServer, guard: SsrfGuard
) -> None:
    """The address that is connected to does not stand for the name."""
    other = SsrfGuard(["other.example"], resolve=lambda host: ["127.0.0.1"])
    with pytest.raises(httpx.ConnectError, match="certificate"):
        await get_json(http_of(other), server.url.replace(HOST, "other.example"), None)
    other.close()
    assert not server.hosts


@pytest.mark.rfc("7523-3-4")
async def test_an_unknown_kid_leads_to_one_fetch_in_a_cooldown(
    server: KeyServer, guard: SsrfGuard
) -> None:
    """A key that was just published counts, and a thousand forged kids cost one fetch."""
    server.publish(jwk_of())
    published = Published(server, guard)
    assert await published.reason(0) is None
    server.publish(jwk_of(), jwk_of(n=1))
    published.now += 1
    assert await published.reason(1) is None
    assert len(server.hosts) == 2
    published.now += 1
    for _ in range(5):
        assert await published.reason(2) is Reason.ASSERTION_KEY
    assert len(server.hosts) == 2
    published.now += CLIENT_KEYS.cooldown
    assert await published.reason(2) is Reason.ASSERTION_KEY
    assert len(server.hosts) == 3


@pytest.mark.rfc("7523-3-4")
async def test_a_key_that_was_rotated_away_counts_no_more(
    server: KeyServer, guard: SsrfGuard
) -> None:
    """Once the set was fetched again, which happens within five minutes."""
    server.publish(jwk_of())
    published = Published(server, guard)
    assert await published.reason(0) is None
    server.publish(jwk_of(n=1))
    published.now += 1
    assert await published.reason(1) is None
    assert await published.reason(0) is Reason.ASSERTION_KEY
