"""Unit tests of `watchword.provider.shared_limits`: several processes, one store."""

import pytest

from issuer.errors import TooManyRequests
from issuer.grants.authorization import Authorization
from issuer.limits import REPEATS, Limits
from tests.support.hot_store import SharedStore
from watchword.provider.shared_limits import SHARED_AT_ONCE, SharedLimits

NOW = 1_800_000_000
HERE = "192.0.2.1"


class Process:
    """A process with its limits and its log."""

    def __init__(self, store: SharedStore, **limits: int) -> None:
        self.limits = Limits(**limits)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.now = NOW
        self._shared = SharedLimits(self.limits, store, clock=lambda: self.now, events=self._record)
        self.share = self._shared.share

    def _record(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def fail(self, times: int, claimed: str = "till") -> None:
        """Have authentications fail."""
        for _ in range(times):
            self.limits.note_failure(claimed, HERE, self.now)

    def is_limited(self, claimed: str = "till") -> bool:
        """Try once more."""
        try:
            self.limits.check_failures(claimed, HERE, self.now, client_id=claimed)
        except TooManyRequests:
            return True
        return False


@pytest.mark.attack("T20")
async def test_processes_count_failures_together() -> None:
    """One that sees a further failure knows after the next sharing what all have seen."""
    store = SharedStore()
    one, two = Process(store, failed_auth=10), Process(store, failed_auth=10)
    one.fail(9)
    await one.share()
    two.fail(1)
    assert not two.is_limited()
    await two.share()
    assert two.is_limited()
    two.now += 60
    assert not two.is_limited()


async def test_during_an_outage_each_process_counts_alone() -> None:
    """Nothing is raised, and the limit still holds."""
    store = SharedStore()
    store.away = True
    process = Process(store, failed_auth=2)
    process.fail(2)
    await process.share()
    assert process.is_limited()
    store.away = False
    await process.share()
    assert process.is_limited()


async def test_a_flood_of_invented_ids_costs_one_batch() -> None:
    """The largest counts are shared, so that of the client which is guessed at is among them."""
    store = SharedStore()
    process = Process(store, failed_auth=9)
    for number in range(2 * SHARED_AT_ONCE):
        process.fail(1, f"invented-{number}")
    process.fail(3)
    await process.share()
    assert sorted(store.counts.values())[-3:] == [1, 3, 2 * SHARED_AT_ONCE + 3]
    assert len(store.counts) == SHARED_AT_ONCE


async def test_who_is_limited_is_logged_once_a_second() -> None:
    """With the number of requests; never with what they had of secrets."""
    process = Process(SharedStore(), failed_auth=1)
    process.fail(1)
    assert [process.is_limited() for _ in range(3)] == [True] * 3
    await process.share()
    await process.share()
    limited = {"limit": "failed_auth", "client_id": "till", "address": HERE, "requests": 3}
    assert process.events == [("request.limited", limited)]


async def test_a_client_without_a_cache_is_logged_once_an_hour_by_all_processes() -> None:
    """The store decides which of them does."""
    store = SharedStore()
    processes = [Process(store), Process(store)]
    for process in processes:
        for _ in range(REPEATS):
            process.limits.take_token(Authorization("till", "till", "urn:a", (), 3600), NOW)
        await process.share()
    assert [process.events for process in processes] == [
        [("client.not_caching", {"client_id": "till"})],
        [],
    ]
