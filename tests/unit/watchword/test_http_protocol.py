"""Unit tests of `watchword.process.http_protocol`: what of a request reaches the application."""

import socket

import pytest

from tests.support.http_server import Served, read_all, read_answer, served
from tests.support.provider import eventually
from tests.support.smuggling import ODD_LINES
from watchword.process.refusals import HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES

CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server():
    """Run one server for the tests of this file that keep it as it is."""
    with served() as running:
        yield running


@pytest.fixture
def peer(server: Served):
    """Connect to it."""
    with server.connect() as connected:
        yield connected


def refused(answer: bytes) -> int:
    """Check the form of a refusal that ends the connection; return its status."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert b"\r\ncontent-type: application/json" in head
    assert b"\r\ncache-control: no-store" in head
    assert body.startswith(b'{"error": ')
    assert answer.count(b"HTTP/1.1 ") == 1
    return int(answer[9:12])


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "while-the-application-runs"])
@pytest.mark.parametrize("name", [b"Authorization", b"X-Request-ID", b"Expect", b"DPoP", b"Host"])
def test_no_trailer_field_becomes_a_header(server: Served, peer: socket.socket, name, late) -> None:
    """RFC 9110 section 6.5.1: neither before the application runs nor in its scope afterwards."""
    seen = len(server.scopes)
    peer.sendall(CHUNKED + b"\r\n" + (b"" if not late else b"1\r\na\r\n"))
    if late:
        assert eventually(lambda: len(server.scopes) > seen)
    peer.sendall(b"1\r\nb\r\n0\r\n" + name + b": Bearer secret\r\n\r\n")
    status, answer = read_answer(peer)
    assert (status, answer["body"]) == (200, "ab" if late else "b")
    assert answer["headers"] == [["host", "x"], ["transfer-encoding", "chunked"]]
    assert [name for name, _ in server.scopes[-1]["headers"]] == [b"host", b"transfer-encoding"]
    peer.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_answer(peer)[1]["headers"] == [["host", "x"]]


@pytest.mark.parametrize("offer", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize(
    ("version", "framing", "body"),
    [
        (b"1.1", b"Content-Length: 5\r\n", b"hello"),
        (b"1.0", b"Content-Length: 5\r\n", b"hello"),
        (b"1.1", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_an_offer_to_upgrade_is_ignored_and_the_body_arrives(
    server: Served, offer, version, framing, body
) -> None:
    """RFC 9110 section 7.8: a server may ignore the offer, and then reads what follows as usual."""
    head = b"POST /echo?a=b HTTP/" + version + b"\r\nHost: x\r\nAuthorization: Basic eA==\r\n"
    head += (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + offer + b"\r\nHTTP2-Settings: AA\r\n"
    )
    with server.connect() as peer:
        for byte in head + framing + b"\r\n" + body:
            peer.sendall(bytes([byte]))
        status, answer = read_answer(peer)
        assert (status, answer["body"], answer["query"]) == (200, "hello", "a=b")
        fields = dict(answer["headers"])
        assert fields["authorization"] == "Basic eA=="
        assert "upgrade" not in fields
        if version == b"1.1":
            peer.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(peer)[1]["path"] == "/next"


def test_an_offer_to_upgrade_with_a_request_behind_it(peer: socket.socket) -> None:
    """Body and next request come in the same packet."""
    peer.sendall(
        b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
        b"Content-Length: 2\r\n\r\nokGET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert read_answer(peer)[1]["body"] == "ok"
    assert read_answer(peer)[1]["path"] == "/b"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://localhost:8080/echo?a=b", "/echo", "a=b"),
        (b"HTTPS://[::1]/echo", "/echo", ""),
        (b"http://localhost", "/", ""),
        (b"http://localhost?a", "/", "a"),
    ],
)
def test_an_absolute_target_names_path_and_host(peer: socket.socket, target, path, query) -> None:
    """RFC 9112 section 3.2.2: a server accepts it, and its host counts, not the Host field."""
    peer.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: other\r\n\r\n")
    _, answer = read_answer(peer)
    assert (answer["path"], answer["query"]) == (path, query)
    host = target.split(b"//")[1].split(b"/")[0].split(b"?")[0].decode()
    assert answer["headers"] == [["host", host]]


def test_a_body_is_asked_for_when_the_application_wants_it(peer: socket.socket) -> None:
    """RFC 9110 section 10.1.1."""
    peer.sendall(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    assert peer.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(b"ok")
    assert read_answer(peer)[1]["body"] == "ok"


def test_http_1_0_needs_no_host_and_is_closed(server: Served) -> None:
    """RFC 9112 section 3.2 asks for Host of HTTP/1.1 requests only."""
    assert server.ask(b"GET /old HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host", [b"x", b"", b"a.example:8080", b"127.0.0.1", b"[::1]:8080", b"a_b", b"a%20b", b"x:"]
)
def test_a_well_formed_host_is_taken(peer: socket.socket, host) -> None:
    """RFC 9110 section 7.2."""
    peer.sendall(b"GET /echo HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert read_answer(peer)[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET http://x/ HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n",
        b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n",
        b"GET http:// HTTP/1.1\r\nHost: b\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n",
        b"GET / HTTP/1.1\r\nHost: a,b\r\nHost:\r\n",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n",
        b"GET / HTTP/1.1\r\nHost: a%2\r\n",
        b"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n",
    ],
)
def test_a_missing_doubled_or_malformed_host_is_400(server: Served, head) -> None:
    """RFC 9112 section 3.2."""
    assert refused(server.ask(head + b"\r\n")) == 400


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz",
    ],
)
def test_what_is_not_http_is_400(server: Served, sent) -> None:
    """A refusal names no more than that."""
    assert refused(server.ask(sent)) == 400


@pytest.mark.parametrize("version", [b" HTTP/0.9", b" HTTP/2.0"])
def test_another_version_is_505(server: Served, version) -> None:
    """RFC 9110 section 15.6.6, also of a version that the parser takes for one of its own."""
    seen = len(server.scopes)
    assert refused(server.ask(b"GET /" + version + b"\r\nHost: x\r\n\r\n")) == 505
    assert len(server.scopes) == seen


@pytest.mark.parametrize("shape", ODD_LINES)
def test_a_first_line_of_another_form_is_refused(server: Served, shape) -> None:
    """RFC 9112 section 3: whatever stands behind it."""
    seen = len(server.scopes)
    assert refused(server.ask(ODD_LINES[shape].replace(b"HOST", b"x", 1))) in (400, 505)
    assert len(server.scopes) == seen


def test_a_tunnel_is_not_made(server: Served) -> None:
    """RFC 9110 section 9.3.6: CONNECT is for proxies."""
    assert refused(server.ask(b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\nGET / ")) == 501


@pytest.mark.parametrize("times", [1, 40])
def test_a_head_too_large_is_431(server: Served, times) -> None:
    """RFC 6585 section 5, in one field or in many."""
    field = b"A: " + b"x" * (HEAD_BYTES // times) + b"\r\n"
    answer = server.ask(b"GET / HTTP/1.1\r\nHost: x\r\n" + field * times + b"\r\n")
    assert refused(answer) == 431


def test_a_head_as_large_as_allowed_is_taken(peer: socket.socket) -> None:
    """Client certificates and long tokens have room."""
    start = b"GET / HTTP/1.1\r\nHost: x\r\nA: "
    peer.sendall(start + b"x" * (HEAD_BYTES - len(start) - 4) + b"\r\n\r\n")
    assert read_answer(peer)[0] == 200


@pytest.mark.parametrize("count", [HEAD_FIELDS - 1, HEAD_FIELDS])
def test_fields_are_counted(server: Served, count) -> None:
    """The Host field is the first of them."""
    head = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\n" + b"a:\r\n" * (count - 1)
    answer = server.ask(head + b"\r\n")
    assert int(answer[9:12]) == (200 if count < HEAD_FIELDS else 431)


@pytest.mark.parametrize("excess", [0, 1, 100_000])
def test_a_target_too_long_is_414(server: Served, excess) -> None:
    """RFC 9110 section 15.5.15, also before its end has come."""
    target = b"/" + b"x" * (TARGET_BYTES - 1 + excess)
    answer = server.ask(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert int(answer[9:12]) == (414 if excess else 200)


def endless(server: Served, start: bytes, more: bytes, *, most: int = 4_000_000) -> bytes:
    """Send without an end until the server answers; return its answer."""
    with server.connect() as peer:
        peer.sendall(start)
        peer.setblocking(False)
        sent = 0
        while sent < most:
            try:
                return peer.recv(65_536)
            except BlockingIOError:
                pass
            try:
                sent += peer.send(more)
            except BlockingIOError:
                continue
        # The system's buffers may have taken it all before the server ran. Without a bound on the
        # bytes it would wait for the rest, and answer 408 in the end.
        peer.settimeout(30)
        return peer.recv(65_536)


@pytest.mark.parametrize(
    ("start", "more", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"x" * 1000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n" * 100, 431),
        (b"GET /", b"x" * 1000, 414),
        (b"", b"\r\n" * 1000, 431),
        (CHUNKED + b"\r\n0\r\n", b"A: b\r\n" * 100, 431),
        (CHUNKED + b"\r\n0\r\nA: ", b"x" * 1000, 431),
        (CHUNKED + b"\r\n1", b";a=b" * 1000, 431),
    ],
    ids=["field", "fields", "target", "empty-lines", "trailers", "trailer", "chunk-extension"],
)
def test_nothing_grows_without_an_end(server: Served, start, more, status) -> None:
    """CWE-770: the bound holds while bytes arrive, not when a part of the request is whole."""
    assert refused(endless(server, start, more)) == status


def test_many_pipelined_requests_are_answered_in_order_and_few_at_a_time() -> None:
    """RFC 9112 section 9.3.2; one that ends and one that begins are all that runs."""
    count = 2_000
    with served() as server, server.connect() as peer:
        requests = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(count)]
        peer.sendall(b"".join(requests[:1000]))
        peer.sendall(b"".join(requests[1000:]))
        paths = [read_answer(peer)[1]["path"] for _ in range(count)]
        assert paths == [f"/{number}" for number in range(count)]
        assert server.most_tasks <= 2


def test_pipelined_bodies_of_both_kinds(peer: socket.socket) -> None:
    """Whatever the packets are cut like."""
    requests = (
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\na\r\n\r\nbcd"
        + CHUNKED
        + b"\r\n4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n"
        + b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    for size in (1, 2, 3, 7, len(requests)):
        for at in range(0, len(requests), size):
            peer.sendall(requests[at : at + size])
        answers = [read_answer(peer)[1] for _ in range(3)]
        assert [answer["body"] for answer in answers] == ["a\r\n\r\nbcd", "\r\n\r\n", ""]


def test_requests_behind_one_that_runs_stay_unread() -> None:
    """The server stops reading, so that the kernel's buffers stop the peer."""
    request = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
    with served() as server, server.connect() as peer:
        peer.sendall(request)
        assert eventually(lambda: len(server.scopes) == 1)
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.sendall(request * 800_000)
        assert len(server.scopes) == 1
        (protocol,) = server.server.server_state.connections
        assert len(protocol._rest) <= 262_144 + HEAD_BYTES
        assert len(protocol.pipeline) <= 1


def test_a_bad_request_behind_a_good_one_does_not_spoil_its_answer() -> None:
    """The first answer comes whole, then the refusal."""
    with served() as server, server.connect() as peer:
        peer.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n")
        assert eventually(lambda: len(server.scopes) == 1)
        server.released.set()
        assert read_answer(peer)[0] == 200
        assert refused(read_all(peer)) == 400


def test_refusals_are_reported_by_reason() -> None:
    """A line for each reason, with a number."""
    with served() as server:
        for sent in (b"x", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            assert refused(server.ask(sent + b"\r\n\r\n")) == 400
        assert eventually(
            lambda: server.reasons() == {"malformed_request": 1, "bad_host": 2}, within=5
        )
