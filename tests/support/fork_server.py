"""The warm interpreter: imports all of the product once, then forks one process for each request.

Started by `tests.support.forked`, with a listening Unix socket on standard input and the reading
end of a pipe, which closes when the tests end, on standard output. A request is one JSON document
and three descriptors (SCM_RIGHTS) to be standard input, output and error; the answer is the pid of
the new process and, where the caller waits for it here, its exit status.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from typing import Any

import coverage
import coverage.collector

PACKAGES = ("keys", "issuer", "resource_api", "consumer", "watchword")
OPTIONAL = ("httpx2", "uvloop", "asyncpg", "sqlalchemy.dialects.postgresql.asyncpg")
CONFIGURATION = "COVERAGE_PROCESS_CONFIG"
"""The variable of coverage's configuration, in the environment of tests that are measured."""
MAXIMUM_REQUEST = 1_000_000


# For its debug output it looks at every frame, and for that at every module: a tenth of a second in
# each forked process, and seconds in one that pytest has forked.
coverage.collector.short_stack = str  # type: ignore[attr-defined, assignment]


def import_everything() -> None:
    """Import every module of the product, and what it imports only when it is needed."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__") and ".migrations." not in module.name:
                importlib.import_module(module.name)
    for name in (*OPTIONAL, "uvicorn.lifespan.on", "sqlalchemy.dialects.sqlite"):
        importlib.import_module(name)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Read one request to its end (the caller shuts its side down)."""
    text, files, _, _ = socket.recv_fds(connection, MAXIMUM_REQUEST, 3)
    while more := connection.recv(MAXIMUM_REQUEST):
        text += more
    return json.loads(text), files


def serve(listener: socket.socket, tests: int) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for one request after another.

    Returns:
        In each forked process its request; in this one None, once the tests have ended.
    """
    while True:
        readable, _, _ = select.select([listener, tests], [], [])
        if tests in readable:
            return None
        connection, _ = listener.accept()
        request, files = receive(connection)
        if request["attached"]:
            _reap()
        between = os.fork()
        if between == 0:
            # The process becomes an orphan at once, and so a child of the tests (see `forked`).
            pid = os.fork()
            if pid == 0:
                connection.close()
                listener.close()
                os.close(tests)
                return request, files
            connection.sendall(f"{pid}\n".encode())
            if request["attached"]:
                for file in files:
                    os.close(file)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                connection.sendall(f"{status}\n".encode())
            os._exit(0)
        for file in files:
            os.close(file)
        if not request["attached"]:
            os.waitpid(between, 0)
        connection.close()  # the caller, who waits for this end, may now wait for the process


def _reap() -> None:
    """Forget the processes between that have waited to their end."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def measure(request: dict[str, Any]) -> None:
    """Start coverage, if the test that asks is measured and the module is the product's.

    The interpreter itself has none: coverage that is on at a fork is started anew by each process
    between, and once more by each process for every start before it.
    """
    if CONFIGURATION in request["env"] and request["module"].partition(".")[0] in PACKAGES:
        os.environ[CONFIGURATION] = request["env"][CONFIGURATION]
        coverage.process_startup(force=True)


def become(request: dict[str, Any], files: list[int]) -> None:
    """Make this process what `python -m MODULE ARGUMENTS…` is when its first line runs."""
    measure(request)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["new_session"]:
        os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        if file > 2:
            os.close(file)
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    tempfile.tempdir = None
    sys.path[0] = os.getcwd()
    sys.argv[:] = ["-m", *request["arguments"]]
    sys.orig_argv[:] = [sys.executable, "-m", request["module"], *request["arguments"]]
    _open_streams()


def _open_streams() -> None:
    """Open the standard streams as an interpreter does, with the encodings that this one has."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        old = getattr(sys, name)
        stream = open(  # noqa: SIM115 - for the whole process
            number,
            mode,
            buffering=-1 if number < 2 else 1,
            encoding=old.encoding,
            errors=old.errors,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(module: str) -> None:
    """Do what `python -m` does, and end as an interpreter ends, but for the freeing of memory.

    To free what all imports have made would take longer than most commands.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # what fails here is the interpreter's to report
    os._exit(code)


def main() -> None:
    """Serve until the tests end; in a forked process, run its module as the main one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    listener = socket.socket(fileno=os.dup(0))
    tests = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    import_everything()
    assert len(os.listdir("/proc/self/task")) == 1, "a thread does not survive a fork"
    gc.collect()
    gc.freeze()
    if request := serve(listener, tests):
        become(*request)
        run(request[0]["module"])


if __name__ == "__main__":
    main()
