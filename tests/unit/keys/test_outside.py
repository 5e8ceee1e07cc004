"""Unit tests of `keys.signers.outside`: what waits is bounded in time and number."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from keys.errors import KeyStoreError, SignerUnavailable
from keys.events import ignore_event
from keys.signers.outside import MAX_WAITING, OutsideSigner, WaitingThreads
from keys.stores.key_file import parse_key_file
from tests.support.keys import key_file

SHORT = 0.05
DEADLINE = 10.0


@pytest.fixture
def stalled() -> Iterator[threading.Event]:
    """Give an event that ends the stall; it is set in any case."""
    event = threading.Event()
    yield event
    event.set()


async def test_while_a_call_is_stuck_further_ones_are_refused_at_once(
    stalled: threading.Event,
) -> None:
    """Nobody waits for a thread that does not come back; when it does, all is as before."""
    threads = WaitingThreads(1)
    with pytest.raises(SignerUnavailable, match="no answer within"):
        await threads.run(lambda: stalled.wait(DEADLINE), seconds=SHORT)
    for _ in range(3):
        with pytest.raises(SignerUnavailable, match="has not answered yet"):
            await threads.run(lambda: "never done")
        with pytest.raises(KeyStoreError, match="has not answered yet"):
            threads.call(lambda: "never done")
    stalled.set()
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                assert await threads.run(lambda: "done") == "done"
            except SignerUnavailable:
                await asyncio.sleep(0.01)
            else:
                break


async def test_no_more_than_so_many_wait(stalled: threading.Event) -> None:
    """What was given up before its turn is passed over, and makes no room before that."""
    threads, ran = WaitingThreads(1), []
    first = asyncio.ensure_future(threads.run(lambda: stalled.wait(DEADLINE)))
    waiting = [
        asyncio.ensure_future(threads.run(lambda: ran.append(1), seconds=SHORT))
        for _ in range(MAX_WAITING + 8)
    ]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, SignerUnavailable) for each in outcomes)
    refused = [each for each in outcomes if "wait for the signer already" in str(each)]
    assert len(refused) in (8, 9)  # the thread may have taken the first one by then
    stalled.set()
    assert await first is True
    assert await threads.run(lambda: "done") == "done"
    assert ran == []


def test_an_error_of_the_work_reaches_the_caller() -> None:
    """SignerUnavailable becomes the error that commands know; any other one stays as it is."""
    threads = WaitingThreads(1)

    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(KeyStoreError, match="away"):
        threads.call(lambda: fail(SignerUnavailable("away")))
    with pytest.raises(ZeroDivisionError):
        threads.call(lambda: fail(ZeroDivisionError()))


async def test_an_answer_that_cannot_be_read_is_no_answer() -> None:
    """What the signer's own library raises is an outage as well; its text is not repeated."""

    def unreadable(_: bytes) -> bytes:
        raise KeyError("Signature")

    stored = parse_key_file(key_file(), name="a")
    signer = OutsideSigner(stored, unreadable, WaitingThreads(1), ignore_event)
    with pytest.raises(SignerUnavailable, match="the signer failed: KeyError"):
        await signer.sign(b"header.payload")
    with pytest.raises(KeyStoreError, match="the signer failed: KeyError"):
        signer.check()
    assert signer.waiting == 0


async def test_signatures_that_wait_are_counted(stalled: threading.Event) -> None:
    """Also those that are given up in the end."""

    def sign(_: bytes) -> bytes:
        stalled.wait(DEADLINE)
        raise SignerUnavailable("away")

    stored = parse_key_file(key_file(), name="a")
    signer = OutsideSigner(stored, sign, WaitingThreads(2), ignore_event)
    waiting = [asyncio.ensure_future(signer.sign(b"header.payload")) for _ in range(3)]
    await asyncio.sleep(0)
    assert signer.waiting == 3
    stalled.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert signer.waiting == 0
