"""Unit tests of `issuer.status.indexes` and `issuer.status.spare`."""

import asyncio
import random
from collections import Counter

import pytest

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registry.errors import StoreUnavailable
from issuer.status import indexes as module
from issuer.status.indexes import LARGEST_BLOCK, SMALLEST_BLOCK, StatusIndexes
from issuer.status.positions import (
    BUCKET,
    WINDOW,
    Position,
    Status,
    StatusBlock,
    StatusChange,
    bucket_for,
)
from issuer.status.spare import SMALLEST_RANGE
from tests.support.hot_store import SharedStore

NOW = 1_800_000_000  # the begin of a half hour
KEY = ("app", "app", "urn:orders")
TTL = 3_600


class Desk:
    """One worker, its store and what it told."""

    def __init__(self, **options):
        self.store = SharedStore()
        self.told = []
        self.indexes = StatusIndexes(
            self.store,
            new_random=random.Random(5).randbytes,
            events=lambda event, **fields: self.told.append((event, fields)),
            **options,
        )

    def take(self, *, key=KEY, now=NOW, ttl=TTL):
        """Take an index at once."""
        return self.indexes.take(*key, ttl=ttl, now=now)

    async def obtain(self, count=1, *, key=KEY, now=NOW, ttl=TTL):
        """Obtain indexes one after the other, as requests do."""
        got = []
        for _ in range(count):
            got.append(
                self.take(key=key, now=now, ttl=ttl)
                or await self.indexes.obtain(*key, ttl=ttl, now=now)
            )
        await self.settle()
        return got

    async def settle(self):
        """Wait until nothing is under way."""
        indexes = self.indexes
        while tasks := [*indexes._carving.values(), *indexes._spare._reserving.values()]:
            await asyncio.wait(tasks)

    def sizes(self):
        """List the sizes of the blocks in the order of their reservation."""
        owned = sorted(self.store.owned, key=lambda each: (each.reserved_at, each.first))
        return [each.size for each in owned]


async def test_a_block_is_owned_before_a_token_has_an_index_of_it():
    """It says whose it is, and since when; all calls of a moment share it."""
    desk = Desk()
    assert desk.take() is None
    assert not desk.store.owned
    asked = [desk.indexes.obtain(*KEY, ttl=TTL, now=NOW) for _ in range(10)]
    got = await asyncio.gather(*asked)
    bucket = bucket_for(NOW, TTL)
    assert desk.store.owned >= {StatusBlock(bucket, 0, SMALLEST_BLOCK, *KEY, reserved_at=NOW)}
    assert len(set(got)) == 10
    assert {each.bucket for each in got} == {bucket}
    assert sorted(each.index for each in got) != list(range(10))
    assert all(0 <= each.index < SMALLEST_BLOCK for each in got)


async def test_a_client_that_has_ended_gets_no_block():
    """The store knows first: whoever revoked its tokens did not find this block."""
    desk = Desk()
    await desk.obtain(3)
    desk.store.ended.add("app")
    got = await desk.obtain(13)
    assert len(got) == 13
    with pytest.raises(TemporarilyUnavailable) as refused:
        await desk.obtain()
    assert refused.value.reason is Reason.NO_STATUS_INDEX
    assert await desk.obtain(key=("other", "other", "urn:orders"))
    desk.store.ended.clear()
    assert await desk.obtain()


async def test_a_client_that_is_fast_never_waits_after_its_first_token():
    """The next block is carved when half of one is gone, twice as large until the bound."""
    desk = Desk()
    await desk.obtain()
    for _ in range(4_000):
        if desk.take() is None:
            raise AssertionError("a token waits")
        await desk.settle()
    rest = SMALLEST_RANGE - (16 + 32 + 64 + 128 + 256 + 512) - 3 * LARGEST_BLOCK
    assert desk.sizes() == [16, 32, 64, 128, 256, 512, *[LARGEST_BLOCK] * 3, rest]


