"""The status of this provider's tokens: the lists follow the registry's changes, and are served."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from issuer.config import IssuerConfig
from issuer.endpoints.status_list import StatusListEndpoint
from issuer.events import EventSink
from issuer.ports import HotStore
from issuer.registry.errors import StoreUnavailable
from issuer.service import SigningKeys
from issuer.status.indexes import StatusIndexes
from issuer.status.lists import StatusLists
from issuer.status.positions import BUCKET
from issuer.storage.registry import Registry
from issuer.storage.source import ThreadedSource
from issuer.storage.status import READ_AT_MOST
from watchword.ambient import random_ids

PRUNE_SECONDS = 3_600.0
"""Between two removals of what is known of tokens that have ended."""


class TokenStatus:
    """Where the tokens of this issuer stand on status lists, and what became of them.

    Args:
        config: the issuer's own settings.
        registry: what the changes are read of.
        source: reads it off the event loop.
        writes: reserves places on the lists, and keeps whose they are.
        clock: seconds since the epoch.
        events: where log events go.
    """

    def __init__(
        self,
        config: IssuerConfig,
        registry: Registry,
        source: ThreadedSource,
        writes: HotStore,
        *,
        clock: Callable[[], int],
        events: EventSink,
    ) -> None:
        # In an outage of the registry a token may stand on a list of a later bucket than it needs.
        ahead = config.outage_seconds + BUCKET
        self.lists = StatusLists(longest=config.max_token_ttl + ahead)
        self.indexes = StatusIndexes(
            writes,
            new_random=random_ids,
            events=events,
            ttl=config.token_ttl,
            outage=config.outage_seconds,
        )
        self._config = config
        self._registry = registry
        self._source = source
        self._clock = clock
        self._cursor = 0
        # What another server that took over says, from the first change on; None once that is read.
        self._told_anew: StatusLists | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_clock = clock()

    @property
    def ready(self) -> bool:
        """Tell whether the first tokens have places, and their lists can be served."""
        return self.indexes.stocked and self.lists.as_of is not None

    def start(self) -> None:
        """Note on which event loop tokens are issued."""
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Write what has waited for the registry, if it answers."""
        with suppress(StoreUnavailable):
            await self.indexes.write_owners()

    async def keep_up(self) -> None:
        """See to it that tokens find places on the lists."""
        with suppress(StoreUnavailable):  # the job "registry" reports the outage
            await self.indexes.keep_up(self._clock())

    async def prune(self) -> None:
        """Remove what is known of tokens that have ended; to be called once in `PRUNE_SECONDS`.

        They have if the clock said so the last time and still does: one that was ahead for a while
        takes away nothing.

        Raises:
            RegistryError: the registry does not answer.
        """
        now = self._clock()
        ended_by = min(self._read_clock, now)
        await asyncio.to_thread(self._registry.prune_status, ended_by=ended_by)
        self._read_clock = now

    def endpoint(self, keys: SigningKeys) -> StatusListEndpoint:
        """Return what serves the lists, signed by the key that signs tokens."""
        return StatusListEndpoint(self.lists, keys, self._config, clock=self._clock)

    async def look(self) -> None:
        """Read the changes since the last look.

        Raises:
            RegistryError: the registry does not answer; the lists are as old as they were.
        """
        more = True
        if (self.lists.as_of or 0) > self._clock():
            self._cursor = 0  # the clock was ahead: lists that seemed to be over may be gone
        while more:
            as_of, cursor = self._clock(), self._cursor
            news = await self._source.follow(partial(self._registry.status_news, cursor))
            if cursor and news.feed != self.lists.feed:
                # Such as after a failover. What was known stays: nothing revoked comes back.
                self._cursor = 0
                continue
            if self.lists.feed not in ("", news.feed):
                self._on_loop(self.indexes.doubt, as_of)
                self._told_anew = StatusLists(longest=0)
            more = len(news.changes) == READ_AT_MOST
            for lists in filter(None, (self._told_anew, self.lists)):
                lists.apply(
                    news.changes, None if more else as_of, counts=news.counts, feed=news.feed
                )
            if news.changes:
                self._on_loop(self.indexes.drop, news.changes)
                self._cursor = news.changes[-1].number
        await self._revoke_again()

    async def _revoke_again(self) -> None:
        """Write what is known to be revoked to a server that took over and does not know it."""
        if self._told_anew is not None:
            if lost := list(self.lists.revoked_beyond(self._told_anew)):
                await self._source.follow(partial(self._registry.revoke_again, lost))
            self._told_anew = None

    def _on_loop(self, call: Callable[[Any], None], argument: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call, argument)
