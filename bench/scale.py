"""Measure what one of each costs, check a small installation against the model, and scale it up.

The model is bench/scale_model.py. Unit costs come from one worker as shipped, over SQLite, and from
its parts in this process. Then the worker is given tokens to issue and lists to answer in one run
and its CPU time compared with what the model says for that many of both. What is printed last
before the result are installations of 100,000 tokens a second, with these costs.

Usage: bench/scale.py [--quick]. The last line is a JSON object; exit 1 if the model is off.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from http.client import HTTPConnection
from pathlib import Path

from bench.crowd import fill, member, resident_mb, spread
from bench.live_tokens import Worker
from bench.loadgen import build_request, run_load_apart, running_seconds
from bench.scale_model import Costs, Installation, amounts, limit_in_tokens
from bench.served import Prepared, Running, prepared, provider

LIMIT = 1.15
CLIENTS = 2_000
CONNECTIONS = 16
AT_ONCE = 50
_WHOLE = 10  # from here on figures are written without a fraction
SHARE = 4
"""Requests for lists to a request for a token, in the installation that is compared."""

TARGET = Installation(tokens=100_000, clients=100_000, apis=1_000, regions=10)
TARGETS = {
    "one issuer": TARGET,
    "one, shared caches": replace(TARGET, cached=True),
    "one in each region": replace(TARGET, cached=True, issuers=10),
    "the same, 5 minutes": replace(TARGET, cached=True, issuers=10, token_ttl=300),
}


def us_of(server: Running, requests: list[bytes], total: int, *, expect: int = 200) -> float:
    """Give the microseconds of CPU time that the worker took for each of so many requests."""
    before = running_seconds(server.pid)
    run_load_apart(server.address, requests, connections=CONNECTIONS, total=total, expect=expect)
    return (running_seconds(server.pid) - before) / total * 1e6


def list_requests(server: Running) -> tuple[bytes, bytes]:
    """Return a request for a list, and one of who has it already."""
    with closing(HTTPConnection(*server.address, timeout=30)) as connection:
        connection.request("GET", "/status-lists")
        path = json.load(connection.getresponse())["status_lists"][0].removeprefix(
            "http://127.0.0.1:8080"
        )
        connection.request("GET", path, headers={"accept-encoding": "gzip"})
        answer = connection.getresponse()
        answer.read()
    headers = {"accept-encoding": "gzip"}
    had = headers | {"if-none-match": answer.headers["etag"]}
    return build_request("GET", path, headers), build_request("GET", path, had)


@contextmanager
def worker() -> Iterator[tuple[Prepared, Running]]:
    """Run one worker as shipped, with clients that it has not served yet."""
    with prepared() as data:
        fill(data, CLIENTS)
        with provider(data, "--only", "issuer") as server:
            yield data, server


def token_requests(data: Prepared, names: list[str]) -> list[bytes]:
    """Write a token request of each client."""
    return [data.token_request(name) for name in names]


def measure_served(data: Prepared, server: Running, total: int) -> dict[str, float]:
    """Measure what a worker takes for tokens and answers."""
    busy = token_requests(data, spread(10, CLIENTS))
    us_of(server, busy, total)  # blocks of indexes grow
    started = resident_mb(server.pid)
    us_of(server, token_requests(data, [member(each + 1) for each in range(CLIENTS)]), CLIENTS)
    served = resident_mb(server.pid)
    fetch, look = list_requests(server)
    return {
        "token_us": statistics.median(us_of(server, busy, total) for _ in range(3)),
        "unchanged_us": statistics.median(
            us_of(server, [look], total, expect=304) for _ in range(3)
        ),
        "list_answer_us": statistics.median(us_of(server, [fetch], total) for _ in range(3)),
        "worker_mb": started,
        "client_kb": max(0.0, served - started) / CLIENTS * 1024,
    }


async def measure_parts(folder: Path, count: int) -> dict[str, float]:
    """Measure what owners and changed lists take, in this process."""
    part = Worker(folder)
    await part.start()
    clean = sum(each["gzip"] for each in await part.fetch_all())
    begun = time.process_time()
    for start in range(0, count, AT_ONCE):  # as many requests of new clients wait for one write
        some = (f"client-{number}" for number in range(start, start + AT_ONCE))
        await asyncio.gather(*(part.issue(each, 1, share=0) for each in some))
    row_us = (time.process_time() - begun) / count * 1e6
    await part.issue("much", 10 * count, share=0.1)
    await part.revoke_chosen()
    begun = time.process_time()
    lists = await part.fetch_all()
    list_us = (time.process_time() - begun) / len(lists) * 1e6
    await part.close()
    entry_bytes = (sum(each["gzip"] for each in lists) - clean) / len(part.revoked)
    return {"row_us": row_us, "list_us": list_us, "entry_bytes": entry_bytes}


def check(data: Prepared, server: Running, costs: Costs, total: int) -> float:
    """Have tokens and lists asked for in turn; give measured over expected CPU time."""
    _, look = list_requests(server)
    busy = token_requests(data, spread(10, CLIENTS))
    before = running_seconds(server.pid)
    asked = run_mixed(server, busy, look, total)
    took = (running_seconds(server.pid) - before) * 1e6
    return took / (asked * costs.token_us + SHARE * asked * costs.unchanged_us)


def run_mixed(server: Running, busy: list[bytes], look: bytes, total: int) -> int:
    """Ask for tokens and for lists in turn; give how many tokens there were."""
    tokens = total // (1 + SHARE)
    rounds = 4
    for _ in range(rounds):
        run_load_apart(server.address, busy, connections=CONNECTIONS, total=tokens // rounds)
        run_load_apart(
            server.address,
            [look],
            connections=CONNECTIONS,
            total=SHARE * (tokens // rounds),
            expect=304,
        )
    return tokens // rounds * rounds


def write_table(costs: Costs) -> list[str]:
    """Write what the installations take, as a table of the documentation."""
    lines = [f"| for each issuer | {' | '.join(TARGETS)} | bound |", "|" + " --- |" * 6]
    columns = [list(amounts(each, costs)) for each in TARGETS.values()]
    for row in zip(*columns, strict=True):
        bound = "" if row[0].bound is None else f"{row[0].bound:,.0f}"
        values = " | ".join(_write(each.value) for each in row)
        lines.append(f"| {row[0].name}, {row[0].unit} | {values} | {bound} |")
    limits = [limit_in_tokens(each, costs) for each in TARGETS.values()]
    met = " | ".join(f"{limit.name}: {round(tokens, -2):,.0f}" for tokens, limit in limits)
    lines.append(f"| first bound that is met, at tokens a second of all issuers | {met} | |")
    return lines


def _write(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:,.1f}"


def main() -> int:
    """Measure, print, and tell by the exit code whether the model holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    total = 2_000 if parser.parse_args().quick else 20_000
    with tempfile.TemporaryDirectory() as folder:
        parts = asyncio.run(measure_parts(Path(folder), total))
    with worker() as (data, server):
        costs = Costs(**measure_served(data, server, total), **parts)
        ratio = check(data, server, costs, 5 * total)
    print({name: round(value, 1) for name, value in asdict(costs).items()})
    print(*write_table(costs), sep="\n")
    result = {
        "name": "scale",
        "ratio": round(ratio, 3),
        "against": "the CPU time that the model says, for tokens and answers about lists",
        "limit": LIMIT,
        "details": {"costs": asdict(costs)},
    }
    print(json.dumps(result))
    return 1 if ratio > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
