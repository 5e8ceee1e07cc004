"""Tokens that are bound to a key, in every adapter, over real sockets, before a strict server."""

import asyncio
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import anyio
import grpc
import httpx
import httpx2
import pytest
import requests

from consumer import ClientCredentials, TokenSource, httpx2_auth
from consumer.aiohttp_auth import TokenMiddleware
from consumer.client_assertion import PrivateKeyJwt
from consumer.dpop import DpopKey
from consumer.grpc_auth import TokenPlugin
from consumer.requests_auth import TokenAuth
from keys.dpop import InvalidProof, check_proof
from watchword.testing.keys import private_key

KEY = DpopKey(private_key("ES256"))
CLIENT = PrivateKeyJwt("billing", private_key("ES256", 1))
METHOD = "/orders.Orders/List"


class StrictServer(ThreadingHTTPServer):
    """An issuer and an API that ask for a nonce, each for its own, and take no proof twice."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.nonces = {"/token": "i1", "/api": "a1"}
        self.answers = []
        self.bodies = []
        self.revoked = set()
        self.bound_to = {}
        self._seen = set()
        self._lock = threading.Lock()

    def fault_of(self, path, method, headers, token=None):
        """Return what is wrong with the proof of a request, in the words of RFC 9449."""
        proofs = [value.encode() for value in headers.get_all("DPoP", [])]
        try:
            proof = check_proof(
                proofs, method=method, url=f"{self.url}{path}", now=time.time(), token=token
            )
        except InvalidProof as error:
            return f"invalid_dpop_proof: {error.fault}"
        with self._lock:
            is_new, _ = proof.jti not in self._seen, self._seen.add(proof.jti)
        if not is_new:
            return "invalid_dpop_proof: replayed"
        if proof.jkt != (KEY.thumbprint if token is None else self.bound_to.get(token)):
            return "invalid_token"
        if proof.nonce != self.nonces[path]:
            return "use_dpop_nonce"
        return "invalid_token" if token in self.revoked else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self, body=b""):
        self.body = body
        path = self.path.partition("?")[0]
        if path == "/api":
            return self._api(path)
        issuer = self.server.url
        return self._answer(200, {"issuer": issuer, "token_endpoint": f"{issuer}/token"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return self._token() if self.path == "/token" else self.do_GET(body)

    def _token(self):
        fault = self.server.fault_of("/token", "POST", self.headers)
        if fault is not None:
            return self._answer(400, {"error": fault.partition(":")[0]})
        token = f"t{len(self.server.bound_to) + 1}"
        self.server.bound_to[token.encode()] = KEY.thumbprint
        return self._answer(200, {"access_token": token, "token_type": "DPoP"})

    def _api(self, path):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        fault = self.server.fault_of(path, self.command, self.headers, token.encode())
        if scheme != "DPoP" or fault is not None:
            error = (fault or "invalid_token").partition(":")[0]
            challenge = {"WWW-Authenticate": f'Bearer, DPoP error="{error}", algs="ES256"'}
            return self._answer(401, {"fault": fault}, **challenge)
        self.server.bodies.append(self.body)
        return self._answer(200, {"seen": token})

    def _answer(self, status, document, **headers):
        path = self.path.partition("?")[0]
        if path in self.server.nonces:
            self.server.answers.append((path, status))
            headers["DPoP-Nonce"] = self.server.nonces[path]
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server():
    """A strict server, until the test ends."""
    server = StrictServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closing():
    """Have clients closed when the test ends."""
    with ExitStack() as stack:
        yield stack.enter_context


def by_httpx(url, closing, library=httpx, kind=ClientCredentials):
    """Send with a sync client."""
    client = closing(library.Client(auth=kind(url, CLIENT, dpop=KEY)))
    return lambda method, **body: client.request(method, f"{url}/api?q=1", **body)


def by_httpx2(url, closing):
    """Send with a sync client of the successor."""
    return by_httpx(url, closing, httpx2, httpx2_auth.ClientCredentials)


def by_async_httpx(url, _):
    """Send with an async client."""
    auth = ClientCredentials(url, CLIENT, dpop=KEY)

    async def send(method, body):
        async with httpx.AsyncClient(auth=auth) as client:
            return await client.request(method, f"{url}/api?q=1", **body)

    return lambda method, **body: anyio.run(send, method, body)


def by_requests(url, closing):
    """Send with a session of requests."""
    session = closing(requests.Session())
    session.auth = TokenAuth(TokenSource(url, CLIENT, dpop=KEY))
    return lambda method, content=None: session.request(method, f"{url}/api?q=1", data=content)


def by_aiohttp(url, _):
    """Send with a session of aiohttp."""
    middleware = TokenMiddleware(TokenSource(url, CLIENT, dpop=KEY), url)

    async def send(method, content):
        async with (
            aiohttp.ClientSession(middlewares=[middleware]) as session,
            session.request(method, f"{url}/api?q=1", data=content) as answer,
        ):
            return httpx.Response(answer.status, json=await answer.json())

    return lambda method, content=None: asyncio.run(send(method, content))


def by_hand(url, _):
    """Send by other means: with the headers that the source makes, and the nonces told to it."""
    source, nonces = TokenSource(url, CLIENT, dpop=KEY), [None]

    def send(method, content=None):
        for _ in range(3):
            headers = source.headers(method, f"{url}/api?q=1", nonce=nonces[-1])
            answer = httpx.request(method, f"{url}/api?q=1", headers=headers, content=content)
            if answer.headers["DPoP-Nonce"] == nonces[-1]:
                break
            nonces.append(answer.headers["DPoP-Nonce"])
        return answer

    return send


ADAPTERS = [by_httpx, by_httpx2, by_async_httpx, by_requests, by_aiohttp]


@pytest.mark.rfc("9449-7.1-1-C")
@pytest.mark.rfc("9449-8-1-C")
@pytest.mark.parametrize("adapter", [*ADAPTERS, by_hand])
def test_each_request_has_its_proof_and_each_server_its_nonce(adapter, server, closing):
    """A nonce costs one request more when it is new, at the issuer and at the API."""
    send = adapter(server.url, closing)
    answer = send("POST", content=b"body")
    assert (answer.status_code, answer.json()) == (200, {"seen": "t1"})
    assert server.answers == [("/token", 400), ("/token", 200), ("/api", 401), ("/api", 200)]
    assert send("GET").status_code == 200
    server.nonces["/api"] = "a2"
    assert send("POST", content=b"more").status_code == 200
    assert server.answers[4:] == [("/api", 200), ("/api", 401), ("/api", 200)]
    assert server.bodies == [b"body", b"", b"more"]


@pytest.mark.rfc("6750-3.1-3")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_rejected_token_is_replaced_by_another_bound_one(adapter, server, closing):
    """It is renewed once, with the nonce that the issuer gave last."""
    send = adapter(server.url, closing)
    assert send("GET").status_code == 200
    server.revoked = {b"t1"}
    assert send("POST", content=b"body").json() == {"seen": "t2"}
    assert server.answers[4:] == [("/api", 401), ("/token", 200), ("/api", 200)]


def test_a_body_that_is_gone_is_not_sent_again(server, closing):
    """The API's answer stands, and its nonce is in the next proof."""
    send = by_requests(server.url, closing)
    assert send("POST", content=io.BytesIO(b"once")).status_code == 401
    assert send("GET").status_code == 200
    assert server.answers[2:] == [("/api", 401), ("/api", 200)]


