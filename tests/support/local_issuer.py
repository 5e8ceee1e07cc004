"""An issuer and an API on a real local socket, for tests of clients: they count and misbehave."""

import json
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalIssuer(ThreadingHTTPServer):
    """Gives out tokens `t1`, `t2`, … and serves an API that accepts all but the revoked ones."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests = Counter()
        self.lifetime = 3600
        self.revoked = set()
        self.token_waiting_time = 0.05
        self.no_more_waiting = threading.Event()
        self.dripping_path = None
        self.moved_to = None
        self.bodies = []
        self._lock = threading.Lock()

    def count(self, path):
        """Count a request and return its number."""
        with self._lock:
            self.requests[path] += 1
            return self.requests[path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        number = self.server.count(self.path)
        if self.path.partition("?")[0] == self.server.dripping_path:
            return self._drip()
        match self.path:
            case "/.well-known/oauth-authorization-server":
                endpoint = f"{self.server.url}/token"
                self._answer(200, {"issuer": self.server.url, "token_endpoint": endpoint})
            case "/token":
                self.server.no_more_waiting.wait(self.server.token_waiting_time)
                token = {"access_token": f"t{number}", "token_type": "Bearer"}
                self._answer(200, token | {"expires_in": self.server.lifetime})
            case "/api":
                scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                if scheme == "Bearer" and token not in self.server.revoked:
                    self._answer(200, {"seen": token})
                else:
                    challenge = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}
                    self._answer(401, {}, **challenge)
            case "/refusing":
                self._answer(401, {"error": "invalid_client"})
            case "/moved":
                self._answer(307, {}, Location=self.server.moved_to)
            case _:
                self._answer(404, {})

    def do_POST(self):
        self._read_body()
        self.do_GET()

    def _read_body(self):
        """Read the body and keep it: both ways that HTTP has to say how long it is."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.bodies.append((self.path, body))

    def _drip(self):
        """Send a head that never ends, until the client has had enough."""
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                self.wfile.write(b"a")
                threading.Event().wait(0.02)

    def _answer(self, status, document, **headers):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@contextmanager
def served_issuer():
    """Serve until the block ends."""
    issuer = LocalIssuer()
    thread = threading.Thread(target=issuer.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        issuer.shutdown()
        thread.join()
        issuer.server_close()
