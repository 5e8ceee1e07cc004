"""Claim what a request may use once, after all else of it was checked.

RFC 7523 §3, RFC 9449 §11.1.
"""

import asyncio
from collections import Counter
from typing import NamedTuple

from issuer.errors import OAuthError, Reason, TemporarilyUnavailable
from issuer.registry.errors import StoreUnavailable
from keys.replay import ReplayStore, ReplayStoreUnavailable

CLOCK_SKEW = 300
"""Seconds that a claim is kept beyond its end: the clock of a node that sweeps may be ahead."""


class Once(NamedTuple):
    """What counts once: an assertion or a proof, by the id that its maker gave it.

    Args:
        scope: what the id is unique in, such as the client that chose it.
        id: of any length.
        until: seconds since the epoch from which it is refused for its age.
        refusal: of a request that shows it again.
    """

    scope: str
    id: str
    until: int
    refusal: OAuthError


class Replays:
    """Lets each `Once` count in one request of all that show it, on all workers and nodes.

    Args:
        store: shared by all of them.
    """

    def __init__(self, store: ReplayStore) -> None:
        self._store = store
        self.outcomes: Counter[str] = Counter(claimed=0, replayed=0, unavailable=0)
        """How often a request's claims were won, lost, or could not be made."""

    async def claim(self, *once: Once) -> None:
        """Claim all that a request may use once, together.

        Args:
            once: in the order in which a replay is reported.

        Raises:
            OAuthError: the `refusal` of one that was claimed before.
            TemporarilyUnavailable: the store cannot tell; the request may have used up its claims.
        """
        try:
            # Asked for in one turn of the event loop, so that a store may write them together.
            won = await asyncio.gather(
                *(self._store.claim(each.scope, each.id, each.until + CLOCK_SKEW) for each in once)
            )
        except (StoreUnavailable, ReplayStoreUnavailable):
            self.outcomes["unavailable"] += 1
            raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
        lost = [each.refusal for each, is_first in zip(once, won, strict=True) if not is_first]
        if lost:
            self.outcomes["replayed"] += 1
            raise lost[0]
        self.outcomes["claimed"] += 1
