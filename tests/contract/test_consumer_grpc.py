"""`TokenPlugin`: a token in the metadata of calls to a real gRPC server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import pytest

from consumer import TokenSource
from consumer.grpc_auth import TokenPlugin
from tests.support.local_issuer import served_issuer
from watchword.testing.clock import Clock

CALLS = 20
METHOD = "/orders.Orders/List"


@pytest.fixture
def issuer():
    """A real issuer on a local socket."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def server():
    """The address of a server that answers with the `authorization` that it was shown."""

    def answer(request, context):
        return dict(context.invocation_metadata()).get("authorization", "").encode()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(4))
    service = grpc.method_handlers_generic_handler("orders.Orders", {"List": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def credentials(source):
    """Make what a channel sends the tokens of a source with."""
    plugin = grpc.metadata_call_credentials(TokenPlugin(source))
    return grpc.composite_channel_credentials(grpc.local_channel_credentials(), plugin)


def call(source, address, count):
    """Make calls from as many threads."""
    with grpc.secure_channel(address, credentials(source)) as channel:
        method = channel.unary_unary(METHOD)
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(method, [b""] * count))


def call_in_tasks(source, address, count):
    """Make calls from as many tasks."""

    async def main():
        async with grpc.aio.secure_channel(address, credentials(source)) as channel:
            method = channel.unary_unary(METHOD)
            return list(await asyncio.gather(*(method(b"") for _ in range(count))))

    return asyncio.run(main())


@pytest.mark.parametrize("how", [call, call_in_tasks])
def test_calls_carry_one_token(how, issuer, server):
    """Cold and again when it has expired: one token request each time."""
    clock = Clock(1000)
    source = TokenSource(issuer.url, "id", "s3cret", clock=clock)
    for number in (1, 2):
        assert how(source, server, CALLS) == [f"Bearer t{number}".encode()] * CALLS
        assert issuer.requests["/token"] == number
        clock.advance(issuer.lifetime)


@pytest.mark.parametrize("how", [call, call_in_tasks])
def test_a_call_without_a_token_fails(how, issuer, server):
    """The reason is in the details of the call's error, and the server sees nothing."""
    source = TokenSource(issuer.url, "id", "s3cret", token_endpoint=f"{issuer.url}/refusing")
    with pytest.raises(grpc.RpcError) as failed:
        how(source, server, 1)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "the token request was refused with 401 invalid_client" in failed.value.details()
