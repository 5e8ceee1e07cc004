"""Requests whose end is in doubt, directly and through the proxies with samples in `deploy/`."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import Authority
from tests.support.haproxy import balancing_haproxy
from tests.support.http_server import PATIENCE, Served, read_answer, served
from tests.support.nginx import sample_nginx
from tests.support.smuggling import AMBIGUOUS, SMUGGLED, UNAMBIGUOUS
from watchword.process.addresses import parse_networks

FRONTS = ("none", "nginx", "haproxy")


class Line:
    """Connections to a server or to what is in front of it."""

    def __init__(self, node: Served, url: str, authority: Authority) -> None:
        self.node, self._authority = node, authority
        self._parts = urlsplit(url)
        self.host = self._parts.netloc.encode()

    @contextmanager
    def connect(self) -> Iterator[socket.socket]:
        """Open one."""
        with socket.create_connection((self._parts.hostname, self._parts.port), PATIENCE) as plain:
            if self._parts.scheme == "http":
                yield plain
                return
            context = self._authority.trusting()
            context.set_alpn_protocols(["http/1.1"])
            with context.wrap_socket(plain, server_hostname=self._parts.hostname) as secured:
                yield secured

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes and nothing after them; return all that comes."""
        with self.connect() as peer:
            peer.sendall(sent.replace(b"HOST", self.host, 1))
            peer.settimeout(1)
            received = b""
            try:
                while chunk := peer.recv(65_536):
                    received += chunk
            except (TimeoutError, ssl.SSLError, ConnectionError):
                pass  # it waits for the rest of what it takes for a body, or has had enough
            return received

    @property
    def is_direct(self) -> bool:
        """Tell whether nothing is in front."""
        return self._parts.port == self.node.address[1]

    def taken(self) -> list[str]:
        """Return the paths of requests that came whole, but for probes."""
        return [path for path in self.node.taken if path != "/readyz"]


@pytest.fixture(scope="module", params=FRONTS)
def line(request, tmp_path_factory) -> Iterator[Line]:
    """Serve, with nothing, nginx or HAProxy in front."""
    folder: Path = tmp_path_factory.mktemp("front")
    authority = Authority(folder)
    with served(proxies=parse_networks("127.0.0.1")) as node:
        port = node.address[1]
        front: AbstractContextManager[str] = nullcontext(f"http://127.0.0.1:{port}")
        if request.param == "nginx":
            front = sample_nginx(folder, port, authority.issue("front"))
        elif request.param == "haproxy":
            certificate = authority.issue("front").both_file
            front = balancing_haproxy(
                folder, port, certificate=certificate, client_ca=authority.file
            )
        with front as url:
            yield Line(node, url, authority)


def ask(line: Line, path: bytes) -> str:
    """Ask on a new connection, and say whose answer came."""
    with line.connect() as peer:
        peer.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: " + line.host + b"\r\n\r\n")
        status, answer = read_answer(peer)
        assert status == 200
        return answer["path"]


@pytest.mark.parametrize("shape", AMBIGUOUS)
def test_a_request_whose_end_is_in_doubt_hides_no_other(line: Line, shape: str) -> None:
    """RFC 9112 section 11.2: what stands behind it is never taken for a request.

    Directly it is refused and the connection ends. A proxy may mend what it passes on; then it has
    an answer for each request that the server took.
    """
    line.node.taken.clear()
    received = line.exchange(AMBIGUOUS[shape] + b"\r\n\r\n")
    answered = re.findall(rb'"path": "([^"]+)"', received)
    assert [path.encode() for path in line.taken()] == answered
    if line.is_direct:
        assert received.startswith(b"HTTP/1.1 400 "), received[:80]
        assert received.count(b"HTTP/1.1 400 ") == 1
        assert answered == []
    # The next peer gets its own answer: none waits in a connection between proxy and server.
    assert ask(line, b"/next") == "/next"


@pytest.mark.parametrize("shape", UNAMBIGUOUS)
def test_what_is_within_a_request_is_no_request(line: Line, shape: str) -> None:
    """RFC 9112 section 6.3: it is answered, and so is the next one on the same connection."""
    line.node.taken.clear()
    line.node.bodies.clear()
    with line.connect() as peer:
        peer.sendall(UNAMBIGUOUS[shape].replace(b"HOST", line.host, 1))
        assert read_answer(peer)[1]["path"] == "/victim"
        peer.sendall(b"GET /next HTTP/1.1\r\nHost: " + line.host + b"\r\n\r\n")
        assert read_answer(peer)[1]["path"] == "/next"
    assert line.taken() == ["/victim", "/next"]
    if SMUGGLED in UNAMBIGUOUS[shape]:
        assert SMUGGLED in line.node.bodies


def test_after_an_answer_that_is_an_error_the_connection_goes_on(line: Line) -> None:
    """RFC 9112 section 9.3: pipelined requests are answered each, in their order."""
    request = b"POST /%d HTTP/1.1\r\nHost: " + line.host + b"\r\nContent-Length: 2\r\n\r\nab"
    with line.connect() as peer:
        peer.sendall(b"".join(request % number for number in range(20)))
        answers = [read_answer(peer) for _ in range(20)]
    assert [answer["path"] for _, answer in answers] == [f"/{number}" for number in range(20)]
    assert {answer["body"] for _, answer in answers} == {"ab"}
