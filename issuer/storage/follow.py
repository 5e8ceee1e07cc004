"""Keep a view true while the issuer runs, whatever happens to the store."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from issuer.registry.view import ClientView


async def follow(
    view: ClientView,
    *,
    interval: float = 0.25,
    on_error: Callable[[Exception], None],
    on_answer: Callable[[], None] = lambda: None,
) -> None:
    """Let the view catch up for ever; ends only by cancellation.

    Args:
        view: what to keep true.
        interval: seconds between two looks at the store.
        on_error: told of each look that failed, to log it; the next look comes all the same.
        on_answer: told of each look that the store answered.
    """
    while True:
        try:
            await view.catch_up()
            on_answer()
        except Exception as error:
            # A log that fails must not end the loop: the view would go stale unseen.
            with suppress(Exception):
                on_error(error)
        await asyncio.sleep(interval)
