"""Unit tests of `keys.signers.batch`: order, cancellation, faults."""

import asyncio

import pytest

from keys.signers.batch import BATCH, BatchingSigner


class Recorder:
    """Stands where a key would be: tells what it was asked to sign, in order."""

    kid = "k"
    alg = "RS256"

    def __init__(self) -> None:
        self.signed: list[bytes] = []

    def sign_now(self, signing_input: bytes) -> bytes:
        """Sign by turning it round."""
        self.signed.append(signing_input)
        if signing_input == b"bad":
            raise ValueError("broken key")
        return signing_input[::-1]


async def test_everybody_gets_their_own_signature_in_order() -> None:
    """More inputs than one phase takes are all signed, first come first served."""
    recorder = Recorder()
    signer = BatchingSigner(recorder)  # type: ignore[arg-type]
    inputs = [b"in%03d" % n for n in range(BATCH * 2 + 3)]
    signatures = await asyncio.gather(*(signer.sign(each) for each in inputs))
    assert recorder.signed == inputs
    assert signatures == [each[::-1] for each in inputs]


async def test_other_work_gets_its_turn_between_phases() -> None:
    """A full queue does not hold the loop for longer than one phase."""
    recorder = Recorder()
    signer = BatchingSigner(recorder)  # type: ignore[arg-type]
    waiting = [asyncio.ensure_future(signer.sign(b"x")) for _ in range(BATCH * 3)]
    seen = set()
    while not all(each.done() for each in waiting):
        await asyncio.sleep(0)
        seen.add(len(recorder.signed))
    assert {BATCH, BATCH * 2} <= seen


async def test_a_caller_that_left_costs_no_signature() -> None:
    """A cancelled request is passed over; the others are served."""
    recorder = Recorder()
    signer = BatchingSigner(recorder)  # type: ignore[arg-type]
    waiting = [asyncio.ensure_future(signer.sign(each)) for each in (b"a", b"b")]
    asyncio.get_running_loop().call_soon(waiting[0].cancel)
    await asyncio.sleep(0)
    assert await waiting[1] == b"b"
    assert recorder.signed == [b"b"]


async def test_a_fault_reaches_its_own_caller_alone() -> None:
    """One input that cannot be signed does not spoil its neighbours."""
    signer = BatchingSigner(Recorder())  # type: ignore[arg-type]
    good, bad = await asyncio.gather(
        signer.sign(b"good"), signer.sign(b"bad"), return_exceptions=True
    )
    assert good == b"doog"
    assert isinstance(bad, ValueError)
    with pytest.raises(ValueError, match="broken key"):
        await signer.sign(b"bad")
