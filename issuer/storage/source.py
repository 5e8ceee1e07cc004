"""The registry as the issuer's `ClientSource`, on worker threads, and what keeps a view true."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from issuer.ports import Changes
from issuer.registry.client import Client
from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from issuer.storage.registry import Registry

T = TypeVar("T")

MAX_WAITING = 512
"""Look-ups of different clients that wait; further ones are refused at once.

Less than the store answers within the timeout of a request, so that under a flood of invented ids
those that wait are answered, and a client that is new here needs a few attempts at most. No answer
is remembered for an id that does not exist: it would come sooner than one for an id that does.
"""


class ThreadedSource:
    """Reads a registry on threads of its own, as many as its engine can use.

    What follows the changes has one more thread to itself, and the registry gives it a connection
    to itself: look-ups for requests, however many, do not delay it. The methods may be called on
    different event loops.

    Look-ups of one client that wait at the same time share one reading. A look-up joins only a
    reading that has not begun, so it sees every change committed before it was asked for.

    Args:
        registry: what is read; it stays open.
        timeout: seconds to wait for an answer.

    Raises:
        StoreUnavailable: from each method; the registry says so, or nothing for too long.
    """

    def __init__(self, registry: Registry, *, timeout: float = 2.0) -> None:
        self._registry = registry
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(registry.read_concurrency, thread_name_prefix="registry")
        self._following = ThreadPoolExecutor(1, thread_name_prefix="registry-changes")
        self._lock = Lock()
        self._waiting: dict[str, Future[Client | None]] = {}

    async def find(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        with self._lock:
            reading = self._waiting.get(client_id)
            if reading is None:
                if len(self._waiting) >= MAX_WAITING:
                    raise StoreUnavailable("too many look-ups wait for the registry")
                reading = self._threads.submit(self._read, client_id)
                self._waiting[client_id] = reading
        return await self._wait_for(reading)

    async def find_changed(self, client_id: str) -> Client | None:
        """Read one client, without waiting behind `find`."""
        return await self.follow(lambda: self._registry.find_changed_client(client_id))

    async def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        return await self.follow(lambda: self._registry.changes_since(cursor))

    async def version(self) -> object:
        """Give a value that differs after every commit, by this process or another."""
        return await self.follow(self._registry.version)

    async def follow(self, work: Callable[[], T]) -> T:
        """Run work on the thread that follows the changes; it goes on if that takes too long."""
        return await self._wait_for(self._following.submit(work))

    def close(self) -> None:
        """End the threads, once what they do is done. The registry stays open."""
        for threads in (self._threads, self._following):
            threads.shutdown(cancel_futures=True)

    def _read(self, client_id: str) -> Client | None:
        with self._lock:
            del self._waiting[client_id]
        return self._registry.find_client(client_id)

    async def _wait_for(self, reading: Future[T]) -> T:
        # Shielded: one request that is given up must not take the answer from others that share it.
        shared = asyncio.shield(asyncio.wrap_future(reading))
        try:
            async with asyncio.timeout(self._timeout):
                return await shared
        except TimeoutError:
            raise StoreUnavailable(
                f"the registry did not answer within {self._timeout:g} seconds"
            ) from None


class Follower:
    """Lets a view catch up; the caller decides how often.

    Args:
        view: what to keep true.
        outage: seconds without an answer after which what is held does not count any more.
        clock: seconds of a clock that is never set.
    """

    def __init__(
        self,
        view: ClientView,
        *,
        outage: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view = view
        self._outage = outage
        self._clock = clock
        self._answered = clock()

    @property
    def lag(self) -> float:
        """Seconds since the last look that succeeded."""
        return self._clock() - self._answered

    async def look(self) -> None:
        """Look at the store once.

        Raises:
            Exception: the look failed; after too long an outage the view has forgotten everything.
        """
        try:
            await self._view.catch_up()
        except BaseException:
            if self.lag >= self._outage:
                self._view.forget()
            raise
        self._answered = self._clock()
