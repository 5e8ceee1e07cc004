"""Have what counts once count once: client assertions and DPoP proofs.

RFC 7523 §3, RFC 9449 §11.1.
"""

import hashlib
from array import array
from collections.abc import Callable
from typing import Protocol

PERIOD = 8
"""Seconds of expiry whose claims `RecentProofs` forgets together."""
_SHARES = 8192
"""Into which scopes are counted: 32 KB a period, whatever number of scopes there is."""


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

    Calls come from one thread. What has expired is removed by period, a small part of the whole.
    Nothing else is: a replay is never taken for the first, however many claims come. Each scope may
    have as many claims as are left free, so that one caller takes a half at most, two take a third
    each, and there is always room for those that have few.

    Args:
        size: claims that are remembered. Each takes about 100 bytes, 130 at the most: the default
            takes 100 MB when it is full.
        clock: seconds since the epoch.
    """

    def __init__(self, size: int = 1_000_000, *, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._periods: dict[int, _Period] = {}
        self._count = 0
        self._last_removed = 0

    def __len__(self) -> int:
        """Return how many claims are remembered."""
        return self._count

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id; see `ReplayStore`. It never waits.

        Raises:
            ReplayStoreUnavailable: the scope has used its share up, until claims expire.
        """
        self._remove_before(int(self._clock()) // PERIOD)
        # Hashes of text differ from process to process, so that nobody can aim at a share.
        digest, share = claim_digest(scope, id), hash(scope) % _SHARES
        # The same id may have been claimed until another time, so all of the few are searched.
        for claimed in self._periods.values():
            if digest in claimed.digests:
                return False
        period = until // PERIOD
        if period <= self._last_removed:
            return False
        left = self._size - self._count
        # Nobody has used up more than all, so that the sum is needed in the second half alone.
        if self._count >= left <= sum(each.used[share] for each in self._periods.values()):
            raise ReplayStoreUnavailable
        claimed = self._periods.setdefault(period, _Period())
        claimed.digests.add(digest)
        claimed.used[share] += 1
        self._count += 1
        return True

    def _remove_before(self, period: int) -> None:
        if period <= self._last_removed + 1:
            return
        self._last_removed = period - 1
        for each in [each for each in self._periods if each < period]:
            self._count -= len(self._periods.pop(each).digests)


class _Period:
    """The claims that expire within the same few seconds.

    Attributes:
        digests: what is claimed.
        used: how many of them there are by share; scopes are spread over the shares.
    """

    __slots__ = ("digests", "used")

    def __init__(self) -> None:
        self.digests: set[bytes] = set()
        self.used = array("I", bytes(4 * _SHARES))


def claim_digest(scope: str, id: str) -> bytes:
    """Return what a store keeps of a claim: 16 bytes."""
    text = f"{len(scope)}:{scope}{id}"  # no other scope and id make the same text
    # 128 bits: another id of the same digest cannot be found, and an index stays small.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
