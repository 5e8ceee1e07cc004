"""Have what counts once count once: client assertions and DPoP proofs.

RFC 7523 §3, RFC 9449 §11.1.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol

PERIOD = 8
"""Seconds of expiry whose claims `RecentProofs` forgets together."""


class ReplayStoreUnavailable(Exception):
    """A store of claims does not answer or is full: whether a claim was free is not known."""


class ReplayStore(Protocol):
    """Remembers what was claimed, for all who share it."""

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id, once for all who ask: true for one caller, false for every other.

        It is asked last, when all else was checked: a stranger must not use up ids of others.

        Args:
            scope: what the id is unique in, such as the client or the key that made it.
            id: of any length; only a digest is kept.
            until: seconds since the epoch until which it stays claimed. It may stay so longer.

        Raises:
            ReplayStoreUnavailable: the store cannot tell. The claim may have been made.
        """
        ...


class RecentProofs:
    """A `ReplayStore` in the memory of one process, for claims that expire within minutes.

    Calls come from one thread. What has expired is removed by period, a small part of the whole. In
    a full store the period that expires first is removed, and from then on everything that expires
    no later than that is refused: a replay is never taken for the first, however many claims come.

    Args:
        size: claims that are remembered. Each takes about 100 bytes, 130 at the most: the default
            takes 100 MB when it is full.
        clock: seconds since the epoch.
    """

    def __init__(self, size: int = 1_000_000, *, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._periods: dict[int, set[bytes]] = {}
        self._count = 0
        self._last_removed = 0

    def __len__(self) -> int:
        """Return how many claims are remembered."""
        return self._count

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `ReplayStore`. It never waits, and is never unavailable."""
        self._remove_before(int(self._clock()) // PERIOD)
        digest = claim_digest(scope, id)
        # The same id may have been claimed until another time, so all of the few are searched.
        for claimed in self._periods.values():
            if digest in claimed:
                return False
        period, oldest = until // PERIOD, min(self._periods, default=0)
        is_full = self._count >= self._size
        if period <= (oldest if is_full else self._last_removed):
            return False
        if is_full:
            self._remove_before(oldest + 1)
        self._periods.setdefault(period, set()).add(digest)
        self._count += 1
        return True

    def _remove_before(self, period: int) -> None:
        if period <= self._last_removed + 1:
            return
        self._last_removed = period - 1
        for each in [each for each in self._periods if each < period]:
            self._count -= len(self._periods.pop(each))


def claim_digest(scope: str, id: str) -> bytes:
    """Return what a store keeps of a claim: 16 bytes."""
    text = f"{len(scope)}:{scope}{id}"  # no other scope and id make the same text
    # 128 bits: another id of the same digest cannot be found, and an index stays small.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
