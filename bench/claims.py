"""What a claim of an id costs: CPU time in the process over one bare RSA-2048 signature.

The hot store as the serving loop has it, 16 claims in flight, every id new, on SQLite and on
PostgreSQL. Each round measures the bare signature just before and just after, in the same process,
so that only ratios count. The time of the PostgreSQL server's own processes is not in it; of SQLite
all of the work is.

Usage: bench/claims.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import itertools
import json
import statistics
import time
from contextlib import closing

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.crowd import ENGINES, new_url, start_postgresql
from bench.served import prepared
from bench.token import sign_for
from issuer.storage.database_url import open_database
from issuer.storage.hot import open_hot_store
from tests.support.postgresql import PostgresServer
from watchword.ambient import wall_clock

LIMIT = 0.12
IN_FLIGHT = 16
TIMEOUT = 5.0


async def claim_many(url: str, key: rsa.RSAPrivateKey, rounds: int, claims: int) -> list[float]:
    """Return the ratio of each round."""
    ids = map(str, itertools.count())
    ratios = []
    with closing(open_database(url, timeout=TIMEOUT)) as database:
        store = open_hot_store(lambda: database, timeout=TIMEOUT, now=wall_clock)

        async def claim(count: int) -> None:
            until = wall_clock() + 300
            for _ in range(count):
                if not await store.claim("bench", next(ids), until):
                    raise RuntimeError("a new id was taken")

        async def load(count: int) -> float:
            begun = time.process_time()
            await asyncio.gather(*(claim(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))
            return (time.process_time() - begun) / (count // IN_FLIGHT * IN_FLIGHT)

        await load(1_000)
        for _ in range(rounds):
            before = sign_for(0.3, key)[0]
            cost = await load(claims)
            ratios.append(cost / statistics.mean([before, sign_for(0.3, key)[0]]))
        await store.close()
    return ratios


def measure(engine: str, server: PostgresServer, rounds: int, claims: int) -> float:
    """Return the median ratio on an engine."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    with prepared(new_url(engine, server)) as data:
        return statistics.median(asyncio.run(claim_many(data.registry_url, key, rounds, claims)))


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    rounds, claims = (3, 4_000) if "--quick" in sys.argv[1:] else (15, 20_000)
    with closing(start_postgresql()) as server:
        ratios = {engine: measure(engine, server, rounds, claims) for engine in ENGINES}
    missed = [engine for engine, ratio in ratios.items() if ratio > LIMIT]
    result = {
        "name": "claims",
        "ratio": round(max(ratios.values()), 3),
        "against": "one bare RSA-2048 signature in the same process",
        "limit": LIMIT,
        "details": {
            **{engine: round(ratio, 3) for engine, ratio in ratios.items()},
            "in_flight": IN_FLIGHT,
            "claims": claims,
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
