"""Own closed-loop HTTP load from one thread: raw sockets, epoll, requests built beforehand.

Each connection sends its next request when the last answer is complete. The client costs a few
microseconds a request, so that the server and not the generator is what gets measured.
"""

import multiprocessing
import os
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run saw; latencies are in seconds, statuses map a code to its count."""

    requests: int
    seconds: float
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(repr=False, default_factory=list)

    @property
    def rps(self) -> float:
        """Give answers per second."""
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """Give the latency below which this share of the answers stayed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def build_request(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Write an HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + _HEAD_END + body


def run_load(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    connections: int,
    total: int,
    expect: int = 200,
) -> Load:
    """Send `total` requests over kept-alive connections, taking `requests` in turn.

    Raises:
        AssertionError: an answer with another status than `expect`.
        ConnectionError: the server closed a connection.
    """
    selector = selectors.DefaultSelector()
    peers = []
    for _ in range(min(connections, total)):
        peer = socket.create_connection(address)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peers.append(peer)
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    sent = done = 0
    started = time.perf_counter()
    for peer in peers:
        selector.register(peer, selectors.EVENT_READ, [b"", time.perf_counter()])
        peer.sendall(requests[sent % len(requests)])
        sent += 1
    while done < total:
        for key, _ in selector.select():
            state = key.data
            data = state[0] + _receive(key.fileobj)
            length = _answer_length(data)
            if length is None or len(data) < length:
                state[0] = data
                continue
            now = time.perf_counter()
            latencies.append(now - state[1])
            status = int(data[9:12])
            statuses[status] = statuses.get(status, 0) + 1
            if status != expect:
                raise AssertionError(f"expected {expect}: {data[:300]!r}")
            done += 1
            state[0] = data[length:]
            if sent < total:
                state[1] = time.perf_counter()
                key.fileobj.sendall(requests[sent % len(requests)])
                sent += 1
    seconds = time.perf_counter() - started
    for peer in peers:
        peer.close()
    selector.close()
    return Load(requests=done, seconds=seconds, statuses=statuses, latencies=latencies)


def ask(peer: socket.socket, request: bytes) -> bytes:
    """Send a request on a connection; return its whole answer.

    Raises:
        ConnectionError: the server closed the connection before the end of the answer.
    """
    peer.sendall(request)
    answer = b""
    while (length := _answer_length(answer)) is None or len(answer) < length:
        answer += _receive(peer)
    return answer


def run_load_apart(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    connections: int,
    total: int,
    expect: int = 200,
) -> Load:
    """Do the same from a process of its own, so that this one's CPU time stays clean."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        try:
            sender.send(
                run_load(address, requests, connections=connections, total=total, expect=expect)
            )
        except Exception as error:
            sender.send(error)

    process = context.Process(target=work)
    process.start()
    sender.close()
    result = receiver.recv()
    process.join()
    if isinstance(result, Exception):
        raise result
    return result


def wait_for_port(address: tuple[str, int], *, timeout: float = 20) -> None:
    """Wait until somebody listens there.

    Raises:
        TimeoutError: nobody did in time.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nobody listens on {address}")


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    """Read the CPU time that a process has used (Linux)."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def running_seconds(pid: int) -> float:
    """Read how long the threads that a process now has were running, to the nanosecond (Linux)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _receive(peer: socket.socket) -> bytes:
    data = peer.recv(65_536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def _answer_length(data: bytes) -> int | None:
    """Give the length of the first answer, once its head is complete."""
    end = data.find(_HEAD_END)
    if end < 0:
        return None
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0 and head.startswith(b"http/1.1 304"):
        return end + 4  # RFC 9110 §8.6: it need not state the length of what it does not send
    if at < 0:
        raise AssertionError(f"no Content-Length: {head[:200]!r}")
    return end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
