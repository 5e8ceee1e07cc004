"""Validate tokens without an event loop: for WSGI applications, gRPC servers and plain threads.

A token that is remembered is found on the thread that asks. All else happens in the event loop of
one thread, which each process starts when it first needs it: a server may fork before and after.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from threading import Lock, Thread
from typing import Any, TypeVar, Unpack
from weakref import finalize

from resource_api.access_token import AccessToken
from resource_api.bearer import find_bearer
from resource_api.errors import KeysUnavailable
from resource_api.possession import Presented
from resource_api.protection import Answer, Protection, ProtectionSettings, given_or_made

T = TypeVar("T")

LONGEST_WAIT = 20.0
"""Seconds that a call waits at most; every fetch of keys and lists ends sooner."""


class SyncProtection:
    """A `Protection` for code without an event loop, to be used on any number of threads."""

    def __init__(
        self, protection: Protection | None = None, **settings: Unpack[ProtectionSettings]
    ) -> None:
        """Prepare; no thread is started and nothing is fetched before a token needs it.

        Args:
            protection: whose tokens are accepted, and for which API.
            settings: the keywords of `Protection`, instead of one: `issuer` and `resource` at
                least.

        Raises:
            ValueError: settings that cannot be or contradict each other.
            TypeError: a protection and settings for another, or neither.
        """
        self.protection = given_or_made(protection, Protection, settings)
        self._threads = _Threads(self.protection)
        # Not at the end of the program: the thread ends with it, and no request is left by then.
        finalize(self, self._threads.stop).atexit = False

    def verify(
        self,
        authorization: str | None,
        request: Presented | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> AccessToken:
        """Validate the token of a request, waiting for the issuer only if keys or lists lack.

        Args:
            authorization: the value of the Authorization header; None without one. Several of them,
                joined by a comma, are refused.
            request: what tokens that are bound need besides; without it, they are refused.
            headers: its other header fields, the names in lower case; `dpop` and `client-cert`
                count.

        Raises:
            ResourceError: the refusal; `protection.refusal` writes the answer, and
                `protection.report` reports it.
        """
        lines = []
        if authorization is not None:
            # A character that no header can hold becomes one that no token has.
            lines.append((b"authorization", authorization.encode("latin-1", "replace")))
        sent = find_bearer(lines)
        try:
            token = self.protection.cached(sent)
        except RuntimeError:
            # There is no event loop here: keys or a list are to be asked for, in the background of
            # one. They serve until the answer is there.
            token = None
        return token or self._finish(self.protection.authenticate([*lines, *headers], request))

    def readiness(self) -> Answer:
        """Give the answer to a readiness probe, and have keys fetched that are due."""

        async def ask() -> Answer:
            return self.protection.readiness()

        return self._finish(ask())

    def warm(self) -> bool:
        """Get the keys before there is traffic; say whether those of every issuer are there.

        A server that forks calls it in the processes that serve, since a thread is not copied.

        Raises:
            KeysUnavailable: no answer in time.
        """
        return self._finish(self.protection.warm())

    def close(self) -> None:
        """Stop what is being fetched in this process, and end the thread; it can start again."""
        self._threads.stop(wait=True)

    def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for what needs an event loop."""
        running = self._threads.run(work)
        try:
            return running.result(LONGEST_WAIT)
        except (CancelledError, TimeoutError):
            # Closed meanwhile, or no thread runs: uWSGI starts none without `enable-threads`.
            running.cancel()
            raise KeysUnavailable(1) from None


class _LoopThread(Thread):
    """A thread with an event loop, which ends when it is told to."""

    def __init__(self, protection: Protection) -> None:
        super().__init__(name="watchword.resource_api", daemon=True)
        self.loop = asyncio.new_event_loop()
        self.ending = asyncio.Event()
        self._protection = protection

    def run(self) -> None:
        """Serve until the end, then stop what is being fetched; calls that wait get an error."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self.ending.wait()
        await self._protection.aclose()


class _Threads:
    """The thread of this process, started when it is first needed."""

    def __init__(self, protection: Protection) -> None:
        self._protection = protection
        self._thread: _LoopThread | None = None
        # A lock for each process: one that another thread held at a fork is never released.
        self._locks: dict[int, Lock] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Have the event loop of this process do some work."""
        # In the lock, so that `stop` ends what the thread has been given, and no loop is closed
        # between the look at it and its use.
        with self._locks.setdefault(os.getpid(), Lock()):
            # After a fork the thread of the parent is there by name, and does not live.
            if self._thread is None or not self._thread.is_alive():
                self._thread = _LoopThread(self._protection)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._thread.loop)

    def stop(self, *, wait: bool = False) -> None:
        """End the thread of this process, if it has one."""
        with self._locks.setdefault(os.getpid(), Lock()):
            thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            thread.loop.call_soon_threadsafe(thread.ending.set)
            if wait:
                thread.join(LONGEST_WAIT)
