"""What a flood of guesses costs a client: the wait of one that asks for tokens all the while.

One worker as shipped. A known client asks for 200 tokens a second, alone and during 2,000 guesses a
second from its own address, in turn: guesses at its own secret, and guesses at ids that no client
has, each another one. Guesses come from a process of their own, at even times. The ratio is the
larger p99 of the two floods over the p99 alone, of the same rounds. Every good request has to get
its token, and failures from a million sources may take so much memory in a process.
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

from bench.crowd import resident_mb
from bench.loadgen import run_load
from bench.served import Prepared, Running, prepared, provider
from issuer.limits import Limits

LIMIT = 1.5
GUESSES_A_SECOND = 2_000
GOOD_REQUESTS_A_SECOND = 200
CONNECTIONS = 16
SOURCES = 1_000_000
GROWTH_LIMIT_MB = 16.0
_ANSWER = 65_536  # bytes; an answer is far shorter

Guess = Callable[[Prepared, int], bytes]
FLOODS: dict[str, Guess] = {
    "at the client": lambda data, number: data.token_request(secret=f"wws_{number:043}"),
    "at invented ids": lambda data, number: data.token_request(f"invented-{number}"),
}


def flood(data: Prepared, server: Running, guess: Guess, stop: Event, told: Connection) -> None:
    """Guess at even times until told to stop; tell the statuses, and the guesses a second."""
    selector = selectors.DefaultSelector()
    idle = [socket.create_connection(server.address) for _ in range(CONNECTIONS)]
    first = time.time_ns()  # no id is guessed at in two rounds
    statuses: Counter[int] = Counter()
    sent, began = 0, time.perf_counter()
    while not stop.is_set():
        due = int((time.perf_counter() - began) * GUESSES_A_SECOND)
        while idle and sent < due:
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


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    rounds, seconds = (3, 2.0) if parser.parse_args().quick else (8, 5.0)
    growth = growth_mb(SOURCES)
    alone: list[float] = []
    flooded: dict[str, list[float]] = {name: [] for name in FLOODS}
    details: dict[str, object] = {}
    with prepared() as data, provider(data) as server:
        run_load(server.address, [data.token_request()], connections=1, total=500)  # warm up
        for _ in range(rounds):
            alone += ask(data, server, seconds)
            for name, guess in FLOODS.items():
                waits, statuses, rate = ask_during(data, server, guess, seconds)
                flooded[name] += waits
                details[name] = {"statuses": statuses, "guesses_a_second": round(rate)}
    quiet = p99_ms(alone)
    ratios = {name: p99_ms(waits) / quiet for name, waits in flooded.items()}
    bars = {"p99": max(ratios.values()) <= LIMIT, "memory": growth <= GROWTH_LIMIT_MB}
    result = {
        "name": "guesses",
        "ratio": round(max(ratios.values()), 3),
        "against": "p99 of the same client without guesses",
        "limit": LIMIT,
        "details": {
            "alone_p99_ms": round(quiet, 2),
            "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
            "last_round": details,
            "growth_mb": round(growth, 1),
            "growth_limit_mb": GROWTH_LIMIT_MB,
            "missed": [name for name, met in bars.items() if not met],
        },
    }
    print(json.dumps(result))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
