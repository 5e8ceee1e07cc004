"""`TokenPlugin`: a token in the metadata of calls to a real gRPC server."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import pytest

from consumer import TokenSource, grpc_auth
from consumer.grpc_auth import TokenPlugin
from tests.support.local_issuer import served_issuer
from watchword.testing.clock import Clock

CALLS = 20
METHOD = "/orders.Orders/List"
WHY = {
    b"r": "the access token is not valid here",
    b"a": "the access token is for another audience",
}


@pytest.fixture
def issuer():
    """A real issuer on a local socket."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def server():
    """The address of a server that answers with the `authorization` that it was shown."""

    def answer(request, context):
        seen = dict(context.invocation_metadata()).get("authorization", "")
        if seen.removeprefix("Bearer ").encode() in request.split():
            challenge = f'Bearer error="invalid_token", error_description="{WHY[request[:1]]}"'
            context.set_trailing_metadata((("www-authenticate", challenge),))
            context.abort(grpc.StatusCode.UNAUTHENTICATED, WHY[request[:1]])
        return seen.encode()

    handler = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(4))
    service = grpc.method_handlers_generic_handler("orders.Orders", {"List": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def credentials(plugin):
    """Make what a channel sends the tokens of a plugin with."""
    calls = grpc.metadata_call_credentials(plugin)
    return grpc.composite_channel_credentials(grpc.local_channel_credentials(), calls)


def call(source, address, count):
    """Make calls from as many threads."""
    with grpc.secure_channel(address, credentials(TokenPlugin(source))) as channel:
        method = channel.unary_unary(METHOD)
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(method, [b""] * count))


def call_in_tasks(source, address, count):
    """Make calls from as many tasks."""

    async def main():
        async with grpc.aio.secure_channel(address, credentials(TokenPlugin(source))) as channel:
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


def ask(source, address, requests):
    """Make calls one after the other; give what each was answered, None for a refusal."""
    plugin, answers = TokenPlugin(source), []
    with grpc.secure_channel(address, credentials(plugin)) as channel:
        method = grpc.intercept_channel(channel, plugin).unary_unary(METHOD)
        for request in requests:
            call = method.future(request)
            answers.append(None if call.exception() else call.result())
    return answers


def ask_in_tasks(source, address, requests):
    """Do the same in an event loop."""

    async def main():
        plugin, answers = TokenPlugin(source), []
        async with grpc.aio.secure_channel(
            address, credentials(plugin), interceptors=plugin.aio_interceptors()
        ) as channel:
            for request in requests:
                call = channel.unary_unary(METHOD)(request)
                is_good = await call.code() is grpc.StatusCode.OK
                answers.append(await call if is_good else None)
                while grpc_auth._tasks:
                    await asyncio.sleep(0)
        return answers

    return asyncio.run(main())


@pytest.mark.parametrize("how", [ask, ask_in_tasks])
def test_a_refused_token_is_renewed_for_the_next_call(how, issuer, server):
    """And the next refusal, of a fresh token, costs no token request."""
    source = TokenSource(issuer.url, "id", "s3cret", clock=Clock(1000))
    answers = how(source, server, [b"", b"r t1", b"r t1", b"r t2", b""])
    assert answers == [b"Bearer t1", None, b"Bearer t2", None, b"Bearer t2"]
    assert issuer.requests["/token"] == 2


@pytest.mark.parametrize("how", [ask, ask_in_tasks])
def test_a_token_is_kept_where_another_would_not_help(how, issuer, server):
    """The challenge in the trailing metadata is read as that of a 401."""
    source = TokenSource(issuer.url, "id", "s3cret", clock=Clock(1000))
    assert how(source, server, [b"a t1", b""]) == [None, b"Bearer t1"]
    assert issuer.requests["/token"] == 1
