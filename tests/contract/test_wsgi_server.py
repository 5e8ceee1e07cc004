"""The WSGI middleware under a real server: header lines, HEAD, and answers that are cut off."""

import io
import socket
import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from resource_api import require
from tests.support.protected_wsgi import ProtectedWsgi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = FORGE.token(scope="read").decode()


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """A thread for each connection, all of which end with the server."""

    daemon_threads = False


class QuietHandler(WSGIRequestHandler):
    """Writes no log, neither of requests nor of faults."""

    def log_message(self, *message: Any) -> None:
        """Drop it."""

    def get_stderr(self) -> Any:
        """Give a place for tracebacks."""
        return self.server.errors  # type: ignore[attr-defined]


def greet(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Stream, and demand a scope in the middle where the path says so."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    yield b"ab"
    if environ["PATH_INFO"] == "/late":
        require("write").demand()
    yield b"cd"


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """Where the application is served."""
    api = ProtectedWsgi(greet)
    server = make_server("127.0.0.1", 0, api.middleware, ThreadingServer, QuietHandler)
    server.errors = io.StringIO()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield ("127.0.0.1", server.server_port)
    server.shutdown()
    thread.join(10)
    server.server_close()
    api.close()


def ask(address: tuple[str, int], *lines: str, path: str = "/", method: str = "GET") -> bytes:
    """Send a request and read until the server closes the connection."""
    head = "\r\n".join([f"{method} {path} HTTP/1.0", *lines, "", ""])
    with socket.create_connection(address, timeout=10) as peer:
        peer.sendall(head.encode())
        return b"".join(iter(lambda: peer.recv(65_536), b""))


def test_one_line_is_taken_and_two_are_not(address: tuple[str, int]) -> None:
    """The server joins them; the same token twice is no exception."""
    line = f"Authorization: Bearer {READER}"
    assert ask(address, line).endswith(b"\r\n\r\nabcd")
    assert ask(address, line, line).startswith(b"HTTP/1.0 400 ")
    assert ask(address, line, "Authorization: Basic YTpi").startswith(b"HTTP/1.0 400 ")
    assert ask(address).startswith(b"HTTP/1.0 401 ")


def test_a_refused_head_request_has_no_body(address: tuple[str, int]) -> None:
    """Only the length that it would have."""
    answer = ask(address, method="HEAD")
    assert answer.endswith(b"\r\n\r\n")
    assert b"content-length: " in answer


def test_an_answer_that_is_refused_late_is_cut_off(address: tuple[str, int]) -> None:
    """The caller sees by the length that it is not complete."""
    line = f"Authorization: Bearer {READER}"
    assert ask(address, line, path="/late").endswith(b"\r\n\r\nab")
