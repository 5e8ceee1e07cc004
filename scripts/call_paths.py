"""Measure the code that the main operations go through: the work of `scripts/walk`.

A profiler hook records every function of the five packages that is entered while an operation
runs, and SQLite reports each statement. Server and commands are the real ones, in this process: a
server on a free loopback port, a data folder that is deleted at the end. Each operation runs once
beforehand, so that imports and first-use caches are not part of the measurement.
"""

import argparse
import asyncio
import dis
import io
import itertools
import json
import math
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import cache
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = tuple(
    f"{ROOT}/{name}/" for name in ("keys", "issuer", "resource_api", "consumer", "watchword")
)
_BOOKKEEPING = ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "--")
_REGISTRY = """\
clients:
  - client_id: {client}
    client_name: Orders
    grants:
      - resource: {resource}
        scope: read
    secrets:
      - generate_to: {client}.secret
"""


@dataclass(eq=False)
class Walk:
    """What one operation went through.

    `functions` has the calls of each function, by file, in the order of the first calls. A change
    of file is a call of a function in another file than that of the call before.
    """

    functions: dict[str, dict[str, int]] = field(default_factory=dict)
    calls: int = 0
    changes_of_file: int = 0
    statements: list[str] = field(default_factory=list)
    _last: str = ""

    def enter(self, frame: FrameType) -> None:
        """Count a call of one of our functions."""
        code = frame.f_code
        functions = self.functions.setdefault(code.co_filename.removeprefix(f"{ROOT}/"), {})
        functions[code.co_qualname] = functions.get(code.co_qualname, 0) + 1
        self.calls += 1
        self.changes_of_file += self._last not in ("", code.co_filename)
        self._last = code.co_filename

    def figures(self) -> dict[str, int]:
        """Return the counts."""
        return {
            "files": len(self.functions),
            "functions": sum(map(len, self.functions.values())),
            "calls": self.calls,
            "changes_of_file": self.changes_of_file,
            "sql_statements": len(self.statements),
        }


_walk: ContextVar[Walk | None] = ContextVar("walk", default=None)


def _is_ours(frame: FrameType) -> bool:
    # The bodies of modules and classes run when they are imported: they are not calls.
    code = frame.f_code
    return bool(code.co_flags & CO_OPTIMIZED) and code.co_filename.startswith(PACKAGES)


def _profile(frame: FrameType, event: str, argument: object) -> None:
    walk = _walk.get() if event == "call" else None
    # A coroutine or generator that goes on where it was is not called anew.
    if walk is not None and _is_ours(frame) and frame.f_lasti <= _start(frame.f_code):
        walk.enter(frame)


@cache
def _start(code: CodeType) -> int:
    return next(each.offset for each in dis.get_instructions(code) if each.opname == "RESUME")


def _note_statement(statement: str) -> None:
    walk = _walk.get()
    if walk is not None and not statement.startswith(_BOOKKEEPING):
        walk.statements.append(" ".join(statement.split()))


class Stage:
    """A provider in this process, and commands beside it, in the working folder.

    The settings are those of `environment`: the issuer at `port` and a client for commands.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._awaited: dict[str, Walk] = {}
        self.url = os.environ["WATCHWORD_ISSUER"]
        self.command("keys", "generate")
        self.client = self._create("walker", "--scope", "read")
        scopes = "watchword:clients:write watchword:resources:read"
        admin = self._create("admin", "--grant", f"{self.url}/admin/api/v1 {scopes}")
        os.environ["WATCHWORD_CLIENT_ID"] = admin["client_id"]
        os.environ["WATCHWORD_CLIENT_SECRET"] = admin["client_secret"]

    def command(self, *words: str) -> str:
        """Run a command that must succeed; return what it printed."""
        from watchword.cli import run

        with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()) as said:
            code = run(words)
        if code:
            raise RuntimeError(f"watchword {' '.join(words)} ended with {code}: {said.getvalue()}")
        return printed.getvalue()

    def _create(self, *words: str) -> dict[str, Any]:
        created: dict[str, Any] = json.loads(self.command("clients", "create", *words, "--json"))
        return created

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        import uvicorn

        from resource_api.demo.values import MemoryValue
        from watchword.ambient import wall_clock
        from watchword.logging import Events
        from watchword.metrics import Metrics
        from watchword.provider import published_keys
        from watchword.provider.app import Provider
        from watchword.settings import load_settings

        # A look that is due every quarter of a second would count for the request that comes then.
        published_keys.LOOK_SECONDS = math.inf
        self._provider = Provider(
            load_settings(),
            Metrics(Events(form="json", stream=io.StringIO())),
            value=MemoryValue(),
            started=wall_clock(),
        )
        config = uvicorn.Config(self._serve, interface="asgi3", ws="none", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([self._listener],))
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the provider did not start")
                time.sleep(0.01)
            yield
        finally:
            server.should_exit = True
            thread.join()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        before = _walk.set(self._awaited.pop(scope.get("path", ""), None))
        try:
            await self._provider(scope, receive, send)
        finally:
            _walk.reset(before)

    def served(self, path: str, ask: Callable[[], object]) -> Walk:
        """Record the server's side of a request to `path` that `ask` makes."""
        walk = self._awaited[path] = Walk()
        ask()
        return walk


def recorded(work: Callable[[], object]) -> Walk:
    """Record what a piece of work goes through in this thread, and in those that it hands on to."""
    walk = Walk()
    before = _walk.set(walk)
    try:
        work()
    finally:
        _walk.reset(before)
    return walk


