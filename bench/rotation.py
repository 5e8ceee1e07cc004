"""Rotate signing keys under steady load: no request may be refused.

Time is compressed, nothing else: `max-age` of the key set is 1 s, so that a key signs 3 s after it
was published; tokens live 5 s; keys are rotated every 5 s, and every second time an operator
rotates before that. An issuer with two workers, three APIs in processes of their own, one of which
reads no metadata and so knows `max-age` alone, and consumers that call them in turn. Each consumer
has a token of its own, which it shows to every API; most renew it early, and some ask for a new one
with each request, so that every API meets tokens of a key as soon as it signs. A key that signs at
once, planted in the place of `keys rotate`, shows as refused requests.

Usage: bench/rotation.py [--quick]. The last line is a JSON object; exit 1 if a request was refused.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import httpx

from bench.loadgen import free_port
from bench.served import Prepared, prepared, provider, run_command
from bench.validators import SHORTEST, Trust, kid_of, validator, wait_until_ready
from consumer import ClientCredentials, ConsumerError

LIMIT = 0
CONSUMERS = 12
IMPATIENT = 3
"""How many of them use each token once."""

WORKERS = 2
PACE = 0.1
"""Seconds between two requests of a consumer."""

ROTATE_EVERY = 5
SLACK = 2.2
"""Seconds after which a key that took over may be superseded."""

SETTINGS = {
    "WATCHWORD_JWKS_MAX_AGE": "1",
    "WATCHWORD_STATUS_LIST_TTL": "2",
    "WATCHWORD_TOKEN_TTL": "5",
    "WATCHWORD_MAX_TOKEN_TTL": "5",
    "WATCHWORD_ROTATE_EVERY": str(ROTATE_EVERY),
}


@dataclass(slots=True)
class Seen:
    """What the consumers saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Answers of APIs, the first of a request that was repeated with another token included."""
    refused: list[str] = field(default_factory=list)
    kids: dict[str, float] = field(default_factory=dict)
    """The keys that signed the tokens shown, and when each was shown first."""
    waits: list[float] = field(default_factory=list)
    by_hand: int = 0

    async def note(self, response: httpx.Response) -> None:
        """Count an answer."""
        kid = kid_of(response.request.headers["authorization"].removeprefix("Bearer "))
        self.kids.setdefault(kid, time.monotonic())
        self.statuses[str(response.status_code)] += 1
        if response.status_code != 200:
            said = response.headers.get("www-authenticate")
            self.refused.append(f"{response.status_code} {said} for {kid}")

    @property
    def rotations(self) -> int:
        """How often another key has taken over."""
        return max(0, len(self.kids) - 1)


async def consume(
    next_auth: Callable[[], ClientCredentials], urls: list[str], seen: Seen, end: asyncio.Event
) -> None:
    """Call the APIs in turn, at an even pace."""
    hooks = {"response": [seen.note]}
    async with httpx.AsyncClient(event_hooks=hooks, trust_env=False) as client:
        due = time.monotonic()
        while not end.is_set():
            for url in urls:
                begun = time.monotonic()
                try:
                    await client.get(url, auth=next_auth())
                except (ConsumerError, httpx.HTTPError) as error:
                    seen.refused.append(repr(error))
                seen.waits.append(time.monotonic() - begun)
                due = max(due + PACE, time.monotonic() - PACE)
                await asyncio.sleep(max(0.0, due - time.monotonic()))


def _same(auth: ClientCredentials) -> ClientCredentials:
    return auth


async def rotate_by_hand(
    data: Prepared, settings: dict[str, str], seen: Seen, rotations: int, end: asyncio.Event
) -> None:
    """Run `keys rotate` after every second rotation, until there were enough of them."""
    try:
        longest = time.monotonic() + 60 + rotations * 2 * ROTATE_EVERY
        while seen.rotations < rotations and time.monotonic() < longest:
            before = seen.rotations
            if before % 2:
                await _rotate(data, settings, seen)
            while seen.rotations == before and time.monotonic() < longest:
                await asyncio.sleep(0.05)
    finally:
        end.set()


async def _rotate(data: Prepared, settings: dict[str, str], seen: Seen) -> None:
    await asyncio.sleep(SLACK)
    done = await asyncio.to_thread(run_command, data, settings, "keys", "rotate")
    if done.returncode == 0:
        seen.by_hand += 1
    elif "rotation" not in done.stderr:  # another is under way, or a moment ago
        raise AssertionError(done.stderr)


async def load(
    data: Prepared, settings: dict[str, str], urls: list[str], rotations: int
) -> tuple[Seen, float]:
    """Let consumers and the operator work at the same time; return how many seconds it took."""
    seen, end = Seen(), asyncio.Event()
    issuer = settings["WATCHWORD_ISSUER"]
    new_auth = partial(
        ClientCredentials,
        issuer,
        data.client_id,
        data.client_secret,
        token_endpoint=f"{issuer}/token",
        verify=httpx.create_ssl_context(),
    )
    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(CONSUMERS):
            own = new_auth()
            turn = number % len(urls)
            next_auth = new_auth if number < IMPATIENT else partial(_same, own)
            tasks.create_task(consume(next_auth, urls[turn:] + urls[:turn], seen, end))
        tasks.create_task(rotate_by_hand(data, settings, seen, rotations, end))
    return seen, time.monotonic() - begun


def measure(rotations: int) -> tuple[Seen, float]:
    """Start an issuer and three APIs, and rotate so often."""
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    settings = SETTINGS | {"WATCHWORD_ISSUER": issuer}
    plain = Trust(issuer=issuer, policy=SHORTEST)
    by_age_alone = Trust(issuer=issuer, policy=SHORTEST, jwks_uri=f"{issuer}/jwks")
    with ExitStack() as stack:
        data = stack.enter_context(prepared())
        stack.enter_context(provider(data, port=port, workers=WORKERS, settings=settings))
        trusts = [plain, plain, by_age_alone]
        addresses = [stack.enter_context(validator(trust)) for trust in trusts]
        wait_until_ready(addresses)
        urls = [f"http://{host}:{port}/orders" for host, port in addresses]
        return asyncio.run(load(data, settings, urls, rotations))


def main() -> int:
    """Measure, print, and tell by the exit code whether every request was served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    rotations = 5 if parser.parse_args().quick else 100
    seen, seconds = measure(rotations)
    waits = sorted(seen.waits)
    missed = [
        *(["refused"] if seen.refused else []),
        *(["rotations"] if seen.rotations < rotations else []),
        *(["rotations by hand"] if not seen.by_hand else []),
    ]
    result = {
        "name": "rotation",
        "ratio": len(seen.refused),
        "against": f"refused requests during {seen.rotations} rotations",
        "limit": LIMIT,
        "details": {
            "requests": sum(seen.statuses.values()),
            "statuses": seen.statuses,
            "refused": seen.refused[:20],
            "rotations": seen.rotations,
            "by_hand": seen.by_hand,
            "seconds": round(seconds, 1),
            "median_ms": round(waits[len(waits) // 2] * 1000, 1),
            "p99_ms": round(waits[int(0.99 * len(waits))] * 1000, 1),
            "worst_ms": round(waits[-1] * 1000, 1),
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
