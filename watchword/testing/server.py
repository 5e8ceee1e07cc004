"""Reach an issuer for tests over a socket: for what runs in another process or another language."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from watchword.testing.clock import RunningClock
from watchword.testing.control import PREFIX, control
from watchword.testing.endpoints import Answer, Asked
from watchword.testing.issuer import Issuer

_MAXIMUM_BODY = 2**17
_LONGEST_LENGTH = 9  # digits
# Pages of any origin may ask for tokens (Fetch standard §3.2), and none may script the issuer.
_ANY_ORIGIN = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Retry-After, WWW-Authenticate",
}
_PREFLIGHT = {
    **_ANY_ORIGIN,
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "Authorization, Content-Type, DPoP, X-Requested-With",
}
MAXIMUM_CONNECTIONS = 256
"""Connections at once, each with a thread of its own; one beyond them is closed."""


class IssuerServer(ThreadingHTTPServer):
    """Serves one issuer over plain HTTP, with the calls of `control` below `/mock/`."""

    daemon_threads = True
    request_queue_size = 128
    issuer: Issuer
    """Whose answers are served; set before requests are, since its URL may name the port."""

    def __init__(self, host: str, port: int) -> None:
        """Bind an address.

        Raises:
            OSError: it cannot be had.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._room = threading.BoundedSemaphore(MAXIMUM_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Start the thread of a connection, if there may be another one."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Report what went wrong, unless the client has gone."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        if urlsplit(asked.url).path.startswith(PREFIX):
            return control(self.issuer, asked)
        if asked.method == "OPTIONS":
            return Answer(status=204, headers=_PREFLIGHT)
        answer = self.issuer.answer(asked)
        return replace(answer, headers={**answer.headers, **_ANY_ORIGIN})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: IssuerServer

    def do_GET(self) -> None:
        length = self.headers.get("content-length", "0")
        is_known = length.isascii() and length.isdigit() and "transfer-encoding" not in self.headers
        if not is_known or len(length) > _LONGEST_LENGTH or int(length) > _MAXIMUM_BODY:
            # What follows cannot be told from the next request.
            self.close_connection = True
            status = 413 if is_known else 411
            self._send(Answer(status=status, headers={"connection": "close"}))
            return
        lines = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        own = urlsplit(self.server.issuer.url)
        asked = Asked(
            method=self.command,
            url=f"{own.scheme}://{own.netloc}{self.path}",
            headers=lines,
            body=self.rfile.read(int(length)),
        )
        answer = self.server.answer(asked)
        time.sleep(answer.delay)
        self._send(answer)

    do_HEAD = do_POST = do_DELETE = do_PUT = do_OPTIONS = do_GET

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.media_type)
        self.send_header("content-length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":  # RFC 9110 §9.3.2: all but the body
            self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a query may hold a secret."""


@contextmanager
def listening(*, port: int = 0, **settings: Any) -> Iterator[Issuer]:  # noqa: ANN401 - of Issuer
    """Serve an issuer on a port of this machine, as long as the block runs.

    Args:
        port: 0 takes a free one; the issuer's `url` names it.
        settings: those of `Issuer` but for the URL; the clock runs, unless it is given.

    Raises:
        OSError: the port cannot be had.
    """
    with IssuerServer("127.0.0.1", port) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        server.issuer = Issuer(url, **{"clock": RunningClock(), **settings})
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.issuer
        finally:
            server.shutdown()
            thread.join()
