"""Renewal in the background, over real sockets: requests go on with the old token meanwhile."""

import asyncio
import threading
import time

import anyio
import httpx
import httpx2
import opentelemetry.trace
import pytest

from consumer import TokenEndpointUnreachable, auth, httpx2_auth
from tests.support.local_issuer import served_issuer
from tests.support.telemetry import Telemetry
from watchword.testing.clock import Clock

LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}
NEAR_THE_END = 3560
PATIENCE = 10.0


@pytest.fixture
def issuer():
    """A real issuer on a local socket, with an API."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock():
    """A clock turned by hand, so that tokens age without waiting."""
    return Clock(1000)


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each HTTP library in turn, with the module that serves it."""
    return LIBRARIES[request.param]


def call(library, credentials, issuer, how):
    """Call the API on a thread or an event loop of its own; return the token that it saw."""
    url = f"{issuer.url}/api"
    if how == "sync":
        with library[0].Client(auth=credentials) as client:
            return client.get(url).json()["seen"]

    async def main():
        async with library[0].AsyncClient(auth=credentials) as client:
            return (await client.get(url)).json()["seen"]

    return anyio.run(main, backend=how)


def eventually(check):
    """Wait until a check is true."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_requests_do_not_wait_for_a_renewal(library, issuer, clock, how):
    """Until the issuer answers, calls have the old token."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret", clock=clock)
    assert call(library, credentials, issuer, how) == "t1"
    clock.advance(NEAR_THE_END)
    issuer.token_waiting_time = PATIENCE
    assert {call(library, credentials, issuer, how) for _ in range(3)} == {"t1"}
    issuer.no_more_waiting.set()
    eventually(lambda: call(library, credentials, issuer, how) == "t2")
    assert issuer.requests["/token"] == 2


def test_a_renewal_outlives_the_event_loop_that_started_it(library, issuer, clock):
    """The loop is closed while the issuer is asked; the next one has the new token."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret", clock=clock)
    call(library, credentials, issuer, "asyncio")
    clock.advance(NEAR_THE_END)
    issuer.token_waiting_time = 0.3
    assert call(library, credentials, issuer, "asyncio") == "t1"
    eventually(lambda: call(library, credentials, issuer, "asyncio") == "t2")
    assert issuer.requests["/token"] == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_transport_for_async_clients_renews_on_its_event_loop(
    library, issuer, clock, backend, monkeypatch
):
    """It cannot be used on a thread, and its connections belong to the loop.

    The renewal has a trace of its own, which the span of the request that began it is no part of.
    """
    http, url = library[0], f"{issuer.url}/api"

    async def main():
        transport = http.AsyncHTTPTransport()
        credentials = library[1].ClientCredentials(
            issuer.url, "id", "s3cret", clock=clock, transport=transport
        )
        async with transport, http.AsyncClient(auth=credentials) as client:
            seen = [(await client.get(url)).json()["seen"]]
            clock.advance(NEAR_THE_END)
            tracer = opentelemetry.trace.get_tracer("test")
            with anyio.fail_after(PATIENCE), tracer.start_as_current_span("request"):
                while seen[-1] != "t2":
                    seen.append((await client.get(url)).json()["seen"])
            return seen

    telemetry = Telemetry(monkeypatch)
    seen = anyio.run(main, backend=backend)
    assert seen[:2] == ["t1", "t1"]
    assert issuer.requests["/token"] == 2
    *_, renewal, request = telemetry.spans
    assert (renewal.name, renewal.parent, request.name) == ("POST /token", None, "request")


def test_a_cancelled_request_takes_no_renewal_with_it(library, issuer, clock):
    """The task that started it is cancelled while its API hangs; the others get their token."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret", clock=clock)
    call(library, credentials, issuer, "asyncio")
    clock.advance(NEAR_THE_END)
    issuer.token_waiting_time = PATIENCE

    async def hang(request):
        await asyncio.Event().wait()

    async def main():
        transport = library[0].MockTransport(hang)
        async with library[0].AsyncClient(auth=credentials, transport=transport) as client:
            task = asyncio.create_task(client.get("https://api.example"))
            async with asyncio.timeout(PATIENCE):
                while issuer.requests["/token"] < 2:
                    await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    issuer.no_more_waiting.set()
    eventually(lambda: call(library, credentials, issuer, "asyncio") == "t2")
    assert issuer.requests["/token"] == 2


