"""Sign on threads beside the event loop, so that one process uses more cores than one.

`cryptography` releases the interpreter's lock while it makes an RSA signature. Only the event loop
can read requests and write answers, so it signs only what the threads would not come to meanwhile:
a few in a row, and then it reads and answers what has arrived. A request or two that come alone are
signed by the loop at once, without waking a thread.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from keys.signers.local import LocalSigner

BATCH = 4
"""Signatures in a row, on the loop before other work and on a thread before the loop is woken."""

ALONE = 2
"""Requests that the loop signs by itself, if nothing waits: waking a thread would cost more."""

_Wanted = tuple[Callable[[bytes], bytes], bytes, asyncio.Future[bytes]]
_Outcome = tuple[asyncio.Future[bytes], bytes | Exception]


class SigningThreads:
    """Threads that sign for all keys of a process; they start when first needed.

    Args:
        count: how many, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._reserve = BATCH * count  # left to the threads, or they have nothing to do at times
        self._threads: list[Thread] = []
        self._arrived: list[_Wanted] = []
        self._waiting: SimpleQueue[_Wanted | None] = SimpleQueue()
        self._has_turn = False

    def sign(
        self, sign_now: Callable[[bytes], bytes], signing_input: bytes
    ) -> asyncio.Future[bytes]:
        """Return what will be the signature; to be called on the event loop.

        Args:
            sign_now: makes the signature, on any thread.
            signing_input: what is signed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        wanted = sign_now, signing_input, future
        if self._count and (len(self._arrived) >= ALONE or not self._waiting.empty()):
            self._start()
            self._waiting.put(wanted)
        else:
            self._arrived.append(wanted)
        if not self._has_turn:
            self._has_turn = True
            loop.call_soon(self._take_turn, loop)
        return future

    def close(self) -> None:
        """End the threads once all that waits is signed; what comes later the loop signs."""
        self._count = 0
        for _ in self._threads:
            self._waiting.put(None)

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._arrived = self._arrived[:BATCH], self._arrived[BATCH:]
        batch += self._take(min(BATCH - len(batch), self._waiting.qsize() - self._reserve))
        _settle([_try(wanted) for wanted in batch])
        self._has_turn = bool(self._arrived) or self._waiting.qsize() > self._reserve
        if self._has_turn:
            loop.call_soon(self._take_turn, loop)

    def _take(self, count: int) -> list[_Wanted]:
        taken: list[_Wanted] = []
        with suppress(Empty):
            while len(taken) < count:
                wanted = self._waiting.get_nowait()
                if wanted is None:  # the end of a thread, which has to see it
                    self._waiting.put(None)
                    break
                taken.append(wanted)
        return taken

    def _start(self) -> None:
        while len(self._threads) < self._count:
            # A daemon: the end of the process waits for no signature.
            self._threads.append(Thread(target=self._run, name="signing", daemon=True))
            self._threads[-1].start()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            outcomes = [_try(wanted) for wanted in (first, *self._take(BATCH - 1))]
            with suppress(RuntimeError):  # the loop has ended meanwhile
                first[2].get_loop().call_soon_threadsafe(_settle, outcomes)


class ThreadedSigner:
    """A `Signer` whose key is in this process and signs on the event loop and on threads."""

    __slots__ = ("_sign_now", "_threads", "alg", "kid", "waiting")

    def __init__(self, signer: LocalSigner, threads: SigningThreads) -> None:
        self._sign_now = signer.sign_now
        self._threads = threads
        self.kid = signer.kid
        self.alg = signer.alg
        self.waiting = 0
        """How many signatures wait to be made."""

    async def sign(self, signing_input: bytes) -> bytes:
        """Return the raw JWS signature once it is made."""
        self.waiting += 1
        try:
            return await self._threads.sign(self._sign_now, signing_input)
        finally:
            self.waiting -= 1


def _try(wanted: _Wanted) -> _Outcome:
    sign_now, signing_input, future = wanted
    if future.done():  # the caller was cancelled
        return future, b""
    try:
        return future, sign_now(signing_input)
    except Exception as fault:
        return future, fault


def _settle(outcomes: list[_Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, bytes):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)
