"""Indexes that this worker reserved ahead, by bucket.

Buckets to come are provided for too: their indexes are there when their time has come. While the
store is away, an index of a later bucket serves as well; its token is on a list for longer than it
lives.
"""

import asyncio
from collections import deque

from issuer.ports import HotStore
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import BUCKET, COUNTER, bucket_for

SMALLEST_RANGE, LARGEST_RANGE = 2**12, 2**17
"""Indexes reserved at once; if it were more, the tokens of many workers would be on more lists."""

_ASKED_SECONDS = 3_600


class SpareIndexes:
    """What is left of the ranges that were reserved. All calls come from one event loop.

    Args:
        store: reserves numbers.
        ttl: seconds that a token lives which asks for nothing else: its bucket is provided for
            before there is one.
        outage: seconds of an outage of the store that are provided for.
    """

    def __init__(self, store: HotStore, *, ttl: int, outage: int) -> None:
        self._store = store
        self._ttl = ttl
        self._ahead = -(-outage // BUCKET) + 1
        self._ranges: dict[int, deque[range]] = {}
        self._count = SMALLEST_RANGE
        # How far ahead of the present half hour buckets were asked for, and when last.
        self._asked: dict[int, int] = {}
        self._reserving: dict[int, asyncio.Task[StoreUnavailable | None]] = {}
        self._away = False
        self._anew = False

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._ranges)

    async def cut(self, bucket: int, size: int, now: int) -> tuple[int, range] | None:
        """Cut off up to `size` indexes, and return them with their bucket.

        Args:
            bucket: the earliest that will do; a later one is given only while the store is away.
            size: how many are wanted.
            now: seconds since the epoch.

        Returns:
            None if there are none, and the store is away.
        """
        self._asked[bucket - now // BUCKET] = now
        while bucket not in self._ranges and not self._away:
            await asyncio.shield(self._reserve(bucket))
        found = min((each for each in self._ranges if each >= bucket), default=None)
        if found is None:
            return None
        spare = self._ranges[found][0]
        part, rest = spare[:size], spare[size:]
        self._ranges[found].popleft()
        if rest:
            self._ranges[found].appendleft(rest)
        elif not self._ranges[found]:
            del self._ranges[found]
        low = self._left(found) < self._count // 2
        if low and not self._away and found not in self._reserving:
            self._count = min(2 * self._count, LARGEST_RANGE)
            self._reserve(found)
        return found, part

    def reserve_anew(self) -> None:
        """Have the next `fill` reserve for every bucket: the store may have lost its counters.

        What is held is given out first; the store reserves none of it again.
        """
        self._anew = True

    async def fill(self, now: int) -> None:
        """Reserve what is missing for the buckets of now and soon; forget those of the past.

        Raises:
            StoreUnavailable: the store is away.
        """
        self._asked[bucket_for(now, self._ttl) - now // BUCKET] = now
        self._asked = {
            ahead: at for ahead, at in self._asked.items() if abs(now - at) <= _ASKED_SECONDS
        }
        wanted = {
            now // BUCKET + ahead + more for ahead in self._asked for more in range(self._ahead + 1)
        }
        for bucket in self._ranges.keys() - wanted:
            if self._left(bucket) > self._count * 3 // 4:
                self._count = max(self._count // 2, SMALLEST_RANGE)
            del self._ranges[bucket]
        self._away = False
        missing = [
            each for each in sorted(wanted) if self._anew or self._left(each) < self._count // 2
        ]
        for error in await asyncio.gather(*map(self._reserve, missing)):
            if error is not None:
                raise error
        self._anew = False

    def _left(self, bucket: int) -> int:
        return sum(map(len, self._ranges.get(bucket, ())))

    def _reserve(self, bucket: int) -> asyncio.Task[StoreUnavailable | None]:
        task = self._reserving.get(bucket)
        if task is None:
            task = self._reserving[bucket] = asyncio.create_task(self._reserve_now(bucket))
            task.add_done_callback(lambda _: self._reserving.pop(bucket))
        return task

    async def _reserve_now(self, bucket: int) -> StoreUnavailable | None:
        count = self._count
        try:
            first = await self._store.reserve(f"{COUNTER}{bucket}", count)
        except StoreUnavailable as error:
            self._away = True
            return error
        self._ranges.setdefault(bucket, deque()).append(range(first, first + count))
        return None