def walk_token(stage: Stage) -> dict[str, Walk]:
    """A token request of a client that the view holds already, on the server.

    The shorter of two: what is due once in a while, such as places on the next status list, counts
    for the request that comes then.
    """
    fetch_token(stage)  # the first one after the start may find a key set that is not derived yet
    walks = [stage.served("/token", lambda: fetch_token(stage)) for _ in range(2)]
    return {"token": min(walks, key=lambda walk: walk.calls)}


def fetch_token(stage: Stage) -> str:
    """Get a token as any client would."""
    import httpx

    credentials = stage.client["client_id"], stage.client["client_secret"]
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(stage.url + "/token", auth=credentials, data=form, trust_env=False)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def walk_protected(stage: Stage) -> dict[str, Walk]:
    """Two requests to the demo API with the same token, on the server."""
    import httpx

    headers = {"authorization": f"Bearer {fetch_token(stage)}"}

    def ask() -> None:
        answer = httpx.get(stage.url + "/read-resource", headers=headers, trust_env=False)
        answer.raise_for_status()

    names = ("protected-first", "protected-next")
    return {name: stage.served("/read-resource", ask) for name in names}


def walk_consumer(stage: Stage) -> dict[str, Walk]:
    """Two requests to the demo API by `consumer`, in the client."""
    import httpx

    from consumer import ClientCredentials

    client_id, secret = stage.client["client_id"], stage.client["client_secret"]

    async def ask_twice() -> dict[str, Walk]:
        walks = {"consumer-first": Walk(), "consumer-next": Walk()}
        auth = ClientCredentials(stage.url, client_id, secret, scope="read")
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            for walk in walks.values():
                before = _walk.set(walk)
                (await client.get(stage.url + "/read-resource")).raise_for_status()
                _walk.reset(before)
        return walks

    return asyncio.run(ask_twice())


_CREATE = ("--scope", "read", "--name", "Orders", "--token-ttl", "600")


def walk_create(stage: Stage) -> dict[str, Walk]:
    """`clients create` beside the database."""
    words = ("clients", "create", f"local-{next(_numbers)}", *_CREATE)
    return {"create": recorded(lambda: stage.command(*words))}


def walk_create_remote(stage: Stage) -> dict[str, Walk]:
    """`clients create --server`: the command, and the provider that it asks."""
    words = ("clients", "create", f"remote-{next(_numbers)}", *_CREATE, "--server", stage.url)
    client = Walk()

    def create() -> None:
        nonlocal client
        client = recorded(lambda: stage.command(*words))

    server = stage.served("/admin/api/v1/clients", create)
    return {"create-remote": client, "create-server": server}


def walk_apply(stage: Stage) -> dict[str, Walk]:
    """`apply` of a file with one new client and a secret that it makes."""
    client = f"applied-{next(_numbers)}"
    file = Path(f"{client}.yaml")
    file.write_text(_REGISTRY.format(client=client, resource=stage.url))
    return {"apply": recorded(lambda: stage.command("apply", str(file)))}


_numbers = itertools.count()
WALKS: dict[str, Callable[[Stage], dict[str, Walk]]] = {
    "token": walk_token,
    "protected": walk_protected,
    "consumer": walk_consumer,
    "create": walk_create,
    "create-remote": walk_create_remote,
    "apply": walk_apply,
}


def measure(names: Iterable[str]) -> dict[str, Walk]:
    """Run these operations once to warm up, and once more to record them."""
    hand_on_context()
    trace_statements()
    threading.setprofile(_profile)
    with prepared_folder() as listener:
        stage = Stage(listener)
        with stage.serving():
            for name in names:
                WALKS[name](stage)
            sys.setprofile(_profile)
            try:
                return {key: walk for name in names for key, walk in WALKS[name](stage).items()}
            finally:
                sys.setprofile(None)


def trace_statements() -> None:
    """Have SQLite connections from now on report their statements, whichever library opens them."""
    connect = sqlite3.connect

    def connect_traced(*args: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401
        connection: sqlite3.Connection = connect(*args, **named)
        connection.set_trace_callback(_note_statement)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = connect_traced  # type: ignore[assignment]


def hand_on_context() -> None:
    """Have worker threads count for the operation that gave them their work."""
    submit = ThreadPoolExecutor.submit

    def submit_in_context(self: Any, work: Any, /, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        return submit(self, copy_context().run, work, *args, **named)

    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign]


@contextmanager
def prepared_folder() -> Iterator[socket.socket]:
    """Work in a temporary folder, with default settings but for an issuer on a free port."""
    for name in list(os.environ):
        if name.startswith("WATCHWORD_") or name in ("CLIENT_ID", "CLIENT_SECRET"):
            del os.environ[name]
    with (
        tempfile.TemporaryDirectory(prefix="watchword-walk-") as folder,
        chdir(folder),
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        os.environ["WATCHWORD_ISSUER"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield listener


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/walk", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WALKS)}; or all")
    parser.add_argument("--summary", action="store_true", help="print the figures only")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - WALKS.keys():
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    walks = measure(given.names or list(WALKS))
    if given.json:
        document = {
            name: {
                "figures": walk.figures(),
                "functions": walk.functions,
                "statements": walk.statements,
            }
            for name, walk in walks.items()
        }
        print(json.dumps(document, indent=2))
        return 0
    for name, walk in walks.items():
        figures = walk.figures().items()
        print(
            f"{name}: " + ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in figures)
        )
        if not given.summary:
            for file, functions in walk.functions.items():
                print(f"  {file}: {', '.join(functions)}")
            for statement in walk.statements:
                print(f"  SQL: {statement[:120]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
