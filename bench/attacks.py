"""What attacks on connections cost: memory of a worker, and the wait of a good client.

One worker as shipped. A good client asks for tokens in turn, over a new connection each, first
alone and then during each attack: pipelined requests, endless header fields, endless trailers, and
silent connections. Every attack runs from a process of its own, and the memory is the most that the
worker held. The ratio is the worst p99 over the p99 alone, of the same run.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import multiprocessing
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.synchronize import Event

from bench.crowd import resident_mb
from bench.loadgen import run_load
from bench.served import Prepared, Running, prepared, provider

Address = tuple[str, int]

LIMIT = 50.0
GROWTH_LIMIT_MB = 64.0
FLOODING = 4  # connections that send at once
DESCRIPTORS = 1024  # of the server: what a service may open on most systems
SILENT = 1500  # more connections than such a worker takes
BYTES = 200_000_000  # of one flood at the most
GOOD_REQUESTS_A_SECOND = 100
_PIPELINED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
_CHUNKED = b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"


def pipeline(address: Address, stop: Event) -> None:
    """Send requests without reading an answer, then read all."""
    _flood(address, stop, b"", _PIPELINED)


def fields(address: Address, stop: Event) -> None:
    """Send a head without an end."""
    _flood(address, stop, b"GET / HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n" * 10_000)


def one_field(address: Address, stop: Event) -> None:
    """Send a header field without an end."""
    _flood(address, stop, b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"x" * 60_000)


def trailers(address: Address, stop: Event) -> None:
    """Send trailers without an end."""
    _flood(address, stop, _CHUNKED, b"A: b\r\n" * 10_000)


def silence(address: Address, stop: Event) -> None:
    """Hold more connections than the worker takes, and open them anew when they are closed."""
    held: list[socket.socket] = []
    while not stop.is_set():
        for peer in held:
            with suppress(BlockingIOError, OSError):
                peer.recv(1)
                peer.close()
        held = [peer for peer in held if peer.fileno() >= 0]
        while len(held) < SILENT and not stop.is_set():
            peer = socket.create_connection(address)
            peer.setblocking(False)
            held.append(peer)
        stop.wait(0.1)


ATTACKS: dict[str, Callable[[Address, Event], None]] = {
    "pipelined requests": pipeline,
    "header fields": fields,
    "one header field": one_field,
    "trailers": trailers,
    "silent connections": silence,
}


def _flood(address: Address, stop: Event, start: bytes, more: bytes) -> None:
    def flood() -> None:
        sent = 0
        while sent < BYTES and not stop.is_set():
            with suppress(OSError), socket.create_connection(address, timeout=0.5) as peer:
                peer.sendall(start)
                while sent < BYTES and not stop.is_set():
                    sent += peer.send(more)

    threads = [threading.Thread(target=flood) for _ in range(FLOODING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ask_in_turn(data: Prepared, address: Address, seconds: float) -> tuple[list[float], int]:
    """Ask for a token at even times, over a connection each; return the waits, and the failures."""
    waits: list[float] = []
    failures = 0
    request = [data.token_request()]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        try:
            run_load(address, request, connections=1, total=1)
        except (OSError, AssertionError):
            failures += 1
        waits.append(time.perf_counter() - began)  # to connect is a part of it
        time.sleep(1 / GOOD_REQUESTS_A_SECOND)
    return sorted(waits), failures


def measure(
    data: Prepared, server: Running, attack: str | None, seconds: float
) -> dict[str, float]:
    """Run one attack, or none, while the good client asks."""
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    before = most = resident_mb(server.pid)
    attacker = None
    if attack is not None:
        attacker = context.Process(target=ATTACKS[attack], args=(server.address, stop))
        attacker.start()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_in_turn, data, server.address, seconds)
        while not asking.done():
            most = max(most, resident_mb(server.pid))
            time.sleep(0.02)
    if attacker is not None:
        stop.set()
        attacker.join(10)
        attacker.kill()
    waits, failures = asking.result()
    return {
        "p50_ms": round(waits[len(waits) // 2] * 1000, 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 2),
        "answers": len(waits) - failures,
        "failures": failures,
        "growth_mb": round(most - before, 1),
    }


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Let what is started in the block open so many files, and the attackers all they can."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    seconds = 4.0 if parser.parse_args().quick else 20.0
    with prepared() as data, ExitStack() as stack:
        with few_descriptors():
            server = stack.enter_context(provider(data))
        measure(data, server, None, 1)  # warm up
        alone = measure(data, server, None, seconds)
        print(f"alone: {alone}")
        attacked = {}
        for name in ATTACKS:
            attacked[name] = measure(data, server, name, seconds)
            print(f"{name}: {attacked[name]}")
    ratio = max(each["p99_ms"] for each in attacked.values()) / alone["p99_ms"]
    growth = max(each["growth_mb"] for each in attacked.values())
    failures = sum(each["failures"] for each in attacked.values())
    bars = {
        "p99": ratio <= LIMIT,
        "memory": growth <= GROWTH_LIMIT_MB,
        "good client": failures == 0,
    }
    missed = [name for name, met in bars.items() if not met]
    result = {
        "name": "attacks",
        "ratio": round(ratio, 3),
        "against": "p99 of the same good client without an attack",
        "limit": LIMIT,
        "details": {
            "alone": alone,
            "attacked": attacked,
            "growth_limit_mb": GROWTH_LIMIT_MB,
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
