"""When failed authentications are answered, so that a flood of them takes little from others.

Below a limit or beyond it (401 or 429), much of the cost of such a request is that of any other: to
read it and to write an answer. A peer that guesses waits for each answer before it sends again, so
an answer that is held back saves all of that. A worker gives so many of these answers a second,
whoever they go to, and the others wait their turn. How many wait is bounded; beyond that an answer
leaves at once, so that they cannot take all connections.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

ANSWERS_A_SECOND = 200
"""Answers to failed authentications that a worker gives a second while the others wait."""

MOST_WAITING = 1_000
"""Requests that wait in one worker; the last of them does so for 5 s."""

SHARE_OF_CONNECTIONS = 4
"""One connection of so many may wait, where that is fewer."""

MOST_BEHIND_PROXIES = 32
"""The same where proxies are trusted: one may have few connections for all that it serves."""


class Pace:
    """Gives each answer to a failed authentication its turn.

    Args:
        most: how many wait at a time.
        clock: monotonic seconds.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._longest = most / ANSWERS_A_SECOND
        self._clock = clock
        self._latest = 0.0  # the turn of the last one that waits

    def delay(self) -> float:
        """Return for how many seconds the next request waits; 0 beyond the bound."""
        now = self._clock()
        turn = max(self._latest + 1 / ANSWERS_A_SECOND, now)
        if turn - now > self._longest:
            return 0.0
        self._latest = turn
        return turn - now

    async def wait(self) -> float:
        """Wait until the turn of a request that is here now; return for how many seconds."""
        if delay := self.delay():
            await asyncio.sleep(delay)
        return delay


def most_waiting(connections: int, *, behind_proxies: bool) -> int:
    """Return how many requests may wait in a worker.

    Args:
        connections: how many it may have.
        behind_proxies: whether it trusts proxies.
    """
    if behind_proxies:
        return MOST_BEHIND_PROXIES
    return min(MOST_WAITING, connections // SHARE_OF_CONNECTIONS)
