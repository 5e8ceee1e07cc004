"""One token request on its way, and the callers that wait for it to land.

A caller may wait in a thread, in an asyncio task or in a trio task of any event loop: all that is
asked of it is a function that wakes it from any thread.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from consumer.errors import ConsumerError
from consumer.token_cache import Token


class Flight:
    """A token request in progress; it lands exactly once."""

    def __init__(self, *, lost_at: float) -> None:
        """Start the flight.

        Args:
            lost_at: the moment, in seconds of a monotonic clock, from which nobody should wait
                any longer: its leader must have died (a stopped event loop, a forked process).
        """
        self.lost_at = lost_at
        self.outcome: Token | ConsumerError | None = None
        self._landed = False
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    def on_landing(self, wake: Callable[[], object]) -> None:
        """Have a waiter woken; at once if the flight has landed."""
        with self._lock:
            if not self._landed:
                self._wakers.append(wake)
                return
        wake()

    def land(self, outcome: Token | ConsumerError | None) -> None:
        """End the flight and wake everyone.

        Args:
            outcome: the token, the reason why there is none, or None if the leader gave up
                (its task was cancelled): then one of those who waited leads anew.
        """
        with self._lock:
            self.outcome = outcome
            self._landed = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            # A waiter whose event loop has been closed meanwhile must not keep the others asleep.
            with suppress(RuntimeError):
                wake()
