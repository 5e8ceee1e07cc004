"""Keep a view true while the issuer runs, whatever happens to the store."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from issuer.registry.view import ClientView


async def follow(
    view: ClientView,
    *,
    wake: asyncio.Event,
    interval: float = 0.25,
    outage: float = 3600.0,
    on_error: Callable[[Exception], None],
    on_answer: Callable[[], None] = lambda: None,
) -> None:
    """Let the view catch up for ever; ends only by cancellation.

    Args:
        view: what to keep true.
        wake: set by whoever hears of a change, for a look at once.
        interval: seconds between two looks at the store, if nobody hears anything.
        outage: seconds without an answer after which what is held does not count any more.
        on_error: told of each look that failed, to log it; the next look comes all the same.
        on_answer: told of each look that the store answered.
    """
    answered = time.monotonic()
    while True:
        wake.clear()  # before the look: a change during it calls for another
        try:
            await view.catch_up()
            answered = time.monotonic()
            on_answer()
        except Exception as error:
            if time.monotonic() - answered >= outage:
                view.forget()
            # A log that fails must not end the loop: the view would go stale unseen.
            with suppress(Exception):
                on_error(error)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), interval)
