"""Commands of the registry in this process, in an empty folder, and how they are refused."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.command import Done, run_inside

ISSUER = "http://localhost:8080"
"""The default issuer, and so the default resource."""

Run = Callable[..., Done]


def run_in_empty_folder(folder: Path, monkeypatch: Any, capsys: Any) -> Run:
    """Return a function that runs commands in `folder` with default settings."""
    for name in list(os.environ):
        if name.startswith("WATCHWORD_") or name in ("CLIENT_ID", "CLIENT_SECRET"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    return run_inside(monkeypatch, capsys)


def refused(done: Done, code: int = 1, lines: int = 1) -> str:
    """Check that a command said why, a line each, and ended with the code; return what it said."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    told = done.stderr.splitlines()
    assert len(told) == lines, done.stderr
    assert all(line.startswith("watchword: ") for line in told)
    return done.stderr
