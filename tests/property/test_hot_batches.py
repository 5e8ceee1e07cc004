"""Whatever comes together in a batch, each id is claimed once and no number is given twice."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, StatusBlock
from issuer.storage.hot import BATCH, BatchedWrites, Written

CLAIM = st.tuples(
    st.just("claim"), st.sampled_from(["a", "ab"]), st.sampled_from(["b", "", "\ud800"])
)
RESERVE = st.tuples(st.just("reserve"), st.sampled_from("xy"), st.integers(1, 5))
OWN = st.tuples(
    st.just("own"),
    st.builds(StatusBlock, *[st.integers(0, 3)] * 3, *[st.just("a")] * 3, st.just(0)),
)
SET = st.tuples(
    st.just("set_status"),
    st.builds(Position, st.integers(0, 1), st.integers(0, 1)),
    st.sampled_from(Status),
)
COUNT = st.tuples(
    st.just("count"), st.sampled_from(["a", "ab"]), st.sampled_from(["b", ""]), st.integers(1, 5)
)
CALL = st.one_of(CLAIM, RESERVE, OWN, SET, COUNT)
TURN = st.tuples(st.lists(CALL, max_size=12), st.booleans())


class Database:
    """What a batch is written to: a set and counters, and batches that fail on demand."""

    timeout = 5

    def __init__(self):
        self.claimed = set()
        self.counters = Counter()
        self.owned = set()
        self.statuses = []
        self.counts = Counter()
        self.failing = False
        self.sizes = []

    async def write(self, batch):
        """Write all of a batch, or nothing."""
        await asyncio.sleep(0)
        if self.failing:
            raise StoreUnavailable("the store is away")
        self.sizes.append(len(batch.claims) + len(batch.blocks))
        self.counts.update({digest: by for digest, (by, _) in batch.counts.items()})
        self.owned.update(batch.owned)
        self.statuses += batch.statuses
        new = frozenset(batch.claims) - self.claimed
        self.claimed |= new
        firsts = {name: self.counters[name] for name in batch.blocks}
        self.counters.update(batch.blocks)
        counted = {digest: self.counts[digest] for digest in batch.counts}
        return Written(new, firsts, counted=counted)

    async def close(self):
        """Hold nothing."""


class Silent(Database):
    """What never answers."""

    async def write(self, batch):
        """Wait."""
        await asyncio.Event().wait()


def _make(store, kind, *arguments):
    until = (9,) if kind in ("claim", "count") else ()
    return getattr(store, kind)(*arguments, *until)


async def run(turns):
    """Make the calls of each turn at once; returns each call with its answer."""
    database = Database()
    store = BatchedWrites(lambda: database)
    answers = []
    for calls, failing in turns:
        database.failing = failing
        made = [_make(store, *call) for call in calls]
        answers += zip(calls, await asyncio.gather(*made, return_exceptions=True), strict=True)
    return answers, database


@given(st.lists(TURN, max_size=6))
def test_an_id_is_claimed_once_and_a_number_given_once(turns):
    """Scope and id together are the id; a failed call neither claims nor is told of a number."""
    answers, database = asyncio.run(run(turns))
    wins, numbers, owned, statuses, counted = Counter(), Counter(), set(), [], Counter()
    for call, answer in answers:
        if isinstance(answer, StoreUnavailable):
            continue
        if call[0] == "claim":
            wins[call[1:]] += answer
        elif call[0] == "count":
            counted[call[1:3]] += call[3]
            assert answer >= counted[call[1:3]]
        elif call[0] == "own":
            owned.add(call[1])
        elif call[0] == "set_status":
            statuses.append(call[1:])
        else:
            numbers.update((call[1], answer + place) for place in range(call[2]))
    asked = {
        call[1:] for call, answer in answers if call[0] == "claim" and isinstance(answer, bool)
    }
    assert wins == dict.fromkeys(asked, 1)
    assert owned == database.owned
    assert sorted(counted.values()) == sorted(database.counts.values())
    assert statuses == database.statuses
    assert set(numbers.values()) <= {1}
    assert all(
        sorted(number for name, number in numbers if name == counter)
        == list(range(database.counters[counter]))
        for counter in "xy"
    )


@given(st.integers(1, 3 * BATCH))
def test_calls_of_one_turn_are_written_together(count):
    """As many batches as their size makes necessary, none larger than the bound."""
    calls = [("claim", "a", str(number)) for number in range(count)]
    _, database = asyncio.run(run([(calls, False)]))
    assert sum(database.sizes) == count
    assert max(database.sizes) <= BATCH
    assert len(database.sizes) == -(-count // BATCH)


def test_no_caller_waits_for_a_cancelled_or_closed_writer():
    """Each is refused, those that come after the end as well."""

    async def play():
        hot = BatchedWrites(Silent)
        claims = [asyncio.create_task(hot.claim("a", "b", 1)) for _ in range(2)]
        while hot._writing is None:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        hot._writing.cancel()
        ends = await asyncio.wait_for(asyncio.gather(*claims, return_exceptions=True), 30)
        await hot.close()
        return [*ends, *await asyncio.gather(hot.claim("a", "b", 1), return_exceptions=True)]

    assert [type(end) for end in asyncio.run(play())] == [StoreUnavailable] * 3


def test_a_store_that_cannot_be_opened_yet_is_tried_by_each_batch():
    """The first one that succeeds serves all that follow."""

    async def play():
        database, left = Database(), [StoreUnavailable("not yet")] * 2

        def open_store():
            if left:
                raise left.pop()
            left.extend([StoreUnavailable("opened twice")] * 9)
            return database

        hot = BatchedWrites(open_store)
        claims = (
            await asyncio.gather(hot.claim("a", id, 1), return_exceptions=True) for id in "wxyz"
        )
        return [answer async for (answer,) in claims]

    refused, again, *served = asyncio.run(play())
    assert isinstance(refused, StoreUnavailable)
    assert isinstance(again, StoreUnavailable)
    assert served == [True, True]
