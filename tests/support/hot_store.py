"""A `HotStore` in memory that several workers share, and that can be away."""

import asyncio
from collections import Counter

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import StatusBlock


class SharedStore:
    """What all workers write to: counters, and who owns which block."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
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
        """Claim nothing: no test needs it."""
        raise NotImplementedError

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
