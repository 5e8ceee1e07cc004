"""What belongs to one event loop, of an object that several of them use."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def on_this_loop(loops: dict[asyncio.AbstractEventLoop, T], make: Callable[[], T]) -> T:
    """Return what belongs to the running event loop; it is made when it is first asked for.

    Args:
        loops: what there is so far; what a closed loop left behind, which never ends, is dropped.
            Other event loops may use it at the same time, on threads of their own.
        make: makes it.
    """
    loop = asyncio.get_running_loop()
    here = loops.get(loop)
    if here is None:
        for closed in [each for each in [*loops] if each.is_closed()]:
            loops.pop(closed, None)
        loops[loop] = here = make()
    return here
