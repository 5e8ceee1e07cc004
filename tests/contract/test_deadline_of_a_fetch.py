"""A server that drips holds nobody for longer than the timeout: over real sockets."""

import threading
import time

import anyio
import httpx
import httpx2
import pytest

from consumer import auth, httpx2_auth
from consumer.client_auth import ClientSecretBasic
from consumer.demo import scenario
from consumer.errors import TokenEndpointUnreachable
from issuer.registry.errors import StoreUnavailable
from keys.errors import NoKeySet
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from tests.support.cli import refused, run_in_empty_folder
from tests.support.dripping_server import dripping_server
from tests.support.local_issuer import served_issuer
from watchword import remote_administration
from watchword.cli import token
from watchword.testing.clock import Clock

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
TIMEOUT, PATIENCE = 0.25, 5.0
HEAD = b"HTTP/1.1 200 OK\r\nX-Long: "
STARTS = {
    "head": HEAD,
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n",
    "body without an end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
}


@pytest.fixture(autouse=True)
def in_time():
    """Each of the tests below ends long before the server would."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_a_dripping_answer_ends_with_the_timeout(how, library, start):
    """Head or body, every byte comes in time and the whole never does."""
    http, module = LIBRARIES[library]
    transport = http.MockTransport(lambda request: http.Response(200))

    async def send_async(credentials):
        async with http.AsyncClient(auth=credentials, transport=transport) as client:
            await client.get("https://api.example")

    def send(credentials):
        if how != "sync":
            return anyio.run(send_async, credentials, backend=how)
        with http.Client(auth=credentials, transport=transport) as client:
            return client.get("https://api.example")

    with dripping_server(STARTS[start]) as url:
        credentials = module.ClientCredentials(url, "id", "s3cret", timeout=TIMEOUT)
        with pytest.raises(TokenEndpointUnreachable, match=r"no whole answer within 0\.25 seconds"):
            send(credentials)


def test_a_token_is_had_where_no_thread_can_be_started(monkeypatch):
    """At the limit of the machine, or from `atexit`: what each wait may take still limits it."""

    def refuse(timer):
        raise RuntimeError("can't start new thread")

    answer = {"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}
    monkeypatch.setattr(threading.Timer, "start", refuse)
    source = auth.TokenSource(
        "https://as.example",
        "id",
        "s3cret",
        token_endpoint="https://as.example/token",
        transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer)),
    )
    assert source.token().value == "t1"


def test_a_connection_of_the_callers_transport_is_no_exception():
    """One that was made before is not known, so the clock is looked at as well."""
    clock = Clock(1000)

    class Dripping(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                clock.advance(1.0)
                yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Dripping()))
    credentials = auth.ClientCredentials(
        "https://as.example", "id", "s3cret", transport=transport, clock=clock
    )
    with (
        httpx.Client(auth=credentials, transport=transport) as client,
        pytest.raises(TokenEndpointUnreachable, match="no whole answer within 10 seconds"),
    ):
        client.get("https://api.example")


async def test_a_dripping_key_set_ends_with_the_timeout():
    """The key set counts as not to be had."""
    with dripping_server(HEAD) as url:
        client = JwksClient(HttpJwks(url), timeout=TIMEOUT)
        with pytest.raises(NoKeySet):
            await client.key("kid", "RS256")


def test_a_dripping_administration_ends_with_the_timeout(monkeypatch):
    """First the token request, then the call itself, on a connection that was good before."""
    monkeypatch.setattr(remote_administration, "TIMEOUT", TIMEOUT)
    with dripping_server(HEAD) as url:
        remote = remote_administration.RemoteAdministration(
            url, client_id="id", client_secret="s3cret"
        )
        with pytest.raises(StoreUnavailable, match="no whole answer"):
            remote.list_resources()
        remote.close()
    with served_issuer() as issuer:
        issuer.dripping_path = "/admin/api/v1/resources"
        remote = remote_administration.RemoteAdministration(
            issuer.url, client_id="id", client_secret="s3cret"
        )
        with pytest.raises(StoreUnavailable, match="no whole answer"):
            remote.list_resources()
        remote.close()


def test_a_dripping_story_ends_with_the_timeout(monkeypatch):
    """It ends with the reason."""
    monkeypatch.setattr(scenario, "TIMEOUT", TIMEOUT)
    lines = []
    with dripping_server(HEAD) as url:
        story = {"issuer": url, "api": url, "auth": ClientSecretBasic("id", "s3cret")}
        assert scenario.run(**story, out=lines.append) == 1
    assert "no whole answer within 0.25 seconds" in lines[-1]


def test_token_get_ends_with_the_timeout(tmp_path, monkeypatch, capsys):
    """The command says so in one line."""
    run_command = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setattr(token, "TIMEOUT", TIMEOUT)
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "id")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "s3cret")
    with dripping_server(HEAD) as url:
        monkeypatch.setenv("WATCHWORD_ISSUER", url)
        assert "no whole answer within 0.25 seconds" in refused(run_command("token", "get"))
