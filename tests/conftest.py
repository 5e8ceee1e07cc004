"""Fixtures that every test may use, and names of cases that stay the same from run to run."""

import functools
import os
import posix
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import coverage
import coverage.collector
import coverage.control
import pytest
from hypothesis import settings

from tests.support.authorities import trust_one
from tests.support.postgresql import NoPostgres, PostgresServer
from tests.support.softhsm import NoSoftHsm, SoftHsm

# A loaded machine is slow now and then; what is slow for good shows in the benches.
settings.register_profile("full", deadline=None)
settings.register_profile("fast", deadline=None, max_examples=25)
settings.load_profile("full" if os.environ.get("CI") else "fast")

_LONGEST_CASE_NAME = 40
_MEASURED = ("unit", "contract", "conformance", "e2e/test_cli_")
_LONGEST_WHY = 300
_LONGEST_CHILD = 120
"""Seconds that a forked process may take."""
_PURE = Path(__file__).parents[1] / "scripts" / "pure-modules.txt"
_Cached = type(functools.cache(len))
_MEMORY = Path("/dev/shm")
_ROOM = 4 * 2**30


def _use_memory_for_files() -> None:
    """Make temporary files in memory where there is room, so that no test waits for a disk.

    What a crash of the machine would lose is not tested; a process that is killed loses nothing.
    Set TMPDIR to have them elsewhere.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return
    flags = os.statvfs(_MEMORY).f_flag
    if not flags & os.ST_NOEXEC and shutil.disk_usage(_MEMORY).free >= _ROOM:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # is found anew


_use_memory_for_files()
trust_one()
# See `tests.support.fork_server`.
coverage.collector.short_stack = str  # type: ignore[attr-defined, assignment]


def _bound_child() -> None:
    """Have a process that a test forks end at once when it ends, and in two minutes if it hangs.

    Coverage would have its end save what the whole worker has measured up to then, which takes
    seconds; what the child itself has run is not measured. And a child of threads may find locks
    held that nobody gives back.
    """
    os._exit = posix._exit
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST_CHILD)


os.register_at_fork(after_in_child=_bound_child)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop that the product ships on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def end_protections() -> Iterator[None]:
    """End the threads of protections that a test made and did not close.

    Such as of module globals in the examples of a page: they would go on to ask for keys, through
    the proxies that other tests set.
    """
    yield
    for thread in threading.enumerate():
        if thread.name == "watchword.resource_api":
            serving: Any = thread
            serving.loop.call_soon_threadsafe(serving.ending.set)
            thread.join(10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Give the worker's own PostgreSQL server; where there is none, skip, but never in CI."""
    try:
        server = PostgresServer()
    except NoPostgres as error:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(str(error))
    with closing(server):
        yield server


@pytest.fixture(scope="session")
def softhsm() -> Iterator[SoftHsm]:
    """Give a security module with a token; where there is none, skip, but never in CI."""
    with tempfile.TemporaryDirectory(prefix="hsm") as folder:
        try:
            made = SoftHsm(Path(folder))
        except NoSoftHsm as error:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up(str(error))
        with closing(made):
            yield made


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """Give the URL of a fresh, empty database, which is dropped after the test."""
    postgres.start()  # a test that stopped it may have failed before it was started again
    url = postgres.new_database()
    yield url
    postgres.start()
    postgres.drop_database(url)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, so that `-m "not postgresql"` leaves it out; check others."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        on_postgresql = any(isinstance(each, str) and each == "postgresql" for each in parameters)
        if on_postgresql or "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgresql)
    for path in {item.path for item in items if item.get_closest_marker("alone")}:
        # By these words scripts/test finds the files that have such tests.
        assert "pytest.mark.alone" in path.read_text(encoding="utf-8"), path


def pytest_collection_finish() -> None:
    """Have coverage change `os` once: when it has started, as it has by now.

    With each further start below it would register one more function to be called in each forked
    process: a minute's work at last.
    """
    assert callable(coverage.control.apply_patches)
    coverage.control.apply_patches = lambda *_: None  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure coverage where single cases are tested, and nowhere else.

    What runs the product for long, such as servers, simulations, browsers and examples of pages,
    takes up to twice the time while it is measured, and a line that it alone comes by is hardly
    tested.
    """
    measuring = coverage.Coverage.current()
    file = item.path.relative_to(Path(__file__).parent).as_posix()
    if measuring is None or file.startswith(_MEASURED):
        return (yield)
    processes = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    measuring.stop()
    try:
        return (yield)
    finally:
        _forget_results()
        measuring.start()
        if processes is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = processes


def _forget_results() -> None:
    """Empty the caches of pure modules: what they hold is not computed, nor measured, again."""
    for line in _PURE.read_text().splitlines():
        module = sys.modules.get(line.removesuffix(".py").replace("/", "."))
        for each in vars(module).values() if module else ():
            if isinstance(each, _Cached):
                each.cache_clear()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name each failure at once and why, for runs of which only a part is seen in the end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        crash = getattr(report.longrepr, "reprcrash", None)
        why = " ".join(str(crash.message if crash else report.longrepr).split())
        print(
            f"\n{report.nodeid} failed in {report.when}: {why[:_LONGEST_WHY]}",
            file=sys.__stderr__,
            flush=True,
        )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case with a long value by its parameter.

    Long values may hold a key, its thumbprint or a token, new in every process; workers that run
    tests in parallel must find the same names.
    """
    if isinstance(val, str | bytes) and len(val) > _LONGEST_CASE_NAME:
        return argname
    return None
