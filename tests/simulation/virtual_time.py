"""An event loop whose clock is turned by its own timers: an hour passes in milliseconds."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs asyncio code in the order of its timers, and never waits."""

    def __init__(self) -> None:
        """Start at 0 seconds."""
        super().__init__()
        self._now = 0.0
        self._selector = self  # `select` is the only method that the base class calls
        self._clock_resolution = 1e-6
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(lambda loop, context: self.faults.append(context))

    def time(self) -> float:
        """Tell the virtual time in seconds."""
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        """Turn the clock to the next timer, where a real loop waits for it."""
        if timeout is None:
            raise RuntimeError("every task waits and no timer is set: nothing can happen any more")
        self._now += timeout
        return []

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run what is meant for a thread at once; in virtual time it takes none."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _process_events(self, event_list: list[object]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run_virtually(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, cancel what it left running, and raise what any task raised."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
    if loop.faults:
        raise RuntimeError(loop.faults[0]["message"]) from loop.faults[0].get("exception")
