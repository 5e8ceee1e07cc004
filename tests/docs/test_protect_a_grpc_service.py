"""The interceptors of the page on gRPC protect real servers, with threads and on asyncio."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import grpc
import grpc.aio
import pytest

from consumer.dpop import DpopKey
from watchword.testing import Issuer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "protect-a-grpc-service.md"
TABLE, THREADS, THREADED, AIO, ON_ASYNCIO = map(
    dedent, re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
)
METHODS = {
    "/shop.Orders/Get": "unary_unary",
    "/shop.Orders/Watch": "unary_stream",
    "/shop.Orders/Add": "stream_unary",
    "/shop.Orders/Unlisted": "unary_unary",
    "/grpc.health.v1.Health/Check": "unary_unary",
}
KEY = DpopKey()
URL, AUDIENCE = "https://auth.example.com", "https://orders.example.com"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The issuer of the page."""
    with Issuer(URL, audience=AUDIENCE).serving() as issuer:
        yield issuer


class Threaded:
    """A servicer for threads: every method answers with the name of the caller."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def _caller(self) -> bytes:
        token = self._names["TOKEN"].get()
        return b"-" if token is None else token.client_id.encode()

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        """Answer once."""
        return self._caller()

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Answer twice."""
        yield self._caller()
        yield self._caller()

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        """Answer once all came."""
        return self._caller() * len([*requests])


class OnAsyncio(Threaded):
    """The same on asyncio."""

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        """Answer once."""
        return self._caller()

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Answer twice."""
        yield self._caller()
        yield self._caller()

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Answer once all came."""
        return self._caller() * len([each async for each in requests])


class Service(grpc.GenericRpcHandler):
    """The methods of a servicer, by their names on the wire."""

    def __init__(self, servicer: Threaded) -> None:
        self._servicer = servicer

    def service(self, details: Any) -> Any:
        """Find a method."""
        kind = METHODS[details.method]
        return getattr(grpc, f"{kind}_rpc_method_handler")(getattr(self._servicer, kind))


@pytest.fixture
def threaded(issuer: Issuer) -> Iterator[str]:
    """A server with the interceptor of the page for threads; its address."""
    names: dict[str, Any] = {"ThreadPoolExecutor": ThreadPoolExecutor}
    exec(TABLE + THREADS + THREADED, names)
    server = names["server"]
    server.add_generic_rpc_handlers([Service(Threaded(names))])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(10)
    names["protection"].close()


@pytest.fixture
async def on_asyncio(issuer: Issuer) -> AsyncIterator[str]:
    """A server with the interceptor of the page for asyncio; its address."""
    names: dict[str, Any] = {}
    exec(TABLE + AIO + ON_ASYNCIO, names)
    server = names["server"]
    server.add_generic_rpc_handlers([Service(OnAsyncio(names))])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)
    await names["protection"].aclose()


def calls(issuer: Issuer) -> list[tuple[str, list[tuple[str, str]], Any]]:
    """List method, metadata, and what comes of it: the answers, or the code of a refusal."""
    reads, writes = (
        [("authorization", f"Bearer {issuer.token(scope=scope, client_id='billing')}")]
        for scope in ("orders:read", "orders:write")
    )
    bound = issuer.token(scope="orders:read", claims={"cnf": {"jkt": KEY.thumbprint}})
    proof = KEY.prove("POST", f"{AUDIENCE}/shop.Orders/Get", now=time.time(), token=bound)
    proven = [("authorization", f"DPoP {bound}"), ("dpop", proof)]
    code = grpc.StatusCode
    return [
        ("/shop.Orders/Get", proven, [b"test-client"]),
        ("/shop.Orders/Get", proven, code.UNAUTHENTICATED),
        ("/shop.Orders/Watch", proven, code.UNAUTHENTICATED),
        ("/shop.Orders/Get", reads, [b"billing"]),
        ("/shop.Orders/Watch", reads, [b"billing", b"billing"]),
        ("/shop.Orders/Add", writes, [b"billingbilling"]),
        ("/grpc.health.v1.Health/Check", reads, [b"-"]),
        ("/grpc.health.v1.Health/Check", [], [b"-"]),
        ("/shop.Orders/Get", writes, code.PERMISSION_DENIED),
        ("/shop.Orders/Watch", writes, code.PERMISSION_DENIED),
        ("/shop.Orders/Add", reads, code.PERMISSION_DENIED),
        ("/shop.Orders/Get", [], code.UNAUTHENTICATED),
        ("/shop.Orders/Get", [("authorization", "Bearer a.b.c")], code.UNAUTHENTICATED),
        ("/shop.Orders/Get", [*reads, *reads], code.INVALID_ARGUMENT),
        ("/shop.Orders/Unlisted", reads, code.UNKNOWN),
    ]


def test_a_server_with_threads(issuer: Issuer, threaded: str) -> None:
    """Every kind of method; each refusal with its code, and the challenge in the trailers."""
    with grpc.insecure_channel(threaded) as channel:
        for method, metadata, expected in calls(issuer):
            kind = METHODS[method]
            sent = iter([b"", b""]) if kind.startswith("stream") else b""
            call = getattr(channel, kind)(method)
            try:
                answer = call(sent, metadata=metadata, timeout=10)
                came = [*answer] if kind.endswith("stream") else [answer]
            except grpc.RpcError as error:
                came = error.code()
                _check_challenge(came, error.trailing_metadata())
            assert came == expected, method


async def test_a_server_on_asyncio(issuer: Issuer, on_asyncio: str) -> None:
    """The same answers."""
    async with grpc.aio.insecure_channel(on_asyncio) as channel:
        for method, metadata, expected in calls(issuer):
            kind = METHODS[method]
            sent = iter([b"", b""]) if kind.startswith("stream") else b""
            call = getattr(channel, kind)(method)(sent, metadata=metadata, timeout=10)
            try:
                came: Any = (
                    [each async for each in call] if kind.endswith("stream") else [await call]
                )
            except grpc.RpcError as error:
                came = error.code()
                _check_challenge(came, await call.trailing_metadata())
            assert came == expected, method


def _check_challenge(code: grpc.StatusCode, trailers: Any) -> None:
    challenge = dict(trailers).get("www-authenticate", "")
    assert challenge.startswith(("Bearer realm=", "DPoP realm=")) == (
        code is not grpc.StatusCode.UNKNOWN
    )
    assert ('scope="orders' in challenge) == (code is grpc.StatusCode.PERMISSION_DENIED)
