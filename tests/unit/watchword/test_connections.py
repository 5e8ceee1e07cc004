"""`watchword.process.connections`: how many there may be, and how long each may take."""

import socket
import time
from contextlib import suppress
from math import inf

import pytest

from tests.support.http_server import PATIENCE, read_all, read_answer, served
from tests.support.provider import eventually
from watchword.process.connections import Limits, Phase, connection_limit

GET = b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


def limits(*, connections: int = 64, patience: float = 60, **seconds: float) -> Limits:
    """Make limits that end nothing but the phases named, which they end soon."""
    return Limits(
        connections=connections,
        for_probes=2,
        seconds={phase: seconds.get(phase.name.lower(), inf) for phase in Phase},
        probe_seconds=60,
        patience_seconds=patience,
        sweep_seconds=0.02,
    )


@pytest.mark.parametrize(
    ("phase", "sent"),
    [
        ("first_byte", b""),
        ("head", b"G"),
        ("head", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"),
        ("body", POST + b"abcd"),
        ("body", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    ],
)
def test_a_request_that_does_not_come_is_408(phase, sent) -> None:
    """RFC 9110 section 15.5.9; a peer that drips has no more time than a silent one."""
    with served(limits(**{phase: 0.3})) as server, server.connect() as peer:
        began = time.monotonic()
        peer.sendall(sent)
        answer = read_all(peer)
        assert 0.2 < time.monotonic() - began < PATIENCE
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"\r\nconnection: close\r\n" in answer
        assert eventually(lambda: server.reasons() == {f"{phase}_timeout": 1})
        assert server.bodies == []


def test_dripping_does_not_move_a_deadline() -> None:
    """A byte now and then is no progress (CWE-400)."""
    with served(limits(head=0.3)) as server, server.connect() as peer:
        peer.sendall(b"GET /")
        began = time.monotonic()
        while not server.reasons() and time.monotonic() - began < PATIENCE:
            with suppress(ConnectionError):  # sent when it was over
                peer.sendall(b"x")
            time.sleep(0.02)
        assert server.reasons() == {"head_timeout": 1}


def test_a_second_request_has_its_own_time() -> None:
    """Its head is timed from its first byte, not from the connection's."""
    with served(limits(head=0.3, first_byte=0.3)) as server, server.connect() as peer:
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200
        peer.settimeout(0.6)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        peer.settimeout(PATIENCE)
        peer.sendall(b"G")
        assert read_all(peer).startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_without_an_answer() -> None:
    """A client could take it for the answer to its next request."""
    with served(limits(idle=0.1)) as server, server.connect() as peer:
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200
        assert read_all(peer) == b""


def test_an_application_may_take_its_time() -> None:
    """Only the peer is timed."""
    short = limits(first_byte=0.1, head=0.1, body=0.1, idle=60)
    with served(short) as server, server.connect() as peer:
        peer.sendall(WAIT)
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        server.released.set()
        peer.settimeout(PATIENCE)
        assert read_answer(peer)[0] == 200


def test_a_body_that_the_application_leaves_unread_is_not_waited_for() -> None:
    """After the answer there is nothing to say: the connection is closed."""
    with served(limits(body=0.1)) as server, server.connect() as peer:
        peer.sendall(POST.replace(b"/echo", b"/unread"))
        assert read_answer(peer)[0] == 200
        assert read_all(peer) == b""


@pytest.mark.parametrize("close", [False, True])
def test_a_peer_that_does_not_read_is_cut_off(close) -> None:
    """Its answer would lie in memory for ever."""
    head = b"GET /large HTTP/1.1\r\nHost: x\r\n" + b"Connection: close\r\n" * close
    with served(limits(write=0.1, closing=0.1)) as server, server.connect() as peer:
        peer.sendall(head + b"\r\n")
        assert eventually(lambda: len(server.scopes) == 1)
        assert eventually(lambda: not server.server.server_state.connections)


def test_a_refused_peer_may_finish_but_not_stay() -> None:
    """What it still sends is discarded for a while (RFC 9112 section 9.6)."""
    with served(limits(linger=0.2)) as server, server.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_all(peer).startswith(b"HTTP/1.1 400 ")
        assert eventually(lambda: not server.server.server_state.connections)


def test_beyond_the_limit_only_probes_are_answered_and_then_nothing() -> None:
    """Restarting a full server would make it worse; the rest learns to come back later."""
    with served(limits(connections=6)) as server:
        peers = [server.connect() for _ in range(4)]
        for peer in peers:
            peer.sendall(WAIT)
        assert eventually(lambda: len(server.scopes) == 4)
        refused = server.ask(GET)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in refused
        probed = server.ask(PROBE)
        assert probed.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in probed
        with server.connect(), server.connect(), server.connect() as seventh:
            assert read_nothing(seventh)
        server.released.set()
        assert [read_answer(peer)[0] for peer in peers] == [200] * 4
        for peer in peers:
            peer.close()
    assert server.reasons() == {"connection_limit": 2}


def read_nothing(peer: socket.socket) -> bool:
    """Tell whether the server closes without a word."""
    try:
        return read_all(peer) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", POST], ids=["silent", "head", "body"])
def test_silent_peers_give_way_to_a_new_one(sent) -> None:
    """CWE-410: holding connections open keeps nobody out."""
    with served(limits(connections=6, patience=0.1)) as server:
        silent = [server.connect() for _ in range(4)]
        for peer in silent:
            peer.sendall(sent)
        time.sleep(0.2)  # what every peer may take
        for _ in range(3):
            with server.connect() as good:
                good.sendall(GET)
                assert read_answer(good)[0] == 200
        assert read_nothing(silent[0])
        for peer in silent:
            peer.close()
    assert server.reasons()["closed_for_another"] >= 1


def test_the_connection_idle_for_longest_gives_way_first() -> None:
    """A client opens another one when it needs it."""
    with served(limits(connections=5)) as server:
        peers = [server.connect() for _ in range(3)]
        for peer in [peers[1], peers[0], peers[2]]:
            peer.sendall(GET)
            assert read_answer(peer)[0] == 200
        with server.connect() as good:
            good.sendall(GET)
            assert read_answer(good)[0] == 200
            assert read_nothing(peers[1])
            for peer in (peers[0], peers[2]):
                peer.sendall(GET)
                assert read_answer(peer)[0] == 200
        for peer in peers:
            peer.close()


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(20, 16), (96, 32), (1024, 960), (10**6, 8192)]
)
def test_the_limit_leaves_descriptors_for_everything_else(descriptors, connections) -> None:
    """The database, the keys and the log are files too."""
    assert connection_limit(descriptors) == connections
    assert connection_limit(descriptors, secured=True) == min(connections, 2048)


def test_the_limit_follows_the_system() -> None:
    """RLIMIT_NOFILE of this process."""
    assert 16 <= connection_limit() <= 8192


def test_a_stop_waits_for_a_stuck_body_no_longer_than_the_grace() -> None:
    """The request is given up, and the server ends."""
    with served(limits()) as server:
        server.server.config.timeout_graceful_shutdown = 1
        with server.connect() as peer:
            peer.sendall(POST + b"abc")
            assert eventually(lambda: len(server.scopes) == 1)
            server.server.should_exit = True
            began = time.monotonic()
            assert eventually(lambda: not server.thread.is_alive())
            assert time.monotonic() - began < 5
