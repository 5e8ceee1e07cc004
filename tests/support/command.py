"""The real `watchword` command in a folder of its own, and the same command inside this process."""

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.forked import IS_FORKED, ROOT, server_address, start_process

Done = subprocess.CompletedProcess[str]


def clean_environment() -> dict[str, str]:
    """Return this process's environment without our settings, so that tests choose them all."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WATCHWORD_") and name not in ("CLIENT_ID", "CLIENT_SECRET")
    }
    return inherited | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def run_command(
    folder: Path,
    *arguments: str,
    stdin: str = "",
    module: str = "watchword",
    cold: bool = False,
    **settings: str,
) -> Done:
    """Run `python -m watchword` in `folder`, with no settings but those given.

    Args:
        folder: where.
        arguments: the words after the command's name.
        stdin: what it reads.
        module: the module in the place of `watchword`.
        cold: start an interpreter, which finds its imports itself, instead of forking the warm one.
        settings: environment variables.
    """
    process = start_process(
        [module, *arguments],
        cold=cold,
        cwd=folder,
        env=clean_environment() | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            out, err = process.communicate(stdin, timeout=120)
        except BaseException:
            process.kill()
            raise
    return Done(process.args, process.returncode, out, err)


def run_shell(folder: Path, line: str, *, cold: bool = False, **settings: str) -> Done:
    """Run a line of shell in `folder`, in which `watchword` is the command.

    In a cold one the line may also close its streams, and `$0 -m` starts an interpreter.
    """
    command = [sys.executable, "-m"]
    if not cold and IS_FORKED:
        client = Path(__file__).with_name("attached_command.py")
        command = [sys.executable, "-I", "-S", str(client), server_address()]
    function = f'watchword() {{ {shlex.join(command)} watchword "$@"; }}'
    return subprocess.run(
        ["sh", "-c", f"{function}; {line}", sys.executable],
        cwd=folder,
        env=clean_environment() | settings,
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
