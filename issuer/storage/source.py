"""The registry as the issuer's `ClientSource`: off the event loop, on worker threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from issuer.ports import Changes
from issuer.registry.client import Client
from issuer.storage.registry import Registry

T = TypeVar("T")


class ThreadedSource:
    """Reads a registry on threads of its own, as many as its engine can use.

    Look-ups of one client that wait at the same time share one reading. A look-up joins only a
    reading that has not begun, so it sees every change committed before it was asked for.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._threads = ThreadPoolExecutor(registry.lookups, thread_name_prefix="registry")
        self._lock = Lock()
        self._waiting: dict[str, Future[Client | None]] = {}

    async def find(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        with self._lock:
            reading = self._waiting.get(client_id)
            if reading is None:
                reading = self._threads.submit(self._read, client_id)
                self._waiting[client_id] = reading
        return await _wait_for(reading)

    async def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        return await self._run(lambda: self._registry.changes_since(cursor))

    async def version(self) -> int:
        """Give a number that moves with every commit, by this process or another."""
        return await self._run(self._registry.version)

    def close(self) -> None:
        """End the threads, once what they do is done. The registry stays open."""
        self._threads.shutdown(cancel_futures=True)

    def _read(self, client_id: str) -> Client | None:
        with self._lock:
            del self._waiting[client_id]
        return self._registry.find_client(client_id)

    async def _run(self, work: Callable[[], T]) -> T:
        return await _wait_for(self._threads.submit(work))


async def _wait_for(reading: Future[T]) -> T:
    # Shielded: one request that is given up must not take the answer from others that share it.
    return await asyncio.shield(asyncio.wrap_future(reading))
