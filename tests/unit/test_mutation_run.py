"""The trials of `scripts/mutation`: what counts as noticed, and what is explained."""

import os
import subprocess
import tempfile
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("mutmut", reason="of the development environment")

from scripts.mutation_run import EQUIVALENTS, FAILED, ROOT, SURVIVED, WENT_WRONG, Trial


def trial_of(outcome: BaseException | None) -> Trial:
    """Give a trial with one test, of this outcome: an exception that it raises, or None."""
    trial = Trial([])

    def come_to_it() -> None:
        if outcome is not None:
            raise outcome

    def run(item: pytest.Item, nextitem: pytest.Item | None) -> None:
        trial.pytest_runtest_makereport(item, pytest.CallInfo.from_call(come_to_it, "call"))

    hook = SimpleNamespace(pytest_runtest_protocol=run)
    item: Any = SimpleNamespace(nodeid="test", config=SimpleNamespace(hook=hook))
    plugins: Any = SimpleNamespace(has_plugin=lambda name: False)
    trial._items, trial._seconds, trial._plugins = {"test": item}, {"test": 0.01}, plugins
    return trial


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, SURVIVED),
        (AssertionError(), FAILED),
        (ValueError(), FAILED),
        (pytest.skip.Exception("not here"), SURVIVED),
    ],
)
def test_a_change_is_noticed_by_a_test_that_fails_and_by_nothing_else(
    outcome: BaseException | None, code: int
) -> None:
    """Above all, what passes is told from what went wrong in the trial itself."""
    trial = trial_of(outcome)
    pid = trial._fork(lambda: trial._try("package.x_function__mutmut_1", ["test"]))
    assert trial._wait() == (pid, code)


def test_a_trial_that_goes_wrong_is_no_change_that_is_noticed() -> None:
    """It has a code of its own, and what it left in its folder goes."""
    trial = trial_of(None)
    trial._say = lambda line: None  # type: ignore[method-assign]

    def work() -> int:
        Path(tempfile.mkdtemp()).joinpath("left").touch()
        raise RuntimeError

    trial._fork(work)
    [(_, temporary)] = trial._children.values()
    folder = Path(temporary.name)
    assert folder.is_dir()
    assert trial._wait()[1] == WENT_WRONG
    assert not folder.exists()


def test_a_process_of_somebody_else_is_left_to_them() -> None:
    """Waiting for any process would take those that tests before this one have started."""
    trial = trial_of(None)
    with subprocess.Popen(["false"]) as other:
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        pid = trial._fork(lambda: SURVIVED)
        assert trial._wait() == (pid, SURVIVED)
        assert other.wait() == 1
    assert not trial._children


def test_what_is_explained_is_code_that_there_is() -> None:
    """An entry of code that has changed meanwhile explains nothing."""
    for entry in tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))["equivalent"]:
        module = ROOT / f"{entry['module'].replace('.', '/')}.py"
        lines = module.read_text(encoding="utf-8").splitlines()
        assert entry["was"] in " ".join(line.strip() for line in lines), entry
