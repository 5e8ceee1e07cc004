"""What a million clients cost over ten: start-up, memory of a worker, CPU time of a token.

One worker of `watchword serve --only issuer` on each of the two registries, in SQLite and in
PostgreSQL, in interleaved rounds; the ratio is the worst of all. Also: how long a client waits
whom the worker has not seen yet.

Usage: bench/registry.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import os
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from bench.crowd import (
    ENGINES,
    fill,
    member,
    new_url,
    resident_mb,
    spread,
    start_postgresql,
)
from bench.loadgen import Load, run_load, run_load_apart, running_seconds
from bench.served import Prepared, Running, prepared, provider
from tests.support.postgresql import PostgresServer

LIMIT = 1.10
LOOK_UP_LIMIT_MS = 5.0
FEW = 10
CONNECTIONS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    clients: int
    starts: int
    # Many short loads, for what disturbs them comes and goes within seconds.
    loads: int
    tokens: int
    look_ups: int
    viewed: int


FULL = Plan(clients=1_000_000, starts=11, loads=61, tokens=500, look_ups=500, viewed=10_000)
QUICK = Plan(clients=100_000, starts=3, loads=11, tokens=100, look_ups=100, viewed=250)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two registries that are compared, and how many clients it has."""

    data: Prepared
    clients: int

    def requests(self, names: Sequence[str]) -> list[bytes]:
        """Write a token request for each client."""
        return [self.data.token_request(name) for name in names]

    def busy(self) -> list[bytes]:
        """Write the requests of the ten clients that all the load comes from."""
        return self.requests(spread(FEW, self.clients))


def measure(engine: str, server: PostgresServer, plan: Plan) -> dict[str, object]:
    """Compare both registries in one engine."""
    with ExitStack() as stack:
        sides = []
        for clients in (FEW, plan.clients):
            data = stack.enter_context(prepared(new_url(engine, server)))
            fill(data, clients, server)
            sides.append(Side(data, clients))
        starts = [measure_starts(sides, round_) for round_ in range(plan.starts)]
        return least_ratio(starts) | measure_served(sides, plan)


def measure_starts(sides: Sequence[Side], round_: int) -> dict[int, float]:
    """Start and stop a provider on each; give seconds to a first token by number of clients."""
    seconds = {}
    for side in _in_turn(sides, round_):
        with provider(side.data, "--only", "issuer") as server:
            begun = time.perf_counter()
            run_load(server.address, side.busy(), connections=1, total=1)
            seconds[side.clients] = server.seconds_to_ready + time.perf_counter() - begun
            os.kill(server.pid, signal.SIGKILL)  # how it stops is not what is measured
    return seconds


def measure_served(sides: Sequence[Side], plan: Plan) -> dict[str, object]:
    """Serve both at once and load them in turn."""
    with ExitStack() as stack:
        servers = {
            side.clients: stack.enter_context(provider(side.data, "--only", "issuer"))
            for side in sides
        }
        time.sleep(1)  # what runs beside the token path has had its first turn
        started = _resident(servers)
        for side in sides:
            load(servers[side.clients], side.busy(), 4 * plan.tokens)
        rounds = [
            {
                side.clients: cpu_us(servers[side.clients], side.busy(), plan.tokens)
                for side in _in_turn(sides, round_)
            }
            for round_ in range(plan.loads)
        ]
        loaded = _resident(servers)
        found = median_ratios("cpu", "us_a_token", rounds)
        found |= median_ratios("memory_at_start", "mb", [started])
        found |= median_ratios("memory_after_load", "mb", [loaded])
        many = sides[-1]
        found |= measure_look_ups(many, servers[many.clients], plan)
        return found | measure_full_view(many, servers[many.clients], plan)


