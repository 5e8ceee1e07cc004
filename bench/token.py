"""What a token costs: server CPU time through the real HTTP stack over one bare RSA-2048 signature.

One worker as shipped (registry view, logs, request ids), 32 kept-alive connections,
client_secret_basic. Each round measures the bare signature just before and just after its load, so
that only ratios count. Also: tokens a second over the signature limit with one and two workers,
and p99 over p50.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else this file hides the standard `token`

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.loadgen import cpu_seconds, run_load_apart
from bench.served import Prepared, Running, prepared, provider

LIMIT = 1.32
TAIL_LIMIT = 2.5
RATE_BARS = {1: 0.65, 2: 0.60}
CONNECTIONS = 32
MESSAGE = b"x" * 400


def sign_for(seconds: float, key: rsa.RSAPrivateKey) -> tuple[float, float]:
    """Sign for a while; returns CPU seconds and wall seconds a signature."""
    signatures = 0
    cpu, wall = time.process_time(), time.perf_counter()
    while time.perf_counter() - wall < seconds:
        for _ in range(20):
            key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        signatures += 20
    return (time.process_time() - cpu) / signatures, (time.perf_counter() - wall) / signatures


def sign_limit(processes: int, seconds: float, key: rsa.RSAPrivateKey) -> tuple[float, float]:
    """Measure CPU seconds a signature, and signatures a second, of so many processes at once."""
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, initializer=_hold, initargs=(key,)) as pool:
        measured = pool.map(_sign_held, [seconds] * processes, chunksize=1)
    cpu = statistics.mean(each[0] for each in measured)
    return cpu, sum(1 / each[1] for each in measured)


_held: list[rsa.RSAPrivateKey] = []


def _hold(key: rsa.RSAPrivateKey) -> None:
    _held.append(key)


def _sign_held(seconds: float) -> tuple[float, float]:
    return sign_for(seconds, _held[0])


def measure_round(
    requests: Sequence[bytes], server: Running, key: rsa.RSAPrivateKey, tokens: int
) -> dict[str, float]:
    """Run one load between two measurements of the bare signature."""
    processes = len(server.workers)
    before = sign_limit(processes, 0.4, key)
    cpu = sum(cpu_seconds(pid) for pid in server.workers)
    load = run_load_apart(server.address, requests, connections=CONNECTIONS, total=tokens)
    cpu = sum(cpu_seconds(pid) for pid in server.workers) - cpu
    after = sign_limit(processes, 0.4, key)
    sign_cpu = (before[0] + after[0]) / 2
    return {
        "cpu": cpu / tokens / sign_cpu,
        "rate": load.rps / ((before[1] + after[1]) / 2),
        "tail": load.percentile(0.99) / load.percentile(0.50),
        "cpu_us": cpu / tokens * 1e6,
        "sign_us": sign_cpu * 1e6,
    }


def measure(
    data: Prepared,
    workers: int,
    rounds: int,
    tokens: int,
    requests: Sequence[bytes] | None = None,
) -> dict[str, float]:
    """Return the median of each figure over several rounds, of requests for a token if not told."""
    requests = requests or [data.token_request()]
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    with provider(data, workers=workers) as server:
        measure_round(requests, server, key, tokens // 4)  # warm caches, view and connections
        measured = [measure_round(requests, server, key, tokens) for _ in range(rounds)]
    names = list(measured[0])
    return {name: round(statistics.median(each[name] for each in measured), 3) for name in names}


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    quick = parser.parse_args().quick
    rounds, tokens = (3, 2_000) if quick else (9, 4_000)
    with prepared() as data:
        one = measure(data, 1, rounds, tokens)
        two = measure(data, 2, rounds, tokens * 2)
    missed = [
        name
        for name, met in {
            "cpu": one["cpu"] <= LIMIT,
            "tail": one["tail"] <= TAIL_LIMIT,
            "rate of one worker": one["rate"] >= RATE_BARS[1],
            "rate of two workers": two["rate"] >= RATE_BARS[2],
        }.items()
        if not met
    ]
    print(f"one worker: {one}\ntwo workers: {two}")
    result = {
        "name": "token",
        "ratio": one["cpu"],
        "against": "CPU time of one RSA-2048 signature",
        "limit": LIMIT,
        "details": {"one_worker": one, "two_workers": two, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
