"""A forward proxy on a real socket that keeps what it is sent.

It answers for every server itself, or leads to the one that it is given as `destination`.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class RecordingProxy(ThreadingHTTPServer):
    """What came in is in `seen`, a line each; an answer of its own is an empty key set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[str] = []
        self.destination: tuple[str, int] | None = None


class _Handler(BaseHTTPRequestHandler):
    server: RecordingProxy

    def do_GET(self) -> None:
        self.server.seen.append(self.requestline)
        status, body = 200, b'{"keys":[]}'
        if self.server.destination is not None:
            status, body = self._forwarded(*self.server.destination)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def do_CONNECT(self) -> None:
        if self.server.destination is None:
            return self.do_GET()
        self.server.seen.append(self.requestline)
        with socket.create_connection(self.server.destination) as server:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_pour, args=(server, self.connection))
            back.start()
            _pour(self.connection, server)
            back.join()

    def _forwarded(self, host: str, port: int) -> tuple[int, bytes]:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = HTTPConnection(host, port)
        server.request(self.command, urlsplit(self.path).path, body, dict(self.headers))
        answer = server.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            server.close()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def recording_proxy() -> Iterator[RecordingProxy]:
    """Serve until the block ends."""
    proxy = RecordingProxy()
    thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
