"""Give each token an index on a status list, from blocks that belong to its client.

A token takes an index from a block in memory. Blocks are carved, ahead of need where they are used
up fast, from ranges of numbers that this worker reserved ahead for each bucket. Who owns a block is
written before a token takes an index from it; while the store is away, as soon as it is back.
"""

import asyncio
from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.events import Event, EventSink
from issuer.ports import HotStore
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import (
    WINDOW,
    Position,
    Status,
    StatusBlock,
    StatusChange,
    bucket_end,
    bucket_for,
)
from issuer.status.spare import SpareIndexes

SMALLEST_BLOCK, LARGEST_BLOCK = 16, 1_024
"""Indexes of the first block of a client, and of one that uses up every block before its window."""

MAX_OWNERS = 10_000
"""Whose blocks are in memory; each has two at the most, one in use and the next."""

MAX_UNWRITTEN = 20_000
"""Blocks in use whose owner is not written yet."""

MAX_DOUBTFUL = 4_096
"""Blocks whose owners were written last, and may be lost when another server takes over."""

_WRITTEN_AT_ONCE = 256

Key = tuple[str, str, str]
"""Client, subject and resource."""


class _Block:
    """What is left of a block."""

    __slots__ = ("bucket", "end", "first", "left", "since", "size", "until")

    def __init__(self, block: StatusBlock) -> None:
        self.bucket, self.first, self.size = block.bucket, block.first, block.size
        self.since = block.reserved_at
        self.until = block.reserved_at + WINDOW
        self.end = bucket_end(block.bucket)
        self.left = array("H", range(block.size))

    def fits(self, ttl: int, now: int) -> bool:
        """Tell whether a token that is issued now may have an index of it."""
        return bool(self.left) and self.since <= now < self.until and now + ttl <= self.end


class _Supply:
    """The block that is in use, and the next one."""

    __slots__ = ("block", "next", "size")

    def __init__(self, block: _Block, size: int) -> None:
        self.block = block
        self.next: _Block | None = None
        self.size = size


