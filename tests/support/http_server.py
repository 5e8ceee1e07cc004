"""The provider's HTTP server in a thread, on a free loopback port, with a test's application."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from watchword.process.connections import Limits
from watchword.process.server import GracefulServer

PATIENCE = 10.0


@dataclass(slots=True)
class Served:
    """A server that runs, and what its application and its log saw."""

    address: tuple[str, int]
    server: GracefulServer
    scopes: list[dict] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    """The paths of requests that came whole."""
    events: list[dict] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    most_tasks: int = 0
    thread: threading.Thread = field(default_factory=threading.Thread)

    def connect(self) -> socket.socket:
        """Open a connection."""
        peer = socket.create_connection(self.address, timeout=PATIENCE)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def ask(self, request: bytes) -> bytes:
        """Send bytes on a connection of their own; return all that comes until it is closed."""
        with self.connect() as peer:
            peer.sendall(request)
            return read_all(peer)

    def reasons(self) -> dict[str, int]:
        """Return how often each refusal was reported."""
        counted: dict[str, int] = {}
        for event in self.events:
            if event["event"] == "request.refused":
                counted[event["reason"]] = counted.get(event["reason"], 0) + event["count"]
        return counted


def read_all(peer: socket.socket) -> bytes:
    """Read until the server closes."""
    data = b""
    while chunk := peer.recv(65_536):
        data += chunk
    return data


def read_answer(peer: socket.socket) -> tuple[int, dict]:
    """Read one answer with a JSON body; return its status and the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = peer.recv(1)
        assert chunk, data
        data += chunk
    head = data.lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    body = b""
    while len(body) < length:
        body += peer.recv(length - len(body))
    return int(data[9:12]), json.loads(body) if body else {}


@contextmanager
def served(limits: Limits | None = None, **options: Any) -> Iterator[Served]:
    """Serve an application that echoes, or waits on `/wait` until `released` is set.

    Args:
        limits: of connections.
        options: further ones of `GracefulServer`.
    """
    limits = limits or Limits(connections=64)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    events: list[dict] = []

    async def app(scope, receive, send):
        await _serve(result, scope, receive, send)

    server = GracefulServer(
        app,
        on_leaving=lambda: None,
        drain_seconds=0,
        events=lambda event, **fields: events.append({"event": event, **fields}),
        limits=limits,
        **options,
    )
    result = Served(listener.getsockname(), server, events=events)
    result.thread = threading.Thread(target=server.run, args=([listener],))
    result.thread.start()
    try:
        end = time.monotonic() + PATIENCE
        while not server.started and time.monotonic() < end:
            time.sleep(0.005)
        assert server.started
        yield result
    finally:
        result.released.set()
        server.should_exit = True
        result.thread.join(PATIENCE)
        assert not result.thread.is_alive()


async def _serve(seen: Served, scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    seen.scopes.append(scope)
    seen.most_tasks = max(seen.most_tasks, len(seen.server.server_state.tasks))
    if scope["path"] == "/wait":
        while not seen.released.is_set():
            await asyncio.sleep(0.005)
    body, more = b"", scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    seen.bodies.append(body)
    seen.taken.append(scope["path"])
    answer = {
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    if scope["path"] == "/large":
        answer["filling"] = "x" * 8_000_000
    text = json.dumps(answer).encode()
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})