def measure_look_ups(side: Side, server: Running, plan: Plan) -> dict[str, object]:
    """Ask for tokens twice for each of some clients that the worker has never seen."""
    names = spread(plan.look_ups, side.clients, first=2)
    pairs = [request for request in side.requests(names) for _ in range(2)]
    latencies = run_load_apart(server.address, pairs, connections=1, total=len(pairs)).latencies
    with closing(side.data.open_registry()) as registry:
        bare = []
        for name in spread(plan.look_ups, side.clients, first=3):
            begun = time.perf_counter()
            registry.find_client(name)
            bare.append(time.perf_counter() - begun)
    return {
        "first_use_ms": _milliseconds(latencies[0::2]),
        "second_use_ms": _milliseconds(latencies[1::2]),
        "find_client_ms": _milliseconds(bare),
    }


def measure_full_view(side: Side, server: Running, plan: Plan) -> dict[str, object]:
    """Let many different clients ask once, then all of them again."""
    requests = side.requests([member(number) for number in range(1, plan.viewed + 1)])
    first = load(server, requests, len(requests))
    resident = resident_mb(server.pid)
    return {
        "viewed_clients": len(requests),
        "viewed_first_use_rps": round(first.rps),
        "viewed_mb": round(resident, 1),
        "viewed_cpu_us_a_token": round(cpu_us(server, requests, len(requests))),
    }


def load(server: Running, requests: Sequence[bytes], total: int) -> Load:
    """Ask for so many tokens over 32 connections."""
    return run_load_apart(server.address, requests, connections=CONNECTIONS, total=total)


def cpu_us(server: Running, requests: Sequence[bytes], total: int) -> float:
    """Give the microseconds of CPU time that the worker took for each token."""
    before = running_seconds(server.pid)
    load(server, requests, total)
    return (running_seconds(server.pid) - before) / total * 1e6


def least_ratio(starts: Sequence[dict[int, float]]) -> dict[str, object]:
    """Give the soonest start with many over the soonest with few.

    A start is a second of work, and what else runs on the machine only ever adds to it.
    """
    few, many = sorted(starts[0])
    least = {clients: min(each[clients] for each in starts) for clients in (few, many)}
    return {
        "start_ratio": round(least[many] / least[few], 3),
        "start_seconds": {clients: round(seconds, 3) for clients, seconds in least.items()},
    }


def median_ratios(
    name: str, unit: str, rounds: Sequence[dict[int, float]]
) -> dict[str, float | dict[int, float]]:
    """Give the median of each round's many over few, and both medians."""
    few, many = sorted(rounds[0])
    ratios = [each[many] / each[few] for each in rounds]
    medians = {
        clients: round(statistics.median(each[clients] for each in rounds), 3)
        for clients in (few, many)
    }
    return {f"{name}_ratio": round(statistics.median(ratios), 3), f"{name}_{unit}": medians}


def _in_turn(sides: Sequence[Side], round_: int) -> Sequence[Side]:
    return sides if round_ % 2 == 0 else sides[::-1]


def _resident(servers: dict[int, Running]) -> dict[int, float]:
    return {clients: resident_mb(server.pid) for clients, server in servers.items()}


def _milliseconds(latencies: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    middle, late = statistics.median(ordered), ordered[int(0.99 * len(ordered))]
    return {"median": round(middle * 1000, 3), "p99": round(late * 1000, 3)}


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    plan = QUICK if parser.parse_args().quick else FULL
    details: dict[str, dict] = {}
    with closing(start_postgresql()) as server:
        for engine in ENGINES:
            details[engine] = measure(engine, server, plan)
            print(f"{engine}: {details[engine]}", flush=True)
    ratios = {
        f"{engine} {name}": figure
        for engine, found in details.items()
        for name, figure in found.items()
        if name.endswith("_ratio")
    }
    missed = [name for name, ratio in ratios.items() if ratio > LIMIT]
    missed += [
        f"{engine} first use"
        for engine, found in details.items()
        if found["first_use_ms"]["median"] > LOOK_UP_LIMIT_MS
    ]
    result = {
        "name": "registry",
        "ratio": max(ratios.values()),
        "against": f"{plan.clients} clients over {FEW}: start to first token, memory, CPU time",
        "limit": LIMIT,
        "details": {**details, "first_use_limit_ms": LOOK_UP_LIMIT_MS, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
