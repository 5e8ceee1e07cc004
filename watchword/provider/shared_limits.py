"""Share what this process has counted for the limits of clients, and log who was limited."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from issuer.events import Event, EventSink
from issuer.limits import REPORTED, WINDOW, Limited, Limits
from issuer.ports import HotStore
from issuer.registry.errors import StoreUnavailable
from issuer.replay import CLOCK_SKEW

SHARE_SECONDS = 1.0
"""Between two sharings: so late the processes of all nodes know of each other's counts."""

SHARED_AT_ONCE = 256
"""Counts of a limit that are shared at a time; the largest go first, so that a flood of invented
ids costs the database one batch a second."""

RECENT_SECONDS = 3600
"""For which it is remembered who was limited."""

TOLD_AGAIN = 3600
"""Seconds after which a client that keeps no token is logged again."""


class RecentlyLimited(NamedTuple):
    """Whose requests were beyond a limit, how many, and when last in seconds since the epoch."""

    limited: Limited
    requests: int
    last_at: int


class SharedLimits:
    """Keeps the limits of one process in step with those of all others.

    Args:
        limits: what this process counts.
        writes: where all processes count together.
        clock: seconds since the epoch.
        events: where `request.limited` and `client.not_caching` go.
    """

    def __init__(
        self, limits: Limits, writes: HotStore, *, clock: Callable[[], int], events: EventSink
    ) -> None:
        self._limits = limits
        self._writes = writes
        self._clock = clock
        self._events = events
        self._recent: OrderedDict[Limited, RecentlyLimited] = OrderedDict()

    def recent(self, now: int) -> list[RecentlyLimited]:
        """Tell whose requests to this process were beyond a limit in the last hour, latest first.

        From any thread.
        """
        remembered = reversed(tuple(self._recent.values()))
        return [each for each in remembered if each.last_at > now - RECENT_SECONDS]

    async def share(self) -> None:
        """Log and share what there is to since the last call.

        While the database does not answer, this process counts alone.
        """
        for limited, requests in self._limits.take_limited().items():
            self._remember(limited, requests)
            limit, client_id, address = limited
            self._events(
                Event.REQUEST_LIMITED,
                limit=limit,
                client_id=client_id,
                address=address,
                requests=requests,
            )
        with suppress(StoreUnavailable):  # the job "registry" reports the outage
            await self._count_together()
            await self._tell_without_cache()

    def _remember(self, limited: Limited, requests: int) -> None:
        now = self._clock()
        before = self._recent.pop(limited, None)
        if before is not None and before.last_at > now - RECENT_SECONDS:
            requests += before.requests
        self._recent[limited] = RecentlyLimited(limited, requests, now)
        if len(self._recent) > REPORTED:
            self._recent.popitem(last=False)

    async def _count_together(self) -> None:
        now = self._clock()
        window = now // WINDOW
        for limit, tally in self._limits.tallies.items():
            unshared = tally.take_unshared(now, SHARED_AT_ONCE)
            counting = [
                self._writes.count(limit, f"{window}:{key}", by, (window + 1) * WINDOW + CLOCK_SKEW)
                for key, by in unshared.items()
            ]
            totals = await asyncio.gather(*counting)
            for key, total in zip(unshared, totals, strict=True):
                tally.learn(key, total, now)

    async def _tell_without_cache(self) -> None:
        until = self._clock() + TOLD_AGAIN
        for client_id in self._limits.take_without_cache():
            if await self._writes.claim(Event.CLIENT_NOT_CACHING, client_id, until):
                self._events(Event.CLIENT_NOT_CACHING, client_id=client_id)
