"""What an operator's view costs a token: CPU time of the server with it over without.

One worker each, 32 kept-alive connections, client_secret_basic. *Without*: bench/bare_watchword.py
with no limit and no access log; *metrics*: the server as shipped, otherwise the same; *all*: with
access log and limits too, and the API of OpenTelemetry loaded, without a tracer provider. Many
short loads in turn, and the median of their ratios.

Usage: bench/metrics.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import statistics
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from bench.registry import cpu_us, load
from bench.served import prepared, provider

LIMIT = 1.05
METRICS_LIMIT = 1.02
TOKENS = 500  # in one load: what disturbs a load comes and goes within seconds

_SHIPPED = ("-m", "watchword")
_WITH_OPENTELEMETRY = (
    "-c",
    "import sys, opentelemetry.trace; from watchword.__main__ import main; sys.exit(main())",
)
_UNLIMITED = {"WATCHWORD_FAILED_AUTH_LIMIT": "0"}


class Side(NamedTuple):
    """One of the servers that are compared: what Python runs, and with which settings."""

    program: tuple[str, ...]
    settings: Mapping[str, str]


SIDES = {
    "without": Side(("bench/bare_watchword.py",), _UNLIMITED),
    "metrics": Side(_SHIPPED, _UNLIMITED),
    "all": Side(_WITH_OPENTELEMETRY, {"WATCHWORD_REQUEST_LOG": "true"}),
}


def measure(rounds: int) -> dict[str, float]:
    """Load all servers in turn; give the median ratios and the medians."""
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    with ExitStack() as stack:
        # Each its own folder: of one registry, workers would share the status lists' places.
        sides = {name: (stack.enter_context(prepared()), side) for name, side in SIDES.items()}
        servers = {
            name: stack.enter_context(
                provider(data, "--only", "issuer", program=side.program, settings=side.settings)
            )
            for name, (data, side) in sides.items()
        }
        requests = {name: [data.token_request()] for name, (data, _) in sides.items()}
        for name in SIDES:
            load(servers[name], requests[name], 8 * TOKENS)
        for round_ in range(rounds):
            for name in list(SIDES)[:: 1 if round_ % 2 else -1]:
                found[name].append(cpu_us(servers[name], requests[name], TOKENS))
    ratios = {
        f"{name}_ratio": statistics.median(
            on / off for on, off in zip(found[name], found["without"], strict=True)
        )
        for name in ("metrics", "all")
    }
    medians = {f"{name}_us": statistics.median(taken) for name, taken in found.items()}
    return {name: round(figure, 3) for name, figure in (ratios | medians).items()}


def main() -> int:
    """Measure, print, and tell by the exit code whether both bars were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    rounds = 21 if parser.parse_args().quick else 101
    found = measure(rounds)
    result = {
        "name": "metrics",
        "ratio": found["all_ratio"],
        "against": "CPU time of a token without metrics, access log, limits and OpenTelemetry",
        "limit": LIMIT,
        "details": {**found, "metrics_limit": METRICS_LIMIT, "loads": rounds, "tokens": TOKENS},
    }
    print(json.dumps(result))
    return 1 if found["all_ratio"] > LIMIT or found["metrics_ratio"] > METRICS_LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
