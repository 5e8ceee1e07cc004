"""What ten million live tokens cost: rows, database, memory of the issuer, lists on the wire.

What gives tokens their places, over a registry in SQLite, in a process of its own, with a clock
that is set; all but the signatures of the tokens. A thousandth of the tokens is revoked, and each
list fetched as validators do. Then a month of steady traffic in another process: nothing may grow.
With --quick a tenth of the clients, each as fast, has a tenth of the tokens: what memory and tables
grow by is multiplied by ten then, and the write-ahead log is added as it is.

Usage: bench/live_tokens.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import random
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from bench.crowd import member, resident_mb
from bench.served import RESOURCE
from issuer.config import IssuerConfig
from issuer.events import ignore_event
from issuer.status.positions import LISTS_PATH, WINDOW, Position, Status, StatusBlock
from issuer.storage.hot import BatchedWrites
from issuer.storage.registry import Registry
from issuer.storage.source import ThreadedSource
from keys.signers.local import LocalSigner
from watchword.provider.token_status import PRUNE_SECONDS, TokenStatus

LIMIT = 0.01
DATABASE_LIMIT_MB = 10
MEMORY_LIMIT_MB = 64
GROWTH_LIMIT = 1.05
GROWTH_LIMIT_MB = 2

START = 1_800_000_000
LIFE = 3_600
STEP = 10
"""Seconds by which the clock is set forth while tokens are issued."""

REVOKED = 0.001
PAGE = 4_096
"""Bytes of a page of the database."""

DAY = 86_400
_TIMEOUT = 60.0
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured: tokens live at once, their clients, and the month's clients."""

    tokens: int
    clients: int
    month_clients: int


FULL = Plan(tokens=10_000_000, clients=1_000, month_clients=100)
# Each client is as fast as in the full run, so that its blocks are as large.
QUICK = Plan(tokens=1_000_000, clients=100, month_clients=10)


class CountedWrites(BatchedWrites):
    """Counts the rows that places of tokens cause; a batch writes as many, or fewer."""

    rows = 0

    async def reserve(self, name: str, count: int) -> int:
        """Reserve a block of numbers."""
        self.rows += 1
        return await super().reserve(name, count)

    async def own(self, block: StatusBlock) -> bool:
        """Write who owns a block; the clients are registered nowhere, so none has ended."""
        self.rows += 1
        await super().own(block)
        return False


class OneKey:
    """The ring of a key that signs lists."""

    def __init__(self) -> None:
        self._signer = LocalSigner("bench", "RS256", rsa.generate_private_key(65_537, 2048))

    def signer(self, now: int, alg: str | None = None) -> LocalSigner:
        """Return its signer."""
        return self._signer


