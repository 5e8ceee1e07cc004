"""Processes of the product, forked from an interpreter that has imported it already.

What is different from a cold start: the imports are done, and where Python itself reads its
environment (`PYTHON…`, the locale) is that of the tests. All else is the process's own: arguments,
folder, environment, standard streams, signals, exit code, and its end. It is a child of the tests.
"""

import atexit
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IS_FORKED = sys.platform == "linux"
"""Whether processes can be forked for the tests; elsewhere each has a cold start."""

_PR_SET_CHILD_SUBREAPER = 36
_PIPES = ("p2cread", "p2cwrite", "c2pwrite", "c2pread", "errwrite", "errread")
"""The child's end of each standard stream, then ours."""


class ForkedProcess(subprocess.Popen):  # type: ignore[type-arg]
    """`Popen([sys.executable, "-m", *arguments], …)`, without the start of an interpreter."""

    def _execute_child(self, *arguments: Any) -> None:
        given = signature(subprocess.Popen._execute_child).bind(self, *arguments).arguments
        assert not given["pass_fds"]
        assert given["args"][:2] == [sys.executable, "-m"]
        pipes = [given[name] for name in _PIPES]
        child = [end if end != -1 else number for number, end in enumerate(pipes[0::2])]
        try:
            (self.pid,) = _ask(
                [str(each) for each in given["args"][2:]],
                child,
                cwd=os.path.abspath(given["cwd"] or "."),
                env=dict(os.environ if given["env"] is None else given["env"]),
                new_session=given["start_new_session"],
            )
        finally:
            p2cread, p2cwrite, c2pwrite, c2pread, errwrite, errread = pipes
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
        self.args = given["args"]
        self._child_created = True


def start_process(
    arguments: list[str], *, cold: bool = False, **options: Any
) -> "subprocess.Popen[Any]":
    """Start `python -m` with these arguments, forked or, if that is wanted, from cold."""
    kind = ForkedProcess if IS_FORKED and not cold else subprocess.Popen
    return kind([sys.executable, "-m", *arguments], **options)


@cache
def server_address() -> str:
    """Start the interpreter, once for these tests, and return the path of its socket."""
    folder = tempfile.mkdtemp(prefix="watchword-tests-")  # nobody else may connect
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Orphans of the server's, which all forked processes are, become children of this process.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            cwd=ROOT,
            env=_environment(),
            stdin=listener,
            stdout=ours,
        )
    os.close(ours)
    atexit.register(_stop, server, theirs)
    return f"{folder}/socket"


def _stop(server: "subprocess.Popen[bytes]", pipe: int) -> None:
    os.close(pipe)
    server.wait(timeout=30)


def _environment() -> dict[str, str]:
    own = ("WATCHWORD_", "CLIENT_")
    inherited = {name: each for name, each in os.environ.items() if not name.startswith(own)}
    inherited.pop("COVERAGE_PROCESS_CONFIG", None)  # each request has it (`fork_server.measure`)
    return inherited | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def _ask(arguments: list[str], streams: list[int], **rest: Any) -> list[int]:
    umask = os.umask(0o022)
    os.umask(umask)
    request = {"module": arguments[0], "arguments": arguments[1:], "attached": False, **rest}
    text = json.dumps(request | {"umask": umask}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server_address())
        sent = socket.send_fds(connection, [text], streams)
        connection.sendall(text[sent:])
        connection.shutdown(socket.SHUT_WR)
        return [int(each) for each in connection.makefile().read().split()]
