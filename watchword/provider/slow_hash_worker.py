"""Verify slow secret hashes on one thread, with short queues: guessing exhausts nothing.

Each client has a queue of its own, and the queues take turns, so that guesses at one client do not
delay the right secret of another. Secrets that cannot be right, above all those of unknown ids,
share one queue, however many ids they come with.

The difference must not tell which ids exist. A right secret is answered at once. A wrong one is
answered when its place in the shared queue comes up, whether or not the client exists; if there
was no place, it is answered with 503, for every id after the same time.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from issuer.errors import Reason, TemporarilyUnavailable
from issuer.registry.credentials import SecretHash

MAX_WAITING = 32
"""Secrets that wait in the shared queue, and as many in the queues of all clients together."""

MAX_PER_CLIENT = 4
"""Secrets that wait in the queue of one client."""

BUSY_SECONDS = 1.0
"""From the arrival of a secret that finds no place to its refusal."""

_SHARED = None


class _Guess:
    """A secret that waits in its client's queue, in the shared one if that has a place, or in both.

    Args:
        hashes: what it may match.
        secret: what was sent.
        client_id: whose hashes they are; None if none can match.
    """

    def __init__(self, hashes: Sequence[SecretHash], secret: str, client_id: str | None) -> None:
        self.client_id = client_id
        self.verified = False
        self.has_no_place = False
        self.answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._hashes = hashes
        self._secret = secret

    def find(self) -> int | None:
        """Compute the hashes, until one matches."""
        for number, each in enumerate(self._hashes):
            if each.verify(self._secret):
                return number
        return None


class SlowHashWorker:
    """The one place where scrypt runs while serving; its memory and processor use are bounded.

    Args:
        busy_seconds: from the arrival of a secret that finds no place to its refusal.
    """

    def __init__(self, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slow-hash")
        self._busy_seconds = busy_seconds
        self._queues: OrderedDict[str | None, deque[_Guess]] = OrderedDict()
        self._working: asyncio.Task[None] | None = None

    async def find(
        self, hashes: Sequence[SecretHash], secret: str, *, client_id: str | None
    ) -> int | None:
        """Find the hash that the secret has; see `SlowVerifier`."""
        loop = asyncio.get_running_loop()
        busy = loop.time() + self._busy_seconds
        guess = _Guess(hashes, secret, client_id)
        try:
            self._queue(guess)
            return await guess.answer
        except TemporarilyUnavailable:
            await asyncio.sleep(busy - loop.time())
            raise
        finally:
            self._leave(guess)

    def close(self) -> None:
        """Let the thread end once its work is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _queue(self, guess: _Guess) -> None:
        waiting = {client_id: len(queue) for client_id, queue in self._queues.items()}
        shared = waiting.pop(_SHARED, 0)
        if guess.client_id is _SHARED:
            full = shared >= MAX_WAITING
        else:
            of_client = waiting.get(guess.client_id, 0)
            full = of_client >= MAX_PER_CLIENT or sum(waiting.values()) >= MAX_WAITING
        if full:
            raise TemporarilyUnavailable(Reason.OVERLOADED)
        guess.has_no_place = shared >= MAX_WAITING
        if not guess.has_no_place:
            self._queues.setdefault(_SHARED, deque()).append(guess)
        if guess.client_id is not _SHARED:
            self._queues.setdefault(guess.client_id, deque()).append(guess)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    def _leave(self, guess: _Guess) -> None:
        for key in (guess.client_id, _SHARED):
            queue = self._queues.get(key)
            if queue is not None and guess in queue:
                queue.remove(guess)
                if not queue:
                    del self._queues[key]

    async def _work(self) -> None:
        while self._queues:
            key, queue = self._queues.popitem(last=False)
            guess = queue.popleft()
            if queue:
                self._queues[key] = queue  # its next turn comes after those of all others
            if not guess.verified:
                await self._verify(guess)
            if key is _SHARED and not guess.answer.done():
                guess.answer.set_result(None)

    async def _verify(self, guess: _Guess) -> None:
        loop = asyncio.get_running_loop()
        found, failure = None, None
        try:
            found = await loop.run_in_executor(self._thread, guess.find)
        except Exception as error:
            failure = error
        guess.verified = True
        if guess.answer.done():  # the request was given up
            return
        if found is not None:
            guess.answer.set_result(found)
        elif failure is not None:
            guess.answer.set_exception(failure)
        elif guess.has_no_place:
            guess.answer.set_exception(TemporarilyUnavailable(Reason.OVERLOADED))
