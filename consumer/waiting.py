"""Wait for what another caller has begun, and begin what no caller waits for.

On threads, asyncio and trio, mixed as they come.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import Context
from typing import Any

from consumer.events import LOGGER
from consumer.steps import Call, Renew, Step, Wait

_tasks: set[asyncio.Task[None]] = set()  # an event loop keeps no task alive


async def call_async(step: Call) -> None:
    """Call on a thread what would hold up the event loop."""
    import anyio  # here, because sync clients can do without

    await anyio.to_thread.run_sync(step.run)


def start_on_thread(renew: Renew, carry_out: Callable[[Step], None]) -> None:
    """Renew on a thread, which depends on no event loop of the callers, and delays none."""

    def work() -> None:
        with closing(renew.steps), _faults_in_the_log():
            for step in renew.steps:
                carry_out(step)

    thread = threading.Thread(target=work, name="watchword-token-renewal", daemon=True)
    with suppress(RuntimeError):  # too many threads, or the interpreter is about to end
        thread.start()
        renew.is_started = True


def start_on_event_loop(renew: Renew, carry_out: Callable[[Step], Awaitable[None]]) -> None:
    """Renew in a task, since a transport of the caller's for async clients needs the loop."""

    async def work() -> None:
        with closing(renew.steps), _faults_in_the_log():
            for step in renew.steps:
                await carry_out(step)

    renew.is_started = True
    if (trio := _running_trio()) is not None:
        trio.lowlevel.spawn_system_task(work)
        return
    # In a context of its own, as on a thread: the caller's span is not the renewal's.
    task = asyncio.get_running_loop().create_task(work(), context=Context())
    _tasks.add(task)

    def end(_: object) -> None:
        _tasks.discard(task)
        # A task that is cancelled before it began has ended nothing: others would wait for it.
        # Steps that have begun clean up when they are closed.
        with closing(renew.steps), _faults_in_the_log():
            next(renew.steps, None)

    task.add_done_callback(end)


def wait(step: Wait) -> None:
    """Wait on this thread."""
    done = threading.Event()
    step.pending.on_completion(done.set)
    done.wait(step.timeout)


async def wait_async(step: Wait) -> None:
    """Wait in this task."""
    import anyio  # here, because sync clients can do without

    done, schedule = anyio.Event(), _scheduler()
    step.pending.on_completion(lambda: schedule(done.set))
    with anyio.move_on_after(step.timeout):
        await done.wait()


def _scheduler() -> Callable[[Callable[[], object]], object]:
    """Return what runs a function in this event loop when called from any thread."""
    if (trio := _running_trio()) is not None:
        schedule: Callable[[Callable[[], object]], object]
        schedule = trio.lowlevel.current_trio_token().run_sync_soon
        return schedule
    return asyncio.get_running_loop().call_soon_threadsafe


def _running_trio() -> Any:  # noqa: ANN401 - the module, which need not be installed
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_task() else None


@contextmanager
def _faults_in_the_log() -> Iterator[None]:
    try:
        yield
    except Exception:
        LOGGER.exception("the token could not be renewed")
