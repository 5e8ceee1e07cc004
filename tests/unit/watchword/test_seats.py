"""Unit tests of `watchword.process.seats`: what worker processes share."""

import os

import pytest

from watchword.process import seats as module
from watchword.process.seats import HALF_BYTES, Seats


def test_what_a_forked_process_wrote_last_is_read_after_its_end():
    """However it ended; each seat has its own text."""
    seats = Seats(3)
    for text in (b"first", b"second", b"third"):
        pid = os.fork()
        if not pid:
            seats.write(1, text)
            os._exit(1)
        os.waitpid(pid, 0)
        assert seats.read(1) == text
    assert seats.read(0) == seats.read(2) == b""


def test_a_text_that_is_not_finished_is_not_read():
    """A process that is killed while it writes leaves its last text as it was."""
    seats = Seats(1)
    seats.write(0, b"whole")
    seats._memory[module._place(0, 2) :] = bytes(HALF_BYTES)
    assert seats.read(0) == b"whole"


def test_a_text_that_is_written_over_while_it_is_read_is_an_error():
    """Counts are not shown without those of one worker."""
    seats = Seats(1)
    seats.write(0, b"whole")
    seats._memory[module._place(0, 1) + 8] ^= 0xFF
    with pytest.raises(RuntimeError, match="faster than it can be read"):
        seats.read(0)


def test_a_text_that_is_too_long_is_refused_and_leaves_the_last_one():
    """The neighbour's seat is not touched."""
    seats = Seats(2)
    seats.write(0, b"short")
    seats.write(1, b"other")
    with pytest.raises(ValueError, match="too long"):
        seats.write(0, os.urandom(HALF_BYTES))
    assert (seats.read(0), seats.read(1)) == (b"short", b"other")