async def test_a_client_that_is_slow_has_one_block_a_window():
    """It carves none ahead; blocks that it hardly uses become smaller again."""
    desk = Desk()
    await desk.obtain(170)
    assert desk.sizes() == [16, 32, 64, 128]
    for window in range(1, 6):
        await desk.obtain(2, now=NOW + window * WINDOW)
    assert desk.sizes() == [16, 32, 64, 128, 128, 64, 32, 16, 16]
    begin = NOW + 6 * WINDOW
    await desk.obtain(7, now=begin)
    await desk.obtain(9, now=begin + WINDOW // 2)
    assert desk.sizes()[9:] == [16]
    await desk.obtain(1, now=begin + WINDOW - 1)
    assert desk.sizes()[9:] == [16, 32]


async def test_tokens_that_do_not_fit_a_block_get_another():
    """After its window, before it began, and if they live longer than its bucket."""
    desk = Desk()
    first = (await desk.obtain())[0]
    assert desk.take(now=NOW + WINDOW - 1).bucket == first.bucket
    assert desk.take(now=NOW + WINDOW) is None
    assert desk.take(now=NOW - 1) is None
    assert desk.take(ttl=60).bucket == first.bucket
    assert desk.take(ttl=TTL + BUCKET + 1) is None
    assert desk.take(key=("app", "other", "urn:orders")) is None
    assert desk.take(key=("app", "app", "urn:bills")) is None
    longer = (await desk.obtain(ttl=TTL + BUCKET + 1))[0]
    assert longer.bucket == first.bucket + 1
    assert desk.take(ttl=TTL).bucket == longer.bucket  # it does for the shorter one too


async def test_owners_in_memory_are_bounded(monkeypatch):
    """The least recently used goes; it gets another block when it comes back."""
    monkeypatch.setattr(module, "MAX_OWNERS", 2)
    desk = Desk()
    for name in ("a", "b"):
        await desk.obtain(key=(name, name, "urn:orders"))
    assert desk.take(key=("a", "a", "urn:orders"))
    await desk.obtain(key=("c", "c", "urn:orders"))
    assert desk.take(key=("b", "b", "urn:orders")) is None
    assert desk.take(key=("a", "a", "urn:orders"))
    assert len(desk.indexes._supplies) == 2


@pytest.mark.parametrize("count", [1, 30, 1_000, 5_000])
async def test_a_flood_reserves_in_proportion_to_its_tokens(count):
    """However many requests of one client come at the same moment."""
    desk = Desk()
    asked = [desk.indexes.obtain(*KEY, ttl=TTL, now=NOW) for _ in range(count)]
    assert len(set(await asyncio.gather(*asked))) == count
    await desk.settle()
    assert sum(desk.sizes()) <= 2 * SMALLEST_BLOCK + 4 * count
    assert len(desk.sizes()) <= 7 + count // 500


async def test_during_an_outage_tokens_get_indexes_until_they_are_used_up():
    """Blocks are in use at once, their owners are written when the store is back."""
    desk = Desk()
    await desk.obtain()
    await desk.indexes.keep_up(NOW)
    desk.store.away = True
    written = set(desk.store.owned)
    got = await desk.obtain(3_000)
    assert len(set(got)) == 3_000
    assert desk.store.owned == written
    waiting = len(desk.indexes._unwritten)
    assert [name for name, _ in desk.told] == ["status.owners_wait"]
    with pytest.raises(StoreUnavailable):
        await desk.indexes.keep_up(NOW)
    assert len(desk.indexes._unwritten) == waiting
    desk.store.away = False
    await desk.indexes.keep_up(NOW)
    assert desk.told[1:] == [("status.owners_written", {"blocks": waiting})]
    for position in got:
        assert [
            block
            for block in desk.store.owned
            if block.bucket == position.bucket
            and block.first <= position.index < block.first + block.size
        ]


async def test_an_outage_may_last_as_long_as_known_clients_are_served():
    """The buckets to come are provided for, and so is the time."""
    desk = Desk(outage=7_200)
    await desk.obtain()
    await desk.indexes.keep_up(NOW)
    desk.store.away = True
    for later in range(0, 7_200, 600):
        assert await desk.obtain(20, now=NOW + later)
    desk.store.away = False
    await desk.indexes.keep_up(NOW + 7_200)
    assert not desk.indexes._unwritten


async def test_when_the_reserve_is_used_up_there_is_no_token():
    """Never one that could not be revoked; once the store is back, all is as before."""
    desk = Desk()
    desk.store.away = True
    for _ in range(3):  # the store is asked once, and then only by `keep_up`
        with pytest.raises(TemporarilyUnavailable) as refused:
            await desk.obtain()
        assert refused.value.reason is Reason.NO_STATUS_INDEX
        assert (refused.value.status, refused.value.client_id) == (503, "app")
    with pytest.raises(StoreUnavailable):
        await desk.indexes.keep_up(NOW)
    desk.store.away = False
    await desk.indexes.keep_up(NOW)
    assert await desk.obtain()


async def test_owners_that_wait_are_bounded(monkeypatch):
    """Beyond the bound there is no block, and so no token."""
    monkeypatch.setattr(module, "MAX_UNWRITTEN", 2)
    desk = Desk()
    await desk.obtain(key=("a", "a", "urn:orders"))
    desk.store.away = True
    for name in ("b", "c"):
        await desk.obtain(key=(name, name, "urn:orders"))
    with pytest.raises(TemporarilyUnavailable):
        await desk.obtain(key=("d", "d", "urn:orders"))


async def test_an_owner_whose_answer_was_lost_is_written_again():
    """Once it counts; the block is used all the same."""
    desk = Desk()
    await desk.obtain()
    desk.store.away = desk.store.loses_answers = True
    await desk.obtain(40)
    desk.store.away = desk.store.loses_answers = False
    noted = set(desk.indexes._unwritten)
    assert noted
    await desk.indexes.keep_up(NOW)
    assert noted <= desk.store.owned
    assert len({(each.bucket, each.first) for each in desk.store.owned}) == len(desk.store.owned)


def change(first, size, status=Status.INVALID, bucket=None):
    """Make a change."""
    return StatusChange(1, bucket or bucket_for(NOW, TTL), first, size, status)


@pytest.mark.parametrize(
    ("changes", "dropped"),
    [
        ([change(0, 16)], True),
        ([change(0, 16, Status.SUSPENDED)], True),
        ([change(15, 100)], True),
        ([change(0, 1_000), change(900, 20)], True),
        ([change(900, 20), change(0, 2)], True),
        ([change(0, 16, Status.VALID)], False),
        ([change(16, 16)], False),
        ([change(0, 1), change(1, 1)], False),
        ([change(0, 16, bucket=5)], False),
        ([], False),
    ],
)
async def test_a_block_that_was_revoked_gives_nothing_more(changes, dropped):
    """But for tokens that were revoked one by one, and for what was restored."""
    desk = Desk()
    await desk.obtain()
    desk.indexes.drop(changes)
    assert (desk.take() is None) == dropped


async def test_a_next_block_and_one_that_is_being_written_are_dropped_too():
    """News of the revocation may come before the answer that it was written."""
    desk = Desk()
    await desk.obtain(10)
    desk.indexes.drop([change(0, 48)])
    assert desk.take() is None
    written = asyncio.Event()
    own = desk.store.own

    async def own_slowly(block):
        await own(block)
        await written.wait()

    desk.store.own = own_slowly
    asked = asyncio.create_task(desk.indexes.obtain(*KEY, ttl=TTL, now=NOW))
    while len(desk.store.owned) < 3:
        await asyncio.sleep(0)
    revoked = max(desk.store.owned, key=lambda each: each.first)
    desk.indexes.drop([change(revoked.first, revoked.size)])
    written.set()
    position = await asked
    assert position.index >= revoked.first + revoked.size


async def test_a_request_that_is_given_up_takes_nothing_from_others():
    """The block is carved for all who wait."""
    desk = Desk()
    one, two = (asyncio.create_task(desk.indexes.obtain(*KEY, ttl=TTL, now=NOW)) for _ in "ab")
    await asyncio.sleep(0)
    one.cancel()
    assert isinstance(await two, Position)
    assert len(desk.store.owned) == 1


async def test_ranges_are_reserved_ahead_and_grow_with_use():
    """So that the store is asked seldom, and a bucket that begins has one already."""
    desk = Desk()
    await desk.obtain(40_000)
    assert desk.store.reservations < 8
    await desk.indexes.keep_up(NOW)
    bucket = bucket_for(NOW, TTL)
    counters = {f"status:{bucket + more}" for more in range(4)}
    assert desk.store.counters.keys() == counters
    asked = desk.store.reservations
    await desk.indexes.keep_up(NOW + 1)
    await desk.obtain(100, now=NOW + BUCKET)
    assert desk.store.reservations == asked
    for half_hours in range(1, 12):
        await desk.obtain(now=NOW + half_hours * BUCKET)
        await desk.indexes.keep_up(NOW + half_hours * BUCKET)
    last = desk.store.counters[f"status:{bucket + 11}"]
    assert last <= 2 * SMALLEST_RANGE
    assert max(desk.store.counters.values()) <= 3 * 40_000
    assert len(desk.indexes._spare._ranges) <= 6


async def test_no_range_is_larger_than_the_bound(monkeypatch):
    """However many tokens there are."""
    monkeypatch.setattr("issuer.status.spare.LARGEST_RANGE", 2 * SMALLEST_RANGE)
    desk = Desk()
    sizes = Counter()
    reserve = desk.store.reserve

    async def note(name, count):
        sizes[count] += 1
        return await reserve(name, count)

    desk.store.reserve = note
    await desk.obtain(20_000)
    assert max(sizes) == 2 * SMALLEST_RANGE


async def test_what_no_token_asked_for_in_an_hour_is_given_up():
    """Ranges are held for the lives that tokens have now."""
    desk = Desk()
    await desk.obtain()
    await desk.obtain(ttl=86_400)
    await desk.indexes.keep_up(NOW)
    assert len(desk.indexes._spare._ranges) == 8
    await desk.obtain(now=NOW + 5_400)
    await desk.indexes.keep_up(NOW + 5_400)
    assert len(desk.indexes._spare._ranges) == 4


async def test_a_worker_has_indexes_before_the_first_token():
    """So that an outage, or a store that is slow at that moment, keeps no known client waiting."""
    desk = Desk(outage=7_200)
    assert not desk.indexes.stocked
    await desk.indexes.keep_up(NOW)
    assert desk.indexes.stocked
    desk.store.away = True
    for later in range(0, 7_200, 600):
        for ttl in (300, TTL):
            assert await desk.obtain(20, now=NOW + later, ttl=ttl)


async def test_a_worker_without_a_token_for_hours_keeps_its_indexes():
    """They are those of the buckets of now."""
    desk = Desk()
    for half_hours in range(12):
        await desk.indexes.keep_up(NOW + half_hours * BUCKET)
    desk.store.away = True
    assert await desk.obtain(now=NOW + 11 * BUCKET + 60)
    assert len(desk.indexes._spare._ranges) <= 4


async def test_what_another_server_may_have_lost_is_written_again():
    """Owners of tokens that are alive, and counters; places that are held are given out first."""
    desk = Desk()
    (old,) = await desk.obtain(ttl=60, now=NOW - 2 * BUCKET)
    (first,) = await desk.obtain()
    await desk.indexes.keep_up(NOW)
    desk.store.owned.clear()
    desk.store.counters = Counter(dict.fromkeys(desk.store.counters, 2**20))
    desk.indexes.doubt(NOW)
    for _ in range(2):  # once is enough
        await desk.indexes.keep_up(NOW + 1)
        assert {each.bucket for each in desk.store.owned} == {first.bucket} != {old.bucket}
        assert desk.store.counters[f"status:{first.bucket}"] == 2**20 + SMALLEST_RANGE
    (other,) = await desk.obtain(key=("app2", "app2", "urn:orders"), now=NOW + 1)
    assert other.index < SMALLEST_RANGE
