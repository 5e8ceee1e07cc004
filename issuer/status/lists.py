"""What every status list says: the changes that the registry tells of, applied in their order.

Pure. A list has two bits for each index (Token Status List §4.1). One without a change takes no
memory. Revoking is final; suspending and restoring change only what was not revoked, so that
applying the same changes again, from the first one on, comes to the same lists.

One thread applies changes. All others may read: a list is never altered, but replaced as a whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import BUCKET, PART, Position, Status, StatusChange, bucket_for

BITS = 2
"""Bits of one entry: room for VALID, INVALID and SUSPENDED."""

KEPT_SECONDS = 3_600
"""How long a list is there after the end of its bucket: longer than any clock is behind."""

_IN_BYTE = 8 // BITS
_MASK = 2**BITS - 1
_UNCHANGED = bytes(PART // _IN_BYTE)


def _table(becomes: tuple[int, ...]) -> bytes:
    """Tell what every byte becomes when each of its entries becomes what the tuple has for it."""
    return bytes(
        sum(becomes[(byte >> shift) & _MASK] << shift for shift in range(0, 8, BITS))
        for byte in range(256)
    )


# By what is asked for: what VALID, INVALID and SUSPENDED become, and the fourth, which is not used.
_TABLES: Mapping[Status, bytes] = {
    Status.INVALID: _table((1, 1, 1, 1)),
    Status.SUSPENDED: _table((2, 1, 2, 3)),
    Status.VALID: _table((0, 1, 0, 3)),
}


class Version(NamedTuple):
    """Which changes a list has: all of a feed up to the latest one of this list.

    Args:
        feed: what the number belongs to; those of two feeds cannot be compared.
        change: the number of the change; 0 before the first.
    """

    feed: str
    change: int


class _List(NamedTuple):
    version: Version
    packed: bytes


class StatusLists:
    """The status of every token of this issuer, as far as the registry's changes were read.

    Args:
        longest: seconds from now to the end of the last token that may have been given a place.
    """

    def __init__(self, *, longest: int) -> None:
        self._longest = longest
        self._lists: dict[tuple[int, int], _List] = {}
        self._counts: Mapping[int, int] = {}
        self.as_of: int | None = None
        """When the registry was asked that answered last, in seconds since the epoch: every change
        that was committed before is applied. None until then."""
        self.feed = ""
        """What the numbers of the changes belong to; those of two feeds cannot be compared."""

    def apply(
        self,
        changes: Iterable[StatusChange],
        as_of: int | None,
        *,
        counts: Mapping[int, int],
        feed: str = "",
    ) -> None:
        """Take in what the registry tells; changes of an earlier call may come again.

        Args:
            changes: in the order in which they were committed.
            as_of: when the registry was asked, in seconds since the epoch; None if it has more
                changes, which the next call takes in.
            counts: by bucket, how many indexes were handed out.
            feed: what the numbers of the changes belong to.
        """
        altered: dict[tuple[int, int], bytearray] = {}
        versions: dict[tuple[int, int], Version] = {}
        for change in changes:
            for key, first, end in _parts(change):
                if key not in altered:
                    altered[key] = bytearray(self.packed(*key))
                _change(altered[key], first, end, _TABLES[change.status])
                versions[key] = Version(feed, change.number)
        self._lists = self._lists | {
            key: _List(versions[key], bytes(packed)) for key, packed in altered.items()
        }
        self._counts = counts
        self.feed = feed
        if as_of is not None:
            self._lists = {
                key: each for key, each in self._lists.items() if not _is_over(key[0], as_of)
            }
            self.as_of = as_of  # last: it says that all of it is there

    def alters(self, change: StatusChange) -> bool:
        """Tell whether a change would change any entry."""
        for key, first, end in _parts(change):
            packed = bytearray(self.packed(*key))
            _change(packed, first, end, _TABLES[change.status])
            if packed != self.packed(*key):
                return True
        return False

    def revoked_beyond(self, other: "StatusLists") -> Iterator[tuple[Position, int]]:
        """Yield what is revoked here and not there: the first of each range, and its size."""
        for (bucket, part), known in sorted(self._lists.items()):
            theirs = other.packed(bucket, part)
            places = (at for at in range(len(theirs)) if known.packed[at] != theirs[at])
            entries = [
                at * _IN_BYTE + entry
                for at in places
                for entry in range(_IN_BYTE)
                if _entry(known.packed, at, entry)
                is Status.INVALID
                is not _entry(theirs, at, entry)
            ]
            for _, run in groupby(enumerate(entries), key=lambda each: each[1] - each[0]):
                indexes = [index for _, index in run]
                yield Position(bucket, part * PART + indexes[0]), len(indexes)

    def status(self, position: Position) -> Status:
        """Return the status of a token; INVALID once its list is gone.

        Raises:
            StoreUnavailable: the registry was not read yet.
        """
        if self.as_of is None:
            raise StoreUnavailable("the status lists were not read yet")
        bucket, index = position
        if _is_over(bucket, self.as_of):
            return Status.INVALID
        byte, entry = divmod(index % PART, _IN_BYTE)
        return _entry(self.packed(bucket, index // PART), byte, entry)

    def packed(self, bucket: int, part: int) -> bytes:
        """Return all entries of a list, the first in the lowest bits (§4.1)."""
        known = self._lists.get((bucket, part))
        return _UNCHANGED if known is None else known.packed

    def version(self, bucket: int, part: int) -> Version:
        """Return which changes a list has; of two nodes, the one with the later change has more."""
        known = self._lists.get((bucket, part))
        return Version(self.feed, 0) if known is None else known.version

    def is_live(self, bucket: int, part: int, now: int) -> bool:
        """Tell whether a list exists: one that a token may name, and bounded in number.

        A token may come to a part that the registry was not read to have, so there is one more.

        Args:
            bucket: of the list.
            part: of the bucket.
            now: seconds since the epoch.
        """
        last = bucket_for(now, self._longest) + 1  # another node's clock may be ahead
        return (
            not _is_over(bucket, now)
            and bucket <= last
            and part <= _parts_of(self._counts.get(bucket, 0))
        )

    def live(self, now: int) -> list[tuple[int, int]]:
        """List bucket and part of every list that tokens were issued on.

        Args:
            now: seconds since the epoch.
        """
        return [
            (bucket, part)
            for bucket, count in sorted(self._counts.items())
            if self.is_live(bucket, 0, now)
            for part in range(_parts_of(count))
        ]


def _entry(packed: bytes, byte: int, entry: int) -> Status:
    return Status((packed[byte] >> BITS * entry) & _MASK)


def _is_over(bucket: int, now: int) -> bool:
    return bucket <= (now - KEPT_SECONDS) // BUCKET  # a bucket has the number of its end


def _parts_of(count: int) -> int:
    return -(-count // PART)


def _parts(change: StatusChange) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Yield the lists that a range reaches into, each with the first index on it and the end."""
    first, end = change.first, change.first + change.size
    for part in range(first // PART, _parts_of(end)):
        start = part * PART
        yield (change.bucket, part), max(first - start, 0), min(end - start, PART)


def _change(packed: bytearray, first: int, end: int, table: bytes) -> None:
    """Change the entries from `first` up to `end` as the table says."""
    low, high = first // _IN_BYTE, -(-end // _IN_BYTE)
    before, after = packed[low:high], packed[low:high].translate(table)
    # The entries beside the range that share a byte with it stay as they are.
    below = (1 << BITS * (first % _IN_BYTE)) - 1
    above = 0xFF & ~((1 << 8 - BITS * (-end % _IN_BYTE)) - 1)
    after[0] = after[0] & ~below | before[0] & below
    after[-1] = after[-1] & ~above | before[-1] & above
    packed[low:high] = after
