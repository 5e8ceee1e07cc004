"""What signing threads bring: tokens a second of one process over the one-thread signature limit.

One worker, 32 kept-alive connections, RS256. A server that signs on its event loop alone and one
that has a signing thread for each further core take turns at the same load, so that both meet the
same machine; then both at one connection. The machine has to have two cores to spare: each row
says how many of them other programs used meanwhile.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import os
import resource
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.loadgen import cpu_seconds, run_load_apart
from bench.served import Prepared, Running, prepared, provider
from bench.token import sign_limit

RATE_BAR = 1.05
CPU_LIMIT = 1.15
CONNECTIONS = 32
_CLOCK_TICK = os.sysconf("SC_CLK_TCK")


def measure_turn(
    data: Prepared, server: Running, key: rsa.RSAPrivateKey, connections: int, tokens: int
) -> dict[str, float]:
    """Run one load between two measurements of the one-thread signature limit."""
    before = sign_limit(1, 0.3, key)
    begun, busy, children, cpu = time.perf_counter(), _busy(), _children(), cpu_seconds(server.pid)
    request = [data.token_request()]
    load = run_load_apart(server.address, request, connections=connections, total=tokens)
    cpu = cpu_seconds(server.pid) - cpu
    others = _busy() - busy - cpu - (_children() - children)
    seconds = time.perf_counter() - begun
    after = sign_limit(1, 0.3, key)
    return {
        "rate": load.rps / ((before[1] + after[1]) / 2),
        "cpu": cpu / tokens / ((before[0] + after[0]) / 2),
        "p50_ms": load.percentile(0.50) * 1e3,
        "p99_ms": load.percentile(0.99) * 1e3,
        "others": others / seconds,
    }


def compare(
    data: Prepared, servers: list[Running], connections: int, rounds: int, tokens: int
) -> dict[str, dict[str, float]]:
    """Return medians of the server without threads, of the one with, and of their ratios."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    turns: list[list[dict[str, float]]] = [[], []]
    for turn in range(rounds + 1):
        for server, measured in zip(servers, turns, strict=True):
            figures = measure_turn(data, server, key, connections, tokens)
            if turn:  # the first one warms caches, view and connections
                measured.append(figures)
    ratios = [
        {name: two[name] / one[name] for name in ("rate", "cpu", "p50_ms", "p99_ms")}
        for one, two in zip(*turns, strict=True)
    ]
    return {
        "loop": _medians(turns[0]),
        "threads": _medians(turns[1]),
        "threads_over_loop": _medians(ratios),
    }


def _medians(measured: list[dict[str, float]]) -> dict[str, float]:
    names = measured[0]
    return {name: round(statistics.median(each[name] for each in measured), 2) for name in names}


def _busy() -> float:
    """Read the CPU seconds of everything on this machine (Linux)."""
    user, nice, system, _, _, irq, softirq = map(int, _stat()[1:8])
    return (user + nice + system + irq + softirq) / _CLOCK_TICK


def _stat() -> list[str]:
    return Path("/proc/stat").read_text().split("\n", 1)[0].split()


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    quick = parser.parse_args().quick
    rounds, tokens = (5, 2_000) if quick else (15, 4_000)
    threads = max(1, len(os.sched_getaffinity(0)) - 1)
    with prepared() as data, ExitStack() as stack:
        servers = [
            stack.enter_context(provider(data, settings={"WATCHWORD_SIGNING_THREADS": str(count)}))
            for count in (0, threads)
        ]
        many = compare(data, servers, CONNECTIONS, rounds, tokens)
        one = compare(data, servers, 1, rounds, tokens // 4)
    missed = [
        name
        for name, met in {
            "rate": many["threads"]["rate"] >= RATE_BAR,
            "cpu": many["threads_over_loop"]["cpu"] <= CPU_LIMIT,
        }.items()
        if not met
    ]
    print(f"{CONNECTIONS} connections: {many}\n1 connection: {one}")
    result = {
        "name": "threads",
        "ratio": many["threads"]["rate"],
        "against": "signatures a second of one thread",
        "limit": RATE_BAR,
        "details": {"threads": threads, "many": many, "one": one, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
