"""Unit tests of `keys.signers.threads`: who signs, cancellation, faults, the end."""

import asyncio
import threading

import pytest

from keys.key_types import verifier
from keys.signers.local import LocalSigner
from keys.signers.threads import ALONE, BATCH, SigningThreads, ThreadedSigner
from tests.support.keys import rsa_key

DEADLINE = 10.0


class Recorder:
    """Stands where a key would be: tells on which threads it signed what."""

    kid = "k"
    alg = "RS256"

    def __init__(self) -> None:
        self.signed: list[bytes] = []
        self.on_the_loop: list[bytes] = []
        self.by: set[threading.Thread] = set()
        self.on_a_thread = threading.Event()

    def sign_now(self, signing_input: bytes) -> bytes:
        """Sign by turning it round; the loop waits until a thread has joined in."""
        self.signed.append(signing_input)
        self.by.add(threading.current_thread())
        if threading.current_thread() is not threading.main_thread():
            self.on_a_thread.set()
        else:
            self.on_the_loop.append(signing_input)
            if len(self.signed) > 1:
                self.on_a_thread.wait(DEADLINE)
        if signing_input == b"bad":
            raise ValueError("broken key")
        return signing_input[::-1]


@pytest.fixture
def threads():
    """Give two threads, ended afterwards."""
    made = SigningThreads(2)
    yield made
    made.close()


async def test_loop_and_threads_share_the_work_and_everybody_gets_their_own_signature(threads):
    """What arrives together is signed on both sides, each input once."""
    recorder = Recorder()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    inputs = [b"in%03d" % n for n in range(BATCH * 8 + 3)]
    signatures = await asyncio.gather(*(signer.sign(each) for each in inputs))
    assert signatures == [each[::-1] for each in inputs]
    assert sorted(recorder.signed) == inputs
    assert threading.main_thread() in recorder.by
    assert len(recorder.by) >= 2


async def test_the_loop_signs_nothing_that_the_threads_come_to(threads):
    """It signs the first ones, and of the rest only what is more than a batch for each thread."""
    recorder = Recorder()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    inputs = [b"in%03d" % n for n in range(ALONE + BATCH * 2)]
    signatures = await asyncio.gather(*map(signer.sign, inputs))
    assert signatures == [each[::-1] for each in inputs]
    assert recorder.on_the_loop == inputs[:ALONE]


async def test_a_request_alone_wakes_no_thread(threads):
    """One after another, each is signed on the loop, so nothing is lost to wake-ups."""
    recorder = Recorder()
    recorder.on_a_thread.set()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    for _ in range(BATCH * 2):
        assert await signer.sign(b"abc") == b"cba"
    assert recorder.by == {threading.main_thread()}


async def test_signatures_of_several_keys_verify(threads):
    """One set of threads signs for every key, and never with another's."""
    keys = [rsa_key(), rsa_key(1)]
    signers = [ThreadedSigner(LocalSigner("k", "RS256", key), threads) for key in keys]
    inputs = [b"in%03d" % n for n in range(BATCH * 4)]
    made = await asyncio.gather(*(signer.sign(each) for each in inputs for signer in signers))
    for turn, signature in enumerate(made):
        public = keys[turn % 2].public_key()
        assert verifier("RS256").verify(inputs[turn // 2], public, signature)


async def test_a_caller_that_left_costs_no_signature(threads):
    """Cancelled requests are passed over; the others are served."""
    recorder = Recorder()
    recorder.on_a_thread.set()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    waiting = [asyncio.ensure_future(signer.sign(each)) for each in (b"ab", b"cd")]
    asyncio.get_running_loop().call_soon(waiting[0].cancel)
    assert await waiting[1] == b"dc"
    assert recorder.signed == [b"cd"]


async def test_a_fault_reaches_its_own_caller_alone(threads):
    """An input that cannot be signed, on the loop or on a thread, spoils no other."""
    recorder = Recorder()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    inputs = [b"bad", b"good"] * BATCH * 4
    made = await asyncio.gather(*map(signer.sign, inputs), return_exceptions=True)
    assert len(recorder.by) >= 2
    assert all(isinstance(each, ValueError) for each in made[::2])
    assert made[1::2] == [b"doog"] * BATCH * 4


async def test_what_waits_is_signed_before_the_threads_end():
    """Closing loses nothing, leaves no thread, and the loop alone signs what comes after."""
    threads, recorder = SigningThreads(2), Recorder()
    signer = ThreadedSigner(recorder, threads)  # type: ignore[arg-type]
    waiting = [asyncio.ensure_future(signer.sign(b"abc")) for _ in range(BATCH * 8)]
    while not recorder.signed:
        await asyncio.sleep(0)
    threads.close()
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*waiting) == [b"cba"] * BATCH * 8
    for thread in recorder.by - {threading.main_thread()}:
        await asyncio.to_thread(thread.join, DEADLINE)
        assert not thread.is_alive()
    recorder.by.clear()
    await asyncio.gather(*(signer.sign(b"abc") for _ in range(BATCH * 2)))
    assert recorder.by == {threading.main_thread()}
