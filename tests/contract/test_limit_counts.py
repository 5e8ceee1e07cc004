"""What processes count together, on every engine."""

import asyncio
from contextlib import asynccontextmanager, closing

import pytest

from issuer.errors import InvalidClient, Reason, TooManyRequests
from issuer.limits import Limits
from issuer.replay import Once, Replays
from issuer.storage.database_url import open_database
from issuer.storage.engines.database import Statement
from issuer.storage.hot import open_hot_store
from watchword.provider.shared_limits import SharedLimits

UNTIL = 5_000_000_000


@asynccontextmanager
async def opened(url, *, now=lambda: 0):
    """Open the hot store of a database."""
    with closing(open_database(url, timeout=5)) as database:
        store = open_hot_store(lambda: database, timeout=5, now=now)
        yield store, database
        await store.close()


async def test_a_count_is_what_all_together_have_added(database_url):
    """In one batch, in the next one, and in another process's, beside what else is written."""
    async with opened(database_url) as (one, _), opened(database_url) as (two, _):
        calls = [store.count("guesses", "app", by, UNTIL) for store in (one, two) for by in (1, 2)]
        others = [one.reserve("status", 1), one.claim("app", "jti", UNTIL)]
        *counts, first, claimed = await asyncio.gather(*calls, *others)
        assert (max(counts), first, claimed) == (6, 0, True)
        assert await two.count("guesses", "app", 4, UNTIL) == 10
        assert await one.count("guesses", "other", 1, UNTIL) == 1
        assert await one.count("tokens", "app", 1, UNTIL) == 1


async def test_counts_that_have_expired_are_removed(database_url):
    """With a batch that counts, whatever else there is; the others stay."""
    clock = [0]
    async with opened(database_url, now=lambda: clock[0]) as (store, database):
        await asyncio.gather(*(store.count("guesses", str(each), 1, 60) for each in range(9)))
        clock[0] = 60
    async with opened(database_url, now=lambda: clock[0]) as (store, database):
        await store.count("guesses", "new", 1, 120)
        (left,) = database.read_one(Statement("SELECT count, expires_at FROM limit_counts"))
        assert tuple(left) == (1, 120)


async def test_a_node_whose_clock_is_minutes_ahead_forgets_no_live_claim(database_url):
    """It sweeps for all nodes, and another one would take the assertion again."""
    refusal = InvalidClient(Reason.ASSERTION_REPLAYED)
    sent, later = Once("client", "one", 60, refusal), Once("client", "two", 600, refusal)
    async with opened(database_url) as (store, _), opened(database_url, now=lambda: 300) as other:
        await Replays(store).claim(sent)
        await Replays(other[0]).claim(later)
        with pytest.raises(InvalidClient):
            await Replays(store).claim(sent)


async def test_a_node_whose_clock_is_minutes_ahead_forgets_no_live_count(database_url):
    """Else it would give all guesses of a window back."""
    one, two = Limits(failed_auth=10), Limits(failed_auth=10)
    async with opened(database_url) as (store, _), opened(database_url, now=lambda: 300) as other:
        for limits, guesses in ((one, 9), (two, 1)):
            for _ in range(guesses):
                limits.note_failure("till", "192.0.2.1", 0)
            await SharedLimits(limits, store, clock=lambda: 0, events=print).share()
            await other[0].count("guesses", str(guesses), 1, 1_000)
    with pytest.raises(TooManyRequests):
        two.check_failures("till", "192.0.2.1", 0, client_id="till")
