"""Work that recurs while the provider runs: one loop for all of it, which no exception ends.

A failure is logged once, when it begins, and once when it is over. In between the job is tried
again after a pause that doubles up to a bound, with jitter, so that workers do not retry in step.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread

from issuer.events import EventSink
from watchword.ambient import random_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that recurs, and the events that report its failures.

    Args:
        name: as the log has it.
        every: seconds from the end of a run to the next one.
        run: the work; whatever it raises is a failure of this run only.
        longest: seconds that the pause after failures grows to; `every` keeps it as it is.
        failed: the event of the first failure.
        recovered: the event of the first success after it.
        expected: errors whose text is one clear line for the operator and holds no input; of all
            others only the type and the place are logged.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[object]]
    longest: float = 60.0
    failed: str = "job.failed"
    recovered: str = "job.recovered"
    expected: tuple[type[Exception], ...] = ()

    def pause(self, failures: int, fraction: float) -> float:
        """Return the seconds to wait after so many failures in a row.

        Args:
            failures: 0 after a success.
            fraction: random, from 0 to 1; it takes up to half of the pause after a failure away.
        """
        if not failures:
            return self.every
        bound = max(self.longest, self.every)
        grown = min(self.every * 2.0 ** min(failures - 1, 30), bound)
        return grown * (1 - fraction / 2)


class Jobs:
    """Runs jobs on the event loop until it is stopped.

    Args:
        jobs: each has a name of its own.
        events: where failures are logged.
        fraction: gives a random number from 0 to 1 for each pause after a failure.
    """

    def __init__(
        self,
        *jobs: Job,
        events: EventSink,
        fraction: Callable[[], float] = random_fraction,
    ) -> None:
        self._jobs = jobs
        self._events = events
        self._fraction = fraction
        self._wake = {job.name: asyncio.Event() for job in jobs}
        self._failing: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start every job; each waits first, unless it is woken."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._repeat(job), name=job.name) for job in self._jobs]

    def wake(self, name: str) -> None:
        """Have a job run at once, whatever its pause; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._wake[name].set)

    def succeeds(self, name: str) -> bool:
        """Tell whether the last run of a job succeeded; true before the first."""
        return name not in self._failing

    async def stop(self) -> None:
        """Cancel every job and wait for the ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, job: Job) -> None:
        wake, failures = self._wake[job.name], 0
        task = asyncio.current_task()
        # What a job awaits may swallow its cancellation, as asyncio.wait_for does in Python 3.11
        # when that is done at the same moment (https://github.com/python/cpython/issues/86296).
        while task is not None and not task.cancelling():
            with suppress(TimeoutError):
                async with asyncio.timeout(job.pause(failures, self._fraction())):
                    await wake.wait()
            wake.clear()  # before the run: a call of `wake` during it asks for another
            error = await _try(job)
            failures = 0 if error is None else failures + 1
            # A log that fails must not end the loop.
            with suppress(Exception):
                self._tell(job, error)

    def _tell(self, job: Job, error: BaseException | None) -> None:
        if error is None and job.name in self._failing:
            self._failing.discard(job.name)
            self._events(job.recovered, job=job.name)
        elif error is not None and job.name not in self._failing:
            self._failing.add(job.name)
            if isinstance(error, job.expected):
                self._events(job.failed, job=job.name, reason=str(error))
            else:
                self._events(job.failed, job=job.name, exception=error)


class JobsApart:
    """Runs jobs on an event loop and a thread of their own: no load of requests delays them.

    Args:
        jobs: what to run; events are recorded on that thread.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start every job, as `Jobs.start` does."""
        self._loop = asyncio.new_event_loop()
        self._loop.call_soon(self._jobs.start)
        self._thread = Thread(target=self._loop.run_forever, name="jobs", daemon=True)
        self._thread.start()

    def wake(self, name: str) -> None:
        """Have a job run at once, whatever its pause; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._jobs.wake, name)

    def succeeds(self, name: str) -> bool:
        """Tell whether the last run of a job succeeded; true before the first."""
        return self._jobs.succeeds(name)

    async def stop(self) -> None:
        """Cancel every job, wait for the ends and end the thread."""
        if self._loop is None or self._thread is None:
            return
        stopping = asyncio.run_coroutine_threadsafe(self._jobs.stop(), self._loop)
        try:
            await asyncio.wrap_future(stopping)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()
            self._loop = None


async def _try(job: Job) -> BaseException | None:
    """Run a job once and return what it raised."""
    try:
        await job.run()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error  # cancelled was what the job waited for, not the job itself
    except Exception as error:
        return error
    return None
