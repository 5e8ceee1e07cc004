"""Random bytes drawn ahead: each is given once, also beside a forked child."""

import os
from itertools import count

from watchword.ambient import RandomBuffer


def _numbered():
    """Draw bytes that tell of which draw they are."""
    draws = count(1)
    return lambda size: bytes([next(draws)]) * size


def test_bytes_come_from_few_draws_and_none_twice():
    """4096 bytes are given in order; what is left of a draw and too short is left out."""
    position = iter(range(256))
    buffer = RandomBuffer(
        lambda size: bytes([next(position)]) * (size // 2) + b"\xff" * (size // 2)
    )
    given = [buffer(1_000) for _ in range(5)]
    assert [len(each) for each in given] == [1_000] * 5
    assert given[0] == b"\0" * 1_000
    assert given[2] == b"\0" * 48 + b"\xff" * 952
    assert given[4] == b"\1" * 1_000


def test_a_forked_child_draws_its_own():
    """Else two workers would give the same ids."""
    buffer = RandomBuffer(_numbered())
    assert buffer(4) == b"\1\1\1\1"
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, buffer(4))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"\2\2\2\2"
    assert buffer(4) == b"\1\1\1\1"
