"""Unit tests of `watchword.provider.jobs`: recurring work outlives whatever it raises."""

import asyncio
import io
import json
import threading

import anyio
import pytest

from issuer.registry.errors import StoreUnavailable
from watchword.logging import Events
from watchword.provider.jobs import Job, Jobs, JobsApart


class Log:
    """Events as they were logged."""

    def __init__(self):
        self.stream = io.StringIO()
        self.events = Events(form="json", stream=self.stream)

    def lines(self):
        """Read what was logged."""
        self.events.flush()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


class Script:
    """Work that fails as it is told and then succeeds; `done` is set by the first success."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.runs = 0
        self.done = asyncio.Event()

    async def __call__(self):
        """Fail or succeed."""
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        self.done.set()


async def started(script, log, **options):
    """Run one job until the script succeeds."""
    job = Job(name="work", every=0.001, longest=0.002, run=script, **options)
    jobs = Jobs(job, events=log.events, fraction=lambda: 0.5)
    jobs.start()
    with anyio.fail_after(5):
        await script.done.wait()
    return jobs


async def test_no_exception_ends_a_job():
    """Expected or not, each is a failure of one run, a cancelled future's included."""
    failures = (StoreUnavailable("away"), OSError("gone"), RuntimeError("a bug"))
    script = Script(*failures, asyncio.CancelledError())
    jobs = await started(script, Log())
    runs = script.runs
    with anyio.fail_after(5):
        while script.runs == runs:
            await asyncio.sleep(0.001)
    await jobs.stop()
    assert runs >= 5


async def test_a_failure_is_told_once_and_its_end_once():
    """Neither four lines a second nor none; readiness follows."""
    log = Log()
    script = Script(StoreUnavailable("it is away"), StoreUnavailable("it is away"))
    jobs = await started(script, log, failed="x.bad", recovered="x.good", expected=(OSError,))
    await asyncio.sleep(0)
    assert jobs.succeeds("work")
    await jobs.stop()
    assert [line["event"] for line in log.lines()] == ["x.bad", "x.good"]
    assert log.lines()[0]["exception"] == "StoreUnavailable"
    assert "it is away" not in log.stream.getvalue()


async def test_while_a_job_fails_it_says_so():
    """An expected error is told by its own text."""
    log, failed = Log(), asyncio.Event()

    async def fail():
        asyncio.get_running_loop().call_soon(failed.set)
        raise StoreUnavailable("it is away")

    jobs = Jobs(
        Job(name="work", every=60, run=fail, expected=(StoreUnavailable,)), events=log.events
    )
    assert jobs.succeeds("work")
    jobs.start()
    jobs.wake("work")  # it would wait a minute first
    with anyio.fail_after(5):
        await failed.wait()
    assert not jobs.succeeds("work")
    await jobs.stop()
    (line,) = log.lines()
    assert (line["event"], line["job"], line["reason"]) == ("job.failed", "work", "it is away")


async def test_a_log_that_fails_does_not_end_a_job():
    """Reporting is no reason to stop."""

    def broken(event, /, **fields):
        raise ValueError("the log is full")

    script = Script(RuntimeError(), RuntimeError())
    jobs = Jobs(Job(name="work", every=0.001, longest=0.001, run=script), events=broken)
    jobs.start()
    with anyio.fail_after(5):
        await script.done.wait()
    await jobs.stop()
    assert script.runs >= 3


async def test_stopping_cancels_a_run_that_hangs():
    """Shutdown does not wait for what never ends."""
    begun = asyncio.Event()

    async def hang():
        begun.set()
        await asyncio.Event().wait()

    jobs = Jobs(Job(name="work", every=0.001, run=hang), events=Log().events)
    jobs.start()
    with anyio.fail_after(5):
        await begun.wait()
        await jobs.stop()
    assert jobs.succeeds("work")


@pytest.mark.parametrize(
    ("failures", "fraction", "seconds"),
    [(0, 1.0, 1.0), (1, 0.0, 1.0), (2, 0.0, 2.0), (3, 0.0, 4.0), (99, 0.0, 10.0), (3, 1.0, 2.0)],
)
def test_the_pause_doubles_up_to_a_bound_with_jitter(failures, fraction, seconds):
    """Workers that failed together do not come back together."""
    job = Job(name="work", every=1.0, longest=10.0, run=Script)
    assert job.pause(failures, fraction) == seconds


async def test_jobs_apart_run_while_the_event_loop_does_not():
    """Thousands of connections that are ready at once keep nobody from following the registry."""
    ran = threading.Event()

    async def run():
        ran.set()

    apart = JobsApart(Jobs(Job(name="j", every=3600, run=run), events=Log().events))
    apart.wake("j")  # not yet: nothing happens
    apart.start()
    for _ in range(2):
        apart.wake("j")
        assert ran.wait(5)  # this blocks the event loop of the test, on purpose
        ran.clear()
    assert apart.succeeds("j")
    await apart.stop()
    apart.wake("j")
    assert not ran.wait(0.05)
    await apart.stop()


async def test_a_job_that_is_woken_as_it_is_stopped_ends():
    """The wake-up and the cancellation meet in one turn of the loop: the stop must not wait."""
    jobs = Jobs(Job(name="job", every=3600, run=Script()), events=Log().events)
    jobs.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # now the job waits
    jobs._wake["job"].set()
    await asyncio.sleep(0)  # what it waits for is done, and the job does not know yet

    with anyio.fail_after(5):
        await jobs.stop()


async def test_a_job_that_swallows_its_cancellation_ends():
    """Work may catch what it should not; the stop must not wait for ever."""
    started = asyncio.Event()

    async def stubborn():
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    jobs = Jobs(Job(name="job", every=3600, run=stubborn), events=Log().events)
    jobs.start()
    jobs.wake("job")
    await started.wait()

    with anyio.fail_after(5):
        await jobs.stop()
