"""A document is asked for again where the connection breaks: over real sockets."""

import asyncio
import time

import pytest

from keys.remote.http_get import HttpGet

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BREAKS = {
    "before the answer": b"",
    "in its head": ANSWER[:20],
    "in its body": ANSWER[:-1],
}


async def fetch(broken: list[bytes]) -> tuple[int, object]:
    """Get from a server that breaks off so many connections; give how many there were."""
    connections = 0

    async def serve(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(broken.pop() if broken else ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    get = HttpGet(maximum=100, client=None, clock=time.monotonic)
    async with server:
        try:
            answer = await get(f"http://{host}:{port}/jwks", {})
        except Exception as error:
            return connections, error
        return connections, answer.body


@pytest.mark.parametrize("start", BREAKS)
async def test_a_document_is_asked_for_once_more_where_the_connection_breaks(start):
    """A worker of the issuer that is killed must not have APIs wait for their next turn."""
    assert await fetch([BREAKS[start]]) == (2, b"{}")


async def test_a_server_that_breaks_off_each_time_is_asked_twice():
    """So that one that is overloaded does not get many times the requests."""
    connections, error = await fetch([b""] * 9)

    assert connections == 2
    assert isinstance(error, Exception)
