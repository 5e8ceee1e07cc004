"""What the place on a status list adds to a token: CPU time of the server with it over without.

One worker as shipped, 32 kept-alive connections, client_secret_basic, and two clients that differ
in their resource alone: one's tokens have places on status lists, the other's have none. Many short
loads in turn, each as long as a block of places lasts, and the median of their ratios.

Usage: bench/status_claim.py [--quick]. The last line is a JSON object; exit 1 if the bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import json
import statistics
from contextlib import closing

from bench.registry import cpu_us, load
from bench.served import CLIENT_ID, OPERATOR, SCOPES, Prepared, new_secret, prepared, provider
from bench.validators import get_token
from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource
from issuer.status.indexes import LARGEST_BLOCK
from issuer.storage.edit import RegistryEdit

LIMIT = 1.05
UNLISTED = "https://raw.example"
"""As long as the resource whose tokens have places."""

OTHER = CLIENT_ID.replace("bench", "other")


def add_unlisted(data: Prepared) -> None:
    """Register a client whose tokens have no places on status lists."""

    def add(edit: RegistryEdit) -> None:
        edit.create_resource(Resource(resource=UNLISTED, scopes=SCOPES, status_list=False))
        grants = edit.grants_for([UNLISTED], SCOPES)
        secret = new_secret(data.client_secret)
        edit.create_client(ClientRegistration(client_id=OTHER, grants=grants), [secret])

    with closing(data.open_registry()) as registry:
        registry.change(add, by=OPERATOR)


def measure(rounds: int) -> dict[str, float]:
    """Load both clients in turn; give the median ratio and both medians."""
    with prepared() as data:
        add_unlisted(data)
        requests = {name: [data.token_request(name)] for name in (CLIENT_ID, OTHER)}
        with provider(data, "--only", "issuer") as server:
            lengths = {
                name: len(get_token(data, server.address, client_id=name)) for name in requests
            }
            if lengths[CLIENT_ID] <= lengths[OTHER]:
                raise RuntimeError("tokens with a place are no longer than those without")
            for request in requests.values():
                load(server, request, 4 * LARGEST_BLOCK)  # until blocks are as large
            found: dict[str, list[float]] = {name: [] for name in requests}
            for round_ in range(rounds):
                for name in list(requests)[:: 1 if round_ % 2 else -1]:
                    found[name].append(cpu_us(server, requests[name], LARGEST_BLOCK))
    ratios = [on / off for on, off in zip(found[CLIENT_ID], found[OTHER], strict=True)]
    with_place, without = (round(statistics.median(found[name]), 1) for name in requests)
    return {
        "ratio": round(statistics.median(ratios), 3),
        "with_place_us": with_place,
        "without_us": without,
        "with_place_bytes": lengths[CLIENT_ID],
        "without_bytes": lengths[OTHER],
        "loads": rounds,
    }


def main() -> int:
    """Measure, print, and tell by the exit code whether the bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    found = measure(11 if parser.parse_args().quick else 61)
    result = {
        "name": "status_claim",
        "ratio": found["ratio"],
        "against": "CPU time of a token without a place on a status list",
        "limit": LIMIT,
        "details": found,
    }
    print(json.dumps(result))
    return 1 if found["ratio"] > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