@pytest.fixture
def called(server):
    """The address of a gRPC server, strict in the same way, and what it answered."""
    answers = []

    def answer(request, context):
        metadata = dict(context.invocation_metadata())
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        try:
            url = f"https://{address}{METHOD}"
            proof = check_proof(
                [metadata.get("dpop", "").encode()],
                method="POST",
                url=url,
                now=time.time(),
                token=token.encode(),
            )
        except InvalidProof as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error.fault))
        answers.append((scheme, proof.nonce))
        if proof.nonce != "g1":
            challenge = 'DPoP error="use_dpop_nonce"'
            context.set_trailing_metadata((("www-authenticate", challenge), ("dpop-nonce", "g1")))
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "use_dpop_nonce")
        return token.encode()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    rpc_server = grpc.server(ThreadPoolExecutor(4))
    service = grpc.method_handlers_generic_handler("orders.Orders", {"List": handler})
    rpc_server.add_generic_rpc_handlers((service,))
    port = rpc_server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    address = f"127.0.0.1:{port}"
    rpc_server.start()
    yield address, answers
    rpc_server.stop(None).wait()


def test_a_call_has_its_proof_and_the_next_one_the_nonce(called, server):
    """gRPC repeats no call; the interceptor learns the nonce from the trailing metadata."""
    address, answers = called
    plugin = TokenPlugin(TokenSource(server.url, CLIENT, dpop=KEY))
    credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(), grpc.metadata_call_credentials(plugin)
    )
    with grpc.secure_channel(address, credentials) as channel:
        method = grpc.intercept_channel(channel, plugin).unary_unary(METHOD)
        refused = method.future(b"")
        assert refused.exception().code() is grpc.StatusCode.UNAUTHENTICATED
        assert refused.exception().details() == "use_dpop_nonce"
        assert method(b"") == b"t1"
    assert answers == [("DPoP", None), ("DPoP", "g1")]
