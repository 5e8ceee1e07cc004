"""The real `watchword` command in a folder of its own, and the same command inside this process."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without our settings, so that tests choose them all."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WATCHWORD_") and name not in ("CLIENT_ID", "CLIENT_SECRET")
    }
    return inherited | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def run_command(folder: Path, *arguments: str, stdin: str = "", **settings: str) -> Done:
    """Run `python -m watchword` in `folder`, with no settings but those given."""
    return subprocess.run(
        [sys.executable, "-m", "watchword", *arguments],
        cwd=folder,
        env=clean_environment() | settings,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_inside(monkeypatch: Any, capsys: Any) -> Callable[..., Done]:
    """Return a function that runs the command in this process: its exit code and what it said."""
    from watchword.cli import run

    def inside(*arguments: str, stdin: str = "") -> Done:
        text = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", text)
        code = run(arguments)
        said = capsys.readouterr()
        return Done(list(arguments), code, said.out, said.err)

    return inside


def document(done: Done) -> Any:
    """Return the one JSON document that a command printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