class Worker:
    """What gives tokens their places, and publishes the lists, in one worker."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.revoked: list[Position] = []
        self._folder = folder
        self._random = random.Random(1)
        self._registry = Registry.open(
            f"sqlite:///{folder / 'registry.db'}", now=self.clock, upgrade=True
        )
        self._source = ThreadedSource(self._registry, timeout=_TIMEOUT)
        self.writes = CountedWrites(self._registry.open_hot_store(timeout=_TIMEOUT)._open_store)
        self.statuses = TokenStatus(
            IssuerConfig(issuer="https://as.example"),
            self._registry,
            self._source,
            self.writes,
            clock=self.clock,
            events=ignore_event,
        )
        self._endpoint = self.statuses.endpoint(OneKey())

    def clock(self) -> int:
        """Tell the time that was set."""
        return self.now

    async def start(self) -> None:
        """Read the registry, and do once all that is done later."""
        self.statuses.start()
        await self.statuses.look()
        await self.issue("first", 1, share=1)
        await self.revoke_chosen()
        await self.fetch_all()
        self.revoked.clear()

    async def close(self) -> None:
        """End."""
        await self.statuses.stop()
        await self.writes.close()
        self._registry.close()

    async def issue(self, client: str, count: int, *, share: float = REVOKED) -> None:
        """Give so many tokens of a client their places, and choose some to be revoked."""
        indexes, chance = self.statuses.indexes, self._random.random
        key, now = (client, client, RESOURCE), self.now
        for _ in range(count):
            place = indexes.take(*key, ttl=LIFE, now=now)
            if place is None:
                place = await indexes.obtain(*key, ttl=LIFE, now=now)
            if chance() < share:
                self.revoked.append(place)

    async def revoke_chosen(self) -> None:
        """Revoke what was chosen as `/revoke` does, and see that it is published."""
        for start in range(0, len(self.revoked), _AT_ONCE):
            some = self.revoked[start : start + _AT_ONCE]
            await asyncio.gather(*(self.writes.set_status(place, Status.INVALID) for place in some))
        await self.statuses.look()
        if any(self.statuses.lists.status(place) is Status.VALID for place in self.revoked):
            raise AssertionError("a revoked token is valid")

    async def fetch_all(self) -> list[dict[str, int]]:
        """Fetch each list in both forms; give their bytes."""
        found = []
        for bucket, part in self.statuses.lists.live(self.now):
            plain, packed = [
                await self._fetch(f"{LISTS_PATH}/{bucket}-{part}", coding)
                for coding in (b"identity", b"gzip")
            ]
            found.append({"plain": plain, "gzip": packed})
        return found

    async def _fetch(self, path: str, coding: bytes) -> int:
        size = 0

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal size
            if message.get("status", 200) != 200:
                raise AssertionError(f"{message['status']} for {path}")
            size += len(message.get("body", b""))

        headers = [(b"accept-encoding", coding)]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        await self._endpoint(scope, _nothing, send)
        return size

    def log_mb(self) -> float:
        """Tell how large the write-ahead log of the database is."""
        return (self._folder / "registry.db-wal").stat().st_size / 2**20

    def state(self) -> dict[str, int]:
        """Count what may grow, but for the memory."""
        with closing(sqlite3.connect(self._folder / "registry.db")) as connection:

            def ask(sql: str) -> int:
                return int(connection.execute(sql).fetchone()[0])

            tables = ("status_blocks", "status_changes", "counters")
            rows = {name: ask(f"SELECT count(*) FROM {name}") for name in tables}
            pages = ask("PRAGMA page_count") - ask("PRAGMA freelist_count")
        live = self.statuses.lists.live(self.now)
        return {"pages_in_use": pages, "lists": len(live), **rows}


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request"}


async def fill(worker: Worker, plan: Plan) -> dict[str, Any]:
    """Issue all tokens within the life of one, and revoke some."""
    await worker.start()
    before, memory, rows = worker.state(), resident_mb(os.getpid()), worker.writes.rows
    each, steps, most = plan.tokens // plan.clients, LIFE // STEP, memory
    for step in range(steps):
        worker.now = START + step * STEP
        count = each * (step + 1) // steps - each * step // steps
        await asyncio.gather(*(worker.issue(member(n), count) for n in range(plan.clients)))
        await worker.statuses.keep_up()
        await worker.statuses.look()
        most = max(most, resident_mb(os.getpid()))
    rows = worker.writes.rows - rows
    await worker.revoke_chosen()
    lists = await worker.fetch_all()
    most = max(most, resident_mb(os.getpid()))
    pages = worker.state()["pages_in_use"] - before["pages_in_use"]
    scale = FULL.tokens // plan.tokens
    least = plan.tokens * _entropy(REVOKED) / 8
    wire = {form: sum(each[form] for each in lists) for form in ("plain", "gzip")}
    return {
        "tokens": plan.tokens,
        "clients": plan.clients,
        "rows": rows,
        "rows_a_token": round(rows / plan.tokens, 5),
        "scaled_by": scale,
        "database_mb": round(scale * pages * PAGE / 2**20 + worker.log_mb(), 2),
        "memory_mb": round(scale * (most - memory), 1),
        "revoked": len(worker.revoked),
        "lists": len(lists),
        "wire_bytes": wire["plain"],
        "wire_bytes_gzip": wire["gzip"],
        "least_bytes": round(least),
        "gzip_over_least": round(wire["gzip"] / least, 2),
    }


def _entropy(share: float) -> float:
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


async def pass_month(worker: Worker, clients: int) -> dict[str, Any]:
    """Serve steady traffic for thirty days; give what there was at most early and late."""
    await worker.start()
    days: list[dict[str, float]] = []
    for step in range(30 * DAY // WINDOW):
        worker.now = START + step * WINDOW
        # All of one client's are revoked, in turn: the same number each time.
        shares = [float(n == step % clients) for n in range(clients)]
        asked = (worker.issue(member(n), 5, share=share) for n, share in enumerate(shares))
        await asyncio.gather(*asked)
        await worker.statuses.keep_up()
        await worker.revoke_chosen()
        worker.revoked.clear()
        if worker.now % int(PRUNE_SECONDS) == 0:
            await worker.statuses.prune()
            await worker.fetch_all()
        if worker.now % DAY == 0:
            days.append({**worker.state(), "memory_mb": round(resident_mb(os.getpid()), 1)})
    early, late = days[2:11], days[-9:]  # counters are kept a day longer than their lists
    return {
        name: {"early": max(day[name] for day in early), "late": max(day[name] for day in late)}
        for name in days[0]
    }


def run_apart(work: Callable[[Worker], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    """Run it in a process of its own, over an empty registry."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        return apart.submit(_run, work).result()


def _run(work: Callable[[Worker], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    async def run(folder: Path) -> dict[str, Any]:
        worker = Worker(folder)
        try:
            return await work(worker)
        finally:
            await worker.close()

    # In memory if possible: what is measured is no time, and a disk takes minutes for the month.
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        return asyncio.run(run(Path(name)))


def missed_bars(filled: dict[str, Any], month: dict[str, Any]) -> list[str]:
    """Name what is above its bar."""
    bars = {
        "rows": filled["rows_a_token"] <= LIMIT,
        "database": filled["database_mb"] <= DATABASE_LIMIT_MB,
        "memory": filled["memory_mb"] <= MEMORY_LIMIT_MB,
    }
    for name, found in month.items():
        most = found["early"] * GROWTH_LIMIT
        if name == "memory_mb":
            most = found["early"] + GROWTH_LIMIT_MB
        bars[f"month: {name}"] = found["late"] <= most
    return [name for name, met in bars.items() if not met]


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 45 s on two cores")
    plan = QUICK if parser.parse_args().quick else FULL
    filled = run_apart(partial(fill, plan=plan))
    print(f"{plan.tokens} live tokens: {filled}", flush=True)
    month = run_apart(partial(pass_month, clients=plan.month_clients))
    print(f"a month: {month}")
    result = {
        "name": "live_tokens",
        "ratio": filled["rows_a_token"],
        "against": f"a token: rows written for {plan.tokens} tokens of {plan.clients} clients",
        "limit": LIMIT,
        "details": {
            **filled,
            "database_limit_mb": DATABASE_LIMIT_MB,
            "memory_limit_mb": MEMORY_LIMIT_MB,
            "month": month,
            "missed": missed_bars(filled, month),
        },
    }
    print(json.dumps(result))
    return 1 if result["details"]["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