class StatusIndexes:
    """Gives out indexes, each once. All calls come from one event loop.

    Args:
        store: reserves numbers and writes who owns them.
        new_random: returns so many random bytes.
        events: told when owners cannot be written, and when they are.
        ttl: seconds that a token lives where neither client nor resource says otherwise.
        outage: seconds of an outage of the store for which indexes are kept in reserve.
    """

    def __init__(
        self,
        store: HotStore,
        *,
        new_random: Callable[[int], bytes],
        events: EventSink,
        ttl: int = 3_600,
        outage: int = 3_600,
    ) -> None:
        self._store = store
        self._new_random = new_random
        self._events = events
        self._spare = SpareIndexes(store, ttl=ttl, outage=outage)
        self._supplies: OrderedDict[Key, _Supply] = OrderedDict()
        self._carving: dict[Key, asyncio.Task[bool]] = {}
        self._fresh: dict[Key, _Block] = {}
        self._unwritten: deque[StatusBlock] = deque()
        self._written: deque[StatusBlock] = deque(maxlen=MAX_DOUBTFUL)
        self._doubtful: deque[StatusBlock] = deque()

    @property
    def stocked(self) -> bool:
        """Tell whether numbers are reserved, so that a token needs no answer of the store."""
        return bool(self._spare)

    def take(
        self, client_id: str, subject: str, resource: str, *, ttl: int, now: int
    ) -> Position | None:
        """Take an index from a block in memory, if there is one.

        Args:
            client_id: whom the token is issued to.
            subject: its `sub`.
            resource: its audience.
            ttl: seconds that it lives.
            now: seconds since the epoch, its `iat`.
        """
        key = (client_id, subject, resource)
        supply = self._supplies.get(key)
        if supply is None:
            return None
        block = supply.block
        if not block.fits(ttl, now):
            if supply.next is None or not supply.next.fits(ttl, now):
                return None
            block = supply.block = supply.next
            supply.next = None
        self._supplies.move_to_end(key)
        left = block.left
        place = int.from_bytes(self._new_random(4)) % len(left)
        offset = left[place]
        left[place] = left[-1]
        left.pop()
        if len(left) == block.size // 2 and supply.next is None and now - block.since < WINDOW / 2:
            self._carve(key, ttl, now)  # the rest will be gone before its window is over
        return Position(block.bucket, block.first + offset)

    async def obtain(
        self, client_id: str, subject: str, resource: str, *, ttl: int, now: int
    ) -> Position:
        """Take an index, after a block was carved if there is none; the arguments are of `take`.

        Raises:
            TemporarilyUnavailable: the store is away and what was kept in reserve is used up. There
                is no token that could not be revoked.
        """
        key = (client_id, subject, resource)
        while (position := self.take(*key, ttl=ttl, now=now)) is None:
            # Shielded: a request that is given up must not take the block from others.
            if not await asyncio.shield(self._carve(key, ttl, now)):
                raise TemporarilyUnavailable(Reason.NO_STATUS_INDEX, client_id=client_id)
        return position

    def drop(self, changes: Iterable[StatusChange]) -> None:
        """Give out no more indexes of blocks that were revoked or suspended.

        Indexes that were changed one by one are of tokens that are issued already.
        """
        wide = [each for each in changes if each.size > 1 and each.status is not Status.VALID]
        if not wide:
            return
        starts: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}  # the greatest of all ranges up to that place
        for change in sorted(wide, key=lambda each: each.first):
            greatest = ends.setdefault(change.bucket, [0])
            greatest.append(max(greatest[-1], change.first + change.size))
            starts.setdefault(change.bucket, []).append(change.first)
        for block in self._blocks():
            if block.bucket in starts:
                before = bisect_left(starts[block.bucket], block.first + block.size)
                if ends[block.bucket][before] > block.first:
                    del block.left[:]

    async def keep_up(self, now: int) -> None:
        """Write owners that could not be written, and reserve numbers ahead; to be called often.

        Raises:
            StoreUnavailable: the store is away.
        """
        await self.write_owners()
        await self._spare.fill(now)

    async def write_owners(self) -> None:
        """Write the owners of blocks that were carved while the store was away.

        Raises:
            StoreUnavailable: it still is; what was not written waits.
        """
        if count := await self._write_all(self._unwritten):
            self._events(Event.STATUS_OWNERS_WRITTEN, blocks=count)
        await self._write_all(self._doubtful)

    def doubt(self, now: int) -> None:
        """Have what was written last written again: another server is in charge of the store.

        It may be a standby that lacks owners and counters. What it has stays as it is.
        """
        self._spare.reserve_anew()
        self._doubtful.extend(each for each in self._written if bucket_end(each.bucket) > now)
        self._written.clear()

    async def _write_all(self, blocks: deque[StatusBlock]) -> int:
        count = 0
        while blocks:
            some = list(islice(blocks, _WRITTEN_AT_ONCE))
            await asyncio.gather(*map(self._store.own, some))
            self._written.extend(some)
            for _ in some:
                blocks.popleft()
            count += len(some)
        return count

    def _blocks(self) -> Iterator[_Block]:
        for supply in self._supplies.values():
            yield supply.block
            if supply.next is not None:
                yield supply.next
        yield from self._fresh.values()

    def _carve(self, key: Key, ttl: int, now: int) -> asyncio.Task[bool]:
        """Begin to carve a block, or join the carving that is under way; True if there is one."""
        task = self._carving.get(key)
        if task is None:
            task = self._carving[key] = asyncio.create_task(self._carve_now(key, ttl, now))
            task.add_done_callback(lambda _: self._carving.pop(key))
        return task

    async def _carve_now(self, key: Key, ttl: int, now: int) -> bool:
        size = self._next_size(key, ttl, now)
        cut = await self._spare.cut(bucket_for(now, ttl), size, now)
        if cut is None:
            return False
        bucket, indexes = cut
        owned = StatusBlock(bucket, indexes.start, len(indexes), *key, reserved_at=now)
        # News that it was revoked may come as soon as it is written.
        block = self._fresh[key] = _Block(owned)
        try:
            if not await self._own(owned):
                return False
        finally:
            del self._fresh[key]
        supply = self._supplies.get(key)
        if supply is None:
            self._supplies[key] = _Supply(block, size)
            if len(self._supplies) > MAX_OWNERS:
                self._supplies.popitem(last=False)
        else:
            supply.next, supply.size = block, size
        return True

    def _next_size(self, key: Key, ttl: int, now: int) -> int:
        supply = self._supplies.get(key)
        if supply is None:
            return SMALLEST_BLOCK
        block = supply.block
        if not block.left or block.fits(ttl, now):  # used up, or soon
            return min(2 * supply.size, LARGEST_BLOCK)
        if len(block.left) > block.size * 3 // 4:
            return max(supply.size // 2, SMALLEST_BLOCK)
        return supply.size

    async def _own(self, block: StatusBlock) -> bool:
        """Write who owns a block, or note to do it; False if it must not be used.

        Its client has ended, or too many blocks wait to be written.
        """
        if not self._unwritten:  # else the store is away
            try:
                ended = await self._store.own(block)
                self._written.append(block)
                return not ended
            except StoreUnavailable:
                pass
        if len(self._unwritten) >= MAX_UNWRITTEN:
            return False
        if not self._unwritten:
            self._events(Event.STATUS_OWNERS_WAIT)
        self._unwritten.append(block)
        return True
