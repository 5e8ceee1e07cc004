"""Reach an issuer for tests over a socket: for what runs in another process or another language."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from watchword.testing.endpoints import Answer, Asked
from watchword.testing.issuer import Issuer

_MAXIMUM_BODY = 2**20


class IssuerServer(ThreadingHTTPServer):
    """Serves one issuer over plain HTTP."""

    daemon_threads = True
    request_queue_size = 128
    issuer: Issuer

    def __init__(self, host: str, port: int) -> None:
        """Bind the address; `issuer` is set before requests are served.

        Raises:
            OSError: the address cannot be had.
        """
        super().__init__((host, port), _Handler)

    def answer(self, asked: Asked) -> Answer:
        """Answer a request."""
        return self.issuer.answer(asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: IssuerServer

    def do_GET(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MAXIMUM_BODY:
            self.close_connection = True
            self._send(Answer(status=413, headers={"connection": "close"}))
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

    do_POST = do_DELETE = do_PUT = do_GET

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.media_type)
        self.send_header("content-length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a query may hold a secret."""


@contextmanager
def listening(*, port: int = 0, **settings: Any) -> Iterator[Issuer]:  # noqa: ANN401 - of Issuer
    """Serve an issuer on a port of this machine, as long as the block runs.

    Args:
        port: 0 takes a free one; the issuer's `url` names it.
        settings: those of `Issuer` but for the URL.

    Raises:
        OSError: the port cannot be had.
    """
    with IssuerServer("127.0.0.1", port) as server:
        server.issuer = Issuer(f"http://127.0.0.1:{server.server_port}", **settings)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.issuer
        finally:
            server.shutdown()
            thread.join()
