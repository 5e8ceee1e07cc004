"""The status of this provider's tokens: the lists follow the registry's changes, and are served."""

from collections.abc import Callable
from functools import partial

from issuer.config import IssuerConfig
from issuer.endpoints.status_list import StatusListEndpoint
from issuer.service import SigningKeys
from issuer.status.lists import StatusLists
from issuer.status.positions import Position, Status, StatusBlock
from issuer.storage.hot import BatchedWrites
from issuer.storage.registry import Registry
from issuer.storage.source import ThreadedSource
from issuer.storage.status import READ_AT_MOST


class RegistryWrites:
    """The `HotStore` of a registry that may be opened later; used and closed on one event loop.

    Args:
        registry: what is written to.
        timeout: seconds to wait for it.

    Raises:
        StoreUnavailable: from each method, also while the registry is not open yet.
    """

    def __init__(self, registry: Registry, *, timeout: float) -> None:
        self._registry = registry
        self._timeout = timeout
        self._opened: BatchedWrites | None = None

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `HotStore`."""
        return await self._store().claim(scope, id, until)

    async def reserve(self, name: str, count: int) -> int:
        """Reserve a block of numbers; see `HotStore`."""
        return await self._store().reserve(name, count)

    async def own(self, block: StatusBlock) -> None:
        """Write who owns a block; see `HotStore`."""
        await self._store().own(block)

    async def set_status(self, position: Position, status: Status) -> None:
        """Give a token another status; see `HotStore`."""
        await self._store().set_status(position, status)

    async def close(self) -> None:
        """Refuse what waits, and end."""
        if self._opened is not None:
            await self._opened.close()

    def _store(self) -> BatchedWrites:
        if self._opened is None:
            self._opened = self._registry.open_hot_store(timeout=self._timeout)
        return self._opened


class TokenStatus:
    """What became of the tokens of this issuer.

    Args:
        config: the issuer's own settings.
        registry: what the changes are read of.
        source: reads it off the event loop.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        config: IssuerConfig,
        registry: Registry,
        source: ThreadedSource,
        *,
        clock: Callable[[], int],
    ) -> None:
        self.lists = StatusLists(longest=config.max_token_ttl)
        self._config = config
        self._registry = registry
        self._source = source
        self._clock = clock
        self._cursor = 0

    def endpoint(self, keys: SigningKeys) -> StatusListEndpoint:
        """Return what serves the lists, signed by the key that signs tokens."""
        return StatusListEndpoint(self.lists, keys, self._config, clock=self._clock)

    async def look(self) -> None:
        """Read the changes since the last look.

        Raises:
            RegistryError: the registry does not answer; the lists are as old as they were.
        """
        more = True
        while more:
            as_of, cursor = self._clock(), self._cursor
            news = await self._source.follow(partial(self._registry.status_news, cursor))
            if cursor and news.feed != self.lists.feed:
                # Such as after a restore. What was known stays: nothing revoked comes back.
                self._cursor = 0
                continue
            more = len(news.changes) == READ_AT_MOST
            self.lists.apply(
                news.changes, None if more else as_of, counts=news.counts, feed=news.feed
            )
            if news.changes:
                self._cursor = news.changes[-1].number
