"""Each parser is fuzzed for a moment, from the kept corpus on."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 2
"""For each target: about a minute in all."""


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer as `scripts/fuzz` does, without measuring its coverage, which is slow."""
    command = [sys.executable, "-m", "fuzz", *arguments]
    around = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=around
    )


def test_a_minute_of_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """Every target is tried, and none breaks."""
    if importlib.util.find_spec("atheris") is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("atheris is not installed, so nothing is fuzzed: requirements/dev.lock has it")
    ran = fuzz("--seconds", str(SECONDS), "--work", str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    names = fuzz("--list").stdout.split()
    tried = [line for line in ran.stdout.splitlines() if line.endswith("no finding")]
    assert [line.partition(":")[0] for line in tried] == names


def test_an_input_can_be_tried_alone(tmp_path: Path) -> None:
    """With the command that a finding is reported with; it says what the parser answered."""
    file = tmp_path / "input"
    file.write_bytes(b"YQ")
    assert fuzz("base64url", "--input", str(file)).stdout == "accepted\n"
    file.write_bytes(b"YR")
    assert fuzz("base64url", "--input", str(file)).stdout == "refused\n"


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    """An unknown target, and an input without a target, in one line."""
    for arguments, said in (
        (("nothing",), "no target nothing"),
        (("--input", str(tmp_path)), "--input needs one target"),
    ):
        ran = fuzz(*arguments)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert said in ran.stderr
        assert ran.stderr.count("\n") == 1
