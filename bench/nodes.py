"""What a token costs two nodes on one PostgreSQL over what it costs one node: CPU time.

One node on a database of its own, and two on another, all with their keys in the database and one
worker each, in interleaved rounds. Both nodes' CPU time counts for the whole of a round, whichever
is asked.

Usage: bench/nodes.py [--quick]. The last line is a JSON object; exit 1 if the bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing

from bench.crowd import start_postgresql
from bench.loadgen import run_load_apart, running_seconds
from bench.served import Prepared, Running, prepared, provider, run_command

LIMIT = 1.05
CONNECTIONS = 32
_ISSUER = ("--only", "issuer")
_SETTINGS = {
    "WATCHWORD_KEY_STORE": "database",
    "WATCHWORD_KEY_PASSPHRASE": "bench bench bench",
}


def start_nodes(stack: ExitStack, url: str, count: int) -> tuple[Prepared, list[Running]]:
    """Start so many nodes on an empty database."""
    data = stack.enter_context(prepared(url))
    with provider(data, *_ISSUER):
        pass  # the registry takes the issuer
    files = _SETTINGS | {"WATCHWORD_KEY_STORE": "files"}
    moved = run_command(data, files, "keys", "move", "--to", "database")
    if moved.returncode:
        raise RuntimeError(moved.stderr)
    nodes = [
        stack.enter_context(provider(data, *_ISSUER, settings=_SETTINGS)) for _ in range(count)
    ]
    return data, nodes


def cpu_us(data: Prepared, nodes: Sequence[Running], tokens: int) -> float:
    """Ask the nodes in turn, and give the microseconds that a token cost all of them."""
    before = sum(running_seconds(node.pid) for node in nodes)
    for node in nodes:
        run_load_apart(
            node.address,
            [data.token_request()],
            connections=CONNECTIONS,
            total=tokens // len(nodes),
        )
    return (sum(running_seconds(node.pid) for node in nodes) - before) / tokens * 1e6


def main() -> int:
    """Measure, print, and tell by the exit code whether the bar was met."""
    rounds, tokens = (11, 1_000) if "--quick" in sys.argv[1:] else (41, 2_000)
    with closing(start_postgresql()) as server, ExitStack() as stack:
        sides = [start_nodes(stack, server.new_database(), count) for count in (1, 2)]
        for data, nodes in sides:
            cpu_us(data, nodes, 4 * tokens)
        taken: dict[int, list[float]] = {1: [], 2: []}
        for round_ in range(rounds):
            for data, nodes in sides if round_ % 2 == 0 else sides[::-1]:
                taken[len(nodes)].append(cpu_us(data, nodes, tokens))
    ratios = [two / one for one, two in zip(taken[1], taken[2], strict=True)]
    ratio = statistics.median(ratios)
    details = {
        "us_a_token": {count: round(statistics.median(each), 1) for count, each in taken.items()},
        "rounds": rounds,
        "tokens_a_round": tokens,
    }
    result = {
        "name": "nodes",
        "ratio": round(ratio, 3),
        "against": "one node on one PostgreSQL, CPU time of a token",
        "limit": LIMIT,
        "details": details,
    }
    print(json.dumps(result))
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
