"""What a flood of guesses costs a client: the wait of one that asks for tokens all the while.

One worker as shipped. A known client asks for 200 tokens a second, alone and during 2,000 guesses a
second from its own address, in turn: guesses at its own secret, and guesses at ids that no client
has, each another one. Guesses come from a process of their own, at even times, which waits for the
answer of each and opens connections as it needs them, up to 256. The ratio is the larger p99 of the
two floods over the p99 alone, of the same rounds. Every good request has to get its token, and
failures from a million sources may take so much memory in a process.

Two further floods have no bar. `GET /healthz` 2,000 times a second says what is due to the machine,
which has to make and to take the flood. And in a worker that trusts proxies few guesses wait: that
is what guesses cost which are answered at once.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import multiprocessing
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from bench.crowd import resident_mb
from bench.loadgen import build_request, run_load
from bench.served import Prepared, Running, prepared, provider
from issuer.limits import Limits

LIMIT = 1.5
GUESSES_A_SECOND = 2_000
GOOD_REQUESTS_A_SECOND = 200
CONNECTIONS = 256
SOURCES = 1_000_000
GROWTH_LIMIT_MB = 16.0
_ANSWER = 65_536  # bytes; an answer is far shorter

PROXIED = {"WATCHWORD_TRUSTED_PROXIES": "192.0.2.1"}
_PROBE = build_request("GET", "/healthz", {}, b"")

Guess = Callable[[Prepared, int], bytes]
FLOODS: dict[str, Guess] = {
    "at the client": lambda data, number: data.token_request(secret=f"wws_{number:043}"),
    "at invented ids": lambda data, number: data.token_request(f"invented-{number}"),
}
CONTROLS: dict[str, Guess] = {"healthz": lambda data, number: _PROBE}


def flood(data: Prepared, server: Running, guess: Guess, stop: Event, told: Connection) -> None:
    """Guess at even times until told to stop; tell the statuses, and the guesses a second."""
    selector = selectors.DefaultSelector()
    idle: list[socket.socket] = []
    opened = 0
    first = time.time_ns()  # no id is guessed at in two rounds
    statuses: Counter[int] = Counter()
    sent, began = 0, time.perf_counter()
    while not stop.is_set():
        due = int((time.perf_counter() - began) * GUESSES_A_SECOND)
        while sent < due and (idle or opened < CONNECTIONS):
            if not idle:
                idle.append(socket.create_connection(server.address))
                opened += 1
            peer = idle.pop()
            peer.sendall(guess(data, first + sent))
            selector.register(peer, selectors.EVENT_READ)
            sent += 1
        for key, _ in selector.select(0.0005):
            peer = key.fileobj
            statuses[int(peer.recv(_ANSWER)[9:12])] += 1
            selector.unregister(peer)
            idle.append(peer)
    told.send((statuses, sent / (time.perf_counter() - began)))


def ask(data: Prepared, server: Running, seconds: float) -> list[float]:
    """Ask for tokens at even times, over one connection; return how long each took."""
    request = data.token_request()
    waits: list[float] = []
    with socket.create_connection(server.address) as peer:
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            due = began + len(waits) / GOOD_REQUESTS_A_SECOND
            if now < due:
                time.sleep(due - now)
            sent = time.perf_counter()
            peer.sendall(request)
            answer = peer.recv(_ANSWER)
            waits.append(time.perf_counter() - sent)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise AssertionError(f"a good request was refused: {answer[:300]!r}")
    return waits


def ask_during(
    data: Prepared, server: Running, guess: Guess, seconds: float
) -> tuple[list[float], Counter[int], float]:
    """Ask during a flood, from the time that its limit is reached on."""
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    receiver, sender = context.Pipe(duplex=False)
    attacker = context.Process(target=flood, args=(data, server, guess, stop, sender))
    attacker.start()
    time.sleep(0.3)
    waits = ask(data, server, seconds)
    stop.set()
    statuses, rate = receiver.recv()
    attacker.join(10)
    return waits, statuses, rate


def growth_mb(sources: int) -> float:
    """Have one authentication fail from each of so many sources; return the memory it takes."""
    limits = Limits(failed_auth=60)
    before = resident_mb(os.getpid())
    for number in range(sources):
        limits.note_failure(f"client-{number}", f"2001:db8:{number >> 16:x}:{number:x}::1", 0)
    return resident_mb(os.getpid()) - before


def p99_ms(waits: list[float]) -> float:
    """Return the wait that one in a hundred exceeds."""
    return sorted(waits)[int(len(waits) * 0.99)] * 1000


def measure(
    server: Running, data: Prepared, floods: dict[str, Guess], rounds: int, seconds: float
) -> dict[str, Any]:
    """Ask alone and during each flood, in turn; give p99 alone, and of each over that."""
    alone: list[float] = []
    flooded: dict[str, list[float]] = {name: [] for name in floods}
    last: dict[str, object] = {}
    run_load(server.address, [data.token_request()], connections=1, total=500)  # warm up
    for _ in range(rounds):
        alone += ask(data, server, seconds)
        for name, guess in floods.items():
            waits, statuses, rate = ask_during(data, server, guess, seconds)
            flooded[name] += waits
            last[name] = {"answered": statuses, "sent_a_second": round(rate)}
    quiet = p99_ms(alone)
    return {
        "alone_p99_ms": round(quiet, 2),
        "ratios": {name: round(p99_ms(waits) / quiet, 3) for name, waits in flooded.items()},
        "last_round": last,
    }


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    rounds, seconds = (3, 2.0) if parser.parse_args().quick else (8, 5.0)
    growth = growth_mb(SOURCES)
    with prepared() as data:
        with provider(data) as server:
            found = measure(server, data, FLOODS | CONTROLS, rounds, seconds)
        with provider(data, settings=PROXIED) as server:
            at_once = measure(server, data, FLOODS, 1, seconds)
    ratio = max(found["ratios"][name] for name in FLOODS)
    bars = {"p99": ratio <= LIMIT, "memory": growth <= GROWTH_LIMIT_MB}
    result = {
        "name": "guesses",
        "ratio": ratio,
        "against": "p99 of the same client without guesses",
        "limit": LIMIT,
        "details": {
            **found,
            "answered_at_once": at_once,
            "growth_mb": round(growth, 1),
            "growth_limit_mb": GROWTH_LIMIT_MB,
            "missed": [name for name, met in bars.items() if not met],
        },
    }
    print(json.dumps(result))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
