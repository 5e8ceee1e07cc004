"""Keep a view true while the issuer runs, whatever happens to the store."""

import time
from collections.abc import Callable

from issuer.registry.view import ClientView


class Follower:
    """Lets a view catch up; whoever runs it again and again decides how often.

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

    async def look(self) -> None:
        """Look at the store once.

        Raises:
            Exception: the look failed; after too long an outage the view has forgotten everything.
        """
        try:
            await self._view.catch_up()
        except BaseException:
            if self._clock() - self._answered >= self._outage:
                self._view.forget()
            raise
        self._answered = self._clock()
