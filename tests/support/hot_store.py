"""A `HotStore` in memory that several workers share, and simpler ones."""

import asyncio
from collections import Counter

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, StatusBlock


class SharedStore:
    """What all workers write to: claims, counts, counters, and who owns which block."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.claimed: set[tuple[str, str]] = set()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.owned: set[StatusBlock] = set()
        self.ended: set[str] = set()
        """Clients that were disabled or deleted."""
        self.reservations = 0
        self.away = False
        self.loses_answers = False
        """Whether what is asked for is done, and the answer lost."""

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.away and not self.loses_answers:
            raise StoreUnavailable("the store is away")

    def _leave(self) -> None:
        if self.loses_answers:
            raise StoreUnavailable("the answer was lost")

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id, for good."""
        await self._answer()
        claimed = (scope, id) not in self.claimed
        self.claimed.add((scope, id))
        return claimed

    async def count(self, scope: str, id: str, by: int, until: int) -> int:
        """Add to a count."""
        await self._answer()
        self.counts[scope, id] += by
        return self.counts[scope, id]

    async def reserve(self, name: str, count: int) -> int:
        """Reserve numbers."""
        await self._answer()
        first = self.counters[name]
        self.counters[name] += count
        self.reservations += 1
        self._leave()
        return first

    async def own(self, block: StatusBlock) -> bool:
        """Note the owner of a block."""
        await self._answer()
        self.owned.add(block)
        self._leave()
        return block.client_id in self.ended


class StatusStore:
    """A hot store that takes statuses and claims, and can be away."""

    def __init__(self) -> None:
        self.statuses: list[tuple[Position, Status]] = []
        self.claims: list[tuple[str, str, int]] = []
        self.is_away = False

    async def set_status(self, position: Position, status: Status) -> None:
        """Note the status."""
        if self.is_away:
            raise StoreUnavailable("away")
        self.statuses.append((position, status))

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id, for good."""
        if self.is_away:
            raise StoreUnavailable("away")
        self.claims.append((scope, id, until))
        return [each[:2] for each in self.claims].count((scope, id)) == 1

    async def reserve(self, name: str, count: int) -> int:
        """Reserve nothing."""
        raise NotImplementedError

    async def own(self, block: StatusBlock) -> bool:
        """Own nothing."""
        raise NotImplementedError


class NoPlaces:
    """Gives no token a place on a status list."""

    def take(self, *whose: str, ttl: int, now: int) -> None:
        """Give none."""

    async def obtain(self, *whose: str, ttl: int, now: int) -> None:
        """Give none."""
