"""Unit tests of `watchword.slow_lane`: slow hashes are verified apart, and not without end."""

import asyncio

import pytest

from issuer.errors import TemporarilyUnavailable
from tests.support.issuer import make_secret
from watchword.slow_lane import SlowLane

SHORT = "hunter2hunter2"


async def test_more_than_may_wait_are_turned_away() -> None:
    """The queue is short; whoever does not fit is told to come back."""
    lane = SlowLane(max_waiting=2)
    slow = make_secret(SHORT).hash
    answers = await asyncio.gather(
        *(lane.verify(slow, secret) for secret in (SHORT, "another-one", SHORT)),
        return_exceptions=True,
    )
    assert answers[:2] == [True, False]
    assert isinstance(answers[2], TemporarilyUnavailable)
    assert await lane.verify(slow, SHORT) is True
    lane.close()


async def test_the_loop_goes_on_meanwhile() -> None:
    """Other work runs while a slow hash is computed."""
    lane = SlowLane()
    verifying = asyncio.ensure_future(lane.verify(make_secret(SHORT).hash, SHORT))
    turns = 0
    while not verifying.done():
        turns += 1
        await asyncio.sleep(0)
    assert await verifying is True
    assert turns > 1
    lane.close()


async def test_a_closed_lane_verifies_nothing() -> None:
    """After the end there is no answer, rather than a wrong one."""
    lane = SlowLane()
    lane.close()
    with pytest.raises(RuntimeError):
        await lane.verify(make_secret(SHORT).hash, SHORT)
