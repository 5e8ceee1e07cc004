"""Memory that the workers of a server share: in each seat, what the worker there wrote last.

Made before the workers are forked (POSIX only). It needs no file, so nothing is left behind by a
process that is killed, and no folder need be writable. A seat has two halves: a text is written to
the one that is not in use, and one byte then says that it is. A worker that is killed while it
writes leaves its last text as it was.
"""

import mmap
import zlib

HALF_BYTES = 32_768
"""The longest text, compressed."""

_SEAT_BYTES = mmap.PAGESIZE + 2 * HALF_BYTES
_LENGTH_BYTES = 4
_TRIES = 3


class Seats:
    """Texts by the number of their seat, each written by one process at a time.

    Args:
        count: how many seats there are; memory is used only for those that were written to.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, count * _SEAT_BYTES)

    def write(self, seat: int, text: bytes) -> None:
        """Replace the text of a seat.

        Raises:
            ValueError: the text is too long.
        """
        packed = zlib.compress(text, 1)
        data = len(packed).to_bytes(_LENGTH_BYTES) + packed
        if len(data) > HALF_BYTES:
            raise ValueError(f"a text of {len(text)} bytes is too long for a seat")
        start = seat * _SEAT_BYTES
        half = 2 if self._memory[start] == 1 else 1
        at = _place(seat, half)
        self._memory[at : at + len(data)] = data
        self._memory[start] = half

    def read(self, seat: int) -> bytes:
        """Return the text of a seat; an empty one if none was written.

        Raises:
            RuntimeError: each time, another one was being written.
        """
        for _ in range(_TRIES):
            half = self._memory[seat * _SEAT_BYTES]
            if half == 0:
                return b""
            at = _place(seat, half)
            length = int.from_bytes(self._memory[at : at + _LENGTH_BYTES])
            at += _LENGTH_BYTES
            # Both halves may be written anew meanwhile; the checksum of the text shows that.
            try:
                return zlib.decompress(self._memory[at : at + min(length, HALF_BYTES)])
            except zlib.error:
                continue
        raise RuntimeError("what the workers share is written faster than it can be read")


def _place(seat: int, half: int) -> int:
    return seat * _SEAT_BYTES + mmap.PAGESIZE + (half - 1) * HALF_BYTES