def test_without_a_thread_the_old_token_serves(library, issuer, clock, monkeypatch):
    """As at the end of the interpreter, or over the limit of the machine."""
    credentials = library[1].ClientCredentials(issuer.url, "id", "s3cret", clock=clock)
    call(library, credentials, issuer, "sync")
    clock.advance(NEAR_THE_END)
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "watchword-token-renewal":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert call(library, credentials, issuer, "sync") == "t1"
    assert issuer.requests["/token"] == 1


class FaultyMethod:
    """A way to authenticate that can be made to fail."""

    def __init__(self):
        self.faults = []

    def apply(self, form, headers, *, audience, now):
        if self.faults:
            raise self.faults.pop()

    def redact(self, text):
        return text


def test_a_fault_of_the_callers_own_method_is_logged(library, issuer, clock, caplog):
    """It reaches no request while the old token lives."""
    method = FaultyMethod()
    credentials = library[1].ClientCredentials(issuer.url, method, clock=clock)
    call(library, credentials, issuer, "sync")
    clock.advance(NEAR_THE_END)
    method.faults.append(FileNotFoundError("no such key file"))
    assert call(library, credentials, issuer, "sync") == "t1"
    eventually(lambda: "the token could not be renewed" in caplog.text)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_fault_on_an_event_loop_does_not_end_the_program(library, clock, caplog, backend):
    """A system task of trio that raises would."""
    http, method = library[0], FaultyMethod()

    class Transport(http.AsyncBaseTransport):
        async def handle_async_request(self, request):
            token = {"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}
            return http.Response(200, json=token)

    source = library[1].TokenSource(
        "https://as.example",
        method,
        token_endpoint="https://as.example/token",
        transport=Transport(),
        clock=clock,
    )

    async def main():
        await source.atoken()
        clock.advance(NEAR_THE_END)
        method.faults.append(FileNotFoundError("no such key file"))
        with anyio.fail_after(PATIENCE):
            while "the token could not be renewed" not in caplog.text:
                assert (await source.atoken()).value == "t1"
                await anyio.sleep(0)

    anyio.run(main, backend=backend)


def test_a_renewal_that_is_cancelled_before_it_began_keeps_nobody_waiting(library, clock):
    """A program that ends all tasks at once, and asks again in another event loop."""
    http, asked = library[0], []

    class Transport(http.AsyncBaseTransport):
        async def handle_async_request(self, request):
            asked.append(request)
            token = {"token_type": "Bearer", "expires_in": 3600}
            return http.Response(200, json=token | {"access_token": f"t{len(asked)}"})

    source = library[1].TokenSource(
        "https://as.example",
        "id",
        "s3cret",
        token_endpoint="https://as.example/token",
        transport=Transport(),
        clock=clock,
    )

    async def main():
        token = await source.atoken()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return token.value

    asyncio.run(main())
    clock.advance(NEAR_THE_END)
    assert (asyncio.run(main()), len(asked)) == ("t1", 1)
    clock.advance(38)  # the token has expired, and the renewal is not lost yet
    assert asyncio.run(asyncio.wait_for(source.atoken(), PATIENCE)).value == "t2"


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_a_failure_of_tls_is_told(library, issuer, how):
    """The issuer speaks plain http where TLS is expected; httpx has no words for it on trio."""
    source = library[1].TokenSource(issuer.url.replace("http:", "https:"), "id", "s3cret")
    told = r"https://127\.0\.0\.1.* cannot be reached: .*(SSL|ConnectError)"
    with pytest.raises(TokenEndpointUnreachable, match=told):
        source.token() if how == "sync" else anyio.run(source.atoken, backend=how)
