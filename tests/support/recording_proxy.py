"""A forward proxy on a real socket that keeps what it is sent and answers for everybody."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class RecordingProxy(ThreadingHTTPServer):
    """What came in is in `seen`, a line each; every answer is an empty key set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: RecordingProxy

    def do_GET(self) -> None:
        self.server.seen.append(self.requestline)
        body = b'{"keys":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT = do_GET

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


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
