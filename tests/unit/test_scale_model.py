"""The model of an installation's size, against the real parts in small installations."""

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import count
from random import Random

import pytest

from bench.scale_model import (
    CONNECTIONS,
    VIEW_SIZE,
    Costs,
    Installation,
    amounts,
    indexes_used,
    limit_in_tokens,
    owner_rows,
    workers_for,
)
from issuer.events import ignore_event
from issuer.status.indexes import StatusIndexes
from issuer.status.positions import StatusBlock
from issuer.storage.engines import postgresql, sqlalchemy_postgresql
from watchword.settings import Settings

START = 1_800_000_000
COSTS = Costs(
    token_us=350,
    unchanged_us=60,
    list_us=3_000,
    list_answer_us=80,
    row_us=30,
    worker_mb=45,
    client_kb=4,
    entry_bytes=4,
)
LARGE = Installation(tokens=100_000, clients=100_000, apis=1_000, regions=10, cached=True)


class CountingStore:
    """Reserves numbers, and counts what is written."""

    def __init__(self) -> None:
        self.owned: Counter[str] = Counter()
        self._next = count(0, 2**20)

    async def reserve(self, name: str, count: int) -> int:
        return next(self._next)

    async def own(self, block: StatusBlock) -> bool:
        self.owned["rows"] += 1
        self.owned["indexes"] += block.size
        return False


async def issue(owners: int, rate: float, seconds: int, *, warm_up: int) -> tuple[float, float]:
    """Issue tokens for so long at random moments; give rows and indexes a second."""
    store, random = CountingStore(), Random(1)
    indexes = StatusIndexes(store, new_random=random.randbytes, events=ignore_event)
    moments = sorted(
        (random.uniform(0, seconds), owner)
        for owner in range(owners)
        for _ in range(round(rate * seconds))
    )
    for moment, owner in moments:
        if moment < warm_up:
            store.owned.clear()
        key, now = (f"c{owner}", f"c{owner}", "https://api.example"), START + int(moment)
        if indexes.take(*key, ttl=3_600, now=now) is None:
            await indexes.obtain(*key, ttl=3_600, now=now)
        await asyncio.sleep(0)  # the next block is carved meanwhile
    measured = seconds - warm_up
    return store.owned["rows"] / measured, store.owned["indexes"] / measured


@pytest.mark.parametrize(
    ("owners", "rate"),
    [(100, 1 / 2_000), (60, 1 / 300), (30, 1 / 30), (10, 1 / 4), (1, 2)],
)
async def test_counts_of_a_small_worker_are_as_the_model_says(owners: int, rate: float) -> None:
    """Rows, and indexes of blocks, over three hours of a virtual clock."""
    rows, indexes = await issue(owners, rate, 14_400, warm_up=3_600)
    assert owner_rows(rate, owners) == pytest.approx(rows, rel=0.3)
    assert indexes_used(rate, owners) == pytest.approx(indexes, rel=0.4)


async def test_more_owners_than_fit_cost_rows_as_the_model_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block goes with its owner, so that the owner's next token takes another."""
    for module in ("issuer.status.indexes", "bench.scale_model"):
        monkeypatch.setattr(f"{module}.MAX_OWNERS", 400)
    owners = 600
    rows, _ = await issue(owners, 1 / 300, 3_600, warm_up=1_800)
    assert owner_rows(1 / 300, owners) == pytest.approx(rows, rel=0.4)


def test_without_revocations_cpu_grows_with_tokens_alone() -> None:
    """Ten times the tokens of the same clients are ten times the signatures."""
    cpu = [
        next(each.value for each in amounts(few(tokens), COSTS) if each.name == "CPU")
        for tokens in (500, 5_000)
    ]
    assert 8 < cpu[1] / cpu[0] < 12


def test_what_is_assumed_of_workers_is_what_they_are() -> None:
    """Requests and administration have pools; following and listening have one connection each."""
    for_requests, for_administration = postgresql._CONNECTIONS, sqlalchemy_postgresql._CONNECTIONS
    assert for_requests + for_administration + 2 == CONNECTIONS
    assert Settings.model_fields["view_size"].default == VIEW_SIZE


def few(tokens: int) -> Installation:
    """Return an installation of 1,000 clients whose tokens are not revoked."""
    return replace(LARGE, tokens=tokens, clients=1_000, revoked=0)


def test_more_processes_of_apis_cost_an_issuer_nothing_behind_a_shared_cache() -> None:
    """Only the caches ask."""
    more, fewer = (replace(few(1_000), processes=each) for each in (100, 10))
    assert workers_for(more, COSTS) == workers_for(fewer, COSTS)


def test_the_first_limit_of_one_issuer_is_what_an_api_holds_of_lists() -> None:
    """This is why large installations have an issuer for each region, and short tokens."""
    tokens, limit = limit_in_tokens(LARGE, COSTS)
    assert limit.name == "lists that an API holds"
    assert 1_000 < tokens < 100_000
