"""Try each change of code that mutmut makes with the tests that reach its place.

`mutmut run` has pytest read the tests again for each change: seconds, where most changes are
noticed in a tenth of one. Here they are read once, and each change is tried in a fork of that
process. What was found is kept in the folder `mutants` while no file of the checkout changes, so
that a run which was interrupted goes on. The order is random: what there is of a run of all modules
is a fair sample of it.
"""

import gc
import hashlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mutmut import __main__ as generator
from mutmut.configuration import config
from mutmut.mutation import trampoline
from mutmut.state import state
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
from mutmut.utils.format_utils import mangled_name_from_mutant_name

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENTS = ROOT / "tests" / "mutation.toml"
MUTANTS = ROOT / "mutants"
RESULTS = MUTANTS / "results.jsonl"
"""The name of each change that was tried, and an exit code of these."""
SURVIVED, FAILED, WENT_WRONG, NO_TEST = 0, 1, 3, 33
TOO_LONG = -signal.SIGALRM
_REACHED, _STAMP = MUTANTS / "reached.json", MUTANTS / "stamp"
_SLOWER, _PATIENCE = 4, 20
"""How many times as long as they take otherwise tests may take, and seconds on top."""


def main(patterns: Sequence[str]) -> int:
    """Try the changes whose names fit one of the patterns; all of them if there is none."""
    stamp = _stamp()
    if not _STAMP.exists() or _STAMP.read_text() != stamp:
        shutil.rmtree(MUTANTS, ignore_errors=True)
        MUTANTS.mkdir()
        copy_src_dir()
        copy_also_copy_files()
        generator.store_lines_covered_by_tests()
        generator.create_mutants(os.cpu_count() or 1)
        _STAMP.write_text(stamp)
    os.chdir(MUTANTS)
    sys.path[:] = [str(MUTANTS), *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["MUTMUT_DEPENDENCY_DEPTH"] = "-1"
    settings = config()
    options = ["--rootdir=.", "--quiet", "-p", "no:xdist", "-p", "no:faker"]
    tests = settings.pytest_add_cli_args_test_selection
    trial = Trial(patterns)
    return int(pytest.main([*options, *settings.pytest_add_cli_args, *tests], plugins=[trial]))


def _stamp() -> str:
    """Digest the files of the checkout, but what is explained of earlier results."""
    digest = hashlib.sha256()
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in sorted(set(subprocess.check_output(listing, cwd=ROOT).split(b"\0"))):
        path = ROOT / os.fsdecode(name)
        if path != EQUIVALENTS:
            digest.update(name + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


class Trial:
    """A plugin of pytest that runs the tests which were read in forks, and not in the process."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Begin in the process that forks."""
        self._patterns = patterns
        self._failed: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._functions: defaultdict[str, list[str]] = defaultdict(list)
        self._ends_at_a_failure = False
        self._children: dict[int, tuple[int, tempfile.TemporaryDirectory[str]]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn what each test reaches, and try the changes."""
        if session.testsfailed:
            raise session.Interrupted("tests that cannot be read")
        self._items = {item.nodeid: item for item in session.items}
        self._plugins = session.config.pluginmanager
        gc.collect()
        gc.freeze()
        if not _REACHED.exists():
            self._fork(self._learn)
            if self._wait()[1] != 0:
                pytest.exit("what the tests reach could not be learnt", returncode=WENT_WRONG)
        reached = json.loads(_REACHED.read_text())
        self._seconds, tests = reached["seconds"], reached["tests"]
        calls = Counter(name for names in tests.values() for name in names)
        for names in tests.values():
            # Quick ones first, and before others those that reach little else.
            names.sort(key=lambda name: (self._seconds[name] + 0.005) * calls[name])
        self._try_all(tests)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note what a test calls, and how long it takes."""
        state()._stats.clear()
        began = time.monotonic()
        result = yield
        self._seconds[item.nodeid] = time.monotonic() - began
        for name in state()._stats:
            self._functions[name].append(item.nodeid)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> pytest.TestReport | None:
        """End the process at the first failure, without a report: it is one change's."""
        skipped = (pytest.skip.Exception, pytest.xfail.Exception)
        if call.excinfo is not None and not call.excinfo.errisinstance(skipped):
            if self._ends_at_a_failure:
                os._exit(FAILED)
            self._failed.add(item.nodeid)
        return None

    def _learn(self) -> int:
        """Run all tests without a change; those that fail say nothing of changes."""
        trampoline.set_mutant_under_test("stats")
        self._run(list(self._items))
        for name in sorted(self._failed):
            self._say(f"fails without a change, so it is left out: {name}")
        tests = {
            function: [name for name in names if name not in self._failed]
            for function, names in self._functions.items()
        }
        _REACHED.write_text(json.dumps({"tests": tests, "seconds": self._seconds}))
        return 0

    def _try_all(self, tests: dict[str, list[str]]) -> None:
        tried = {json.loads(line)[0] for line in _lines(RESULTS)}
        names = [name for name in changes(self._patterns) if name not in tried]
        random.shuffle(names)
        running: dict[int, str] = {}
        with RESULTS.open("a") as results:

            def finish_one() -> None:
                pid, code = self._wait()
                print(json.dumps([running.pop(pid), code]), file=results, flush=True)

            for number, name in enumerate(names):
                if number % 100 == 0:
                    self._say(f"{number} of {len(names)} changes tried")
                reaching = tests.get(mangled_name_from_mutant_name(name), [])
                if not reaching:
                    print(json.dumps([name, NO_TEST]), file=results, flush=True)
                    continue
                if len(running) >= (os.cpu_count() or 1):
                    finish_one()
                running[self._fork(partial(self._try, name, reaching))] = name
            while running:
                finish_one()

    def _try(self, change: str, tests: list[str]) -> int:
        """Return what is left of a process in which no test notices the change."""
        self._ends_at_a_failure = True
        signal.alarm(int(sum(self._seconds[name] for name in tests) * _SLOWER) + _PATIENCE)
        trampoline.set_mutant_under_test(change)
        # For each call, it would look into the environment.
        trampoline.get_mutant_under_test = lambda: change
        self._run(tests)
        return SURVIVED

    def _say(self, line: str) -> None:
        with self._plugins.getplugin("capturemanager").global_and_fixture_disabled():
            print(line, flush=True)

    def _run(self, names: list[str]) -> None:
        if self._plugins.has_plugin("terminalreporter"):
            self._plugins.unregister(name="terminalreporter")
        for item, following in pairwise([*(self._items[name] for name in names), None]):
            assert item is not None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _fork(self, work: Callable[[], int]) -> int:
        """Do something in a process of its own, with a folder for what it leaves behind."""
        folder = tempfile.TemporaryDirectory(prefix="mutation")
        pid = os.fork()
        if pid:
            self._children[os.pidfd_open(pid)] = pid, folder
            return pid
        signal.alarm(0)  # tests/conftest.py has set it
        os.environ["TMPDIR"] = tempfile.tempdir = folder.name
        code = WENT_WRONG
        try:
            code = work()
        except BaseException:
            self._say(traceback.format_exc())
        finally:
            os._exit(code)

    def _wait(self) -> tuple[int, int]:
        """Wait for the end of a process of `_fork`; return its number and its exit code."""
        ended = select.select(self._children, [], [])[0][0]
        pid, folder = self._children.pop(ended)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        folder.cleanup()
        return pid, os.waitstatus_to_exitcode(status)


def changes(patterns: Sequence[str]) -> Iterator[str]:
    """Name the changes that were made and fit one of the patterns; all of them if there is none."""
    for path in sorted(MUTANTS.rglob("*.meta")):
        for name in json.loads(path.read_text())["exit_code_by_key"]:
            if not patterns or any(fnmatch(name, each) for each in patterns):
                yield name


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
