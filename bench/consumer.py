"""How the consumer behaves where tokens begin and end: token requests, waiting, spreading.

Beside Authlib's AsyncOAuth2Client, httpx-auth and requests-oauth2client in the same run, against a
server in a process of its own whose token endpoint takes 50 ms.

Usage: bench/consumer.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import gc
import json
import multiprocessing
import os
import ssl
import statistics
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import httpx
import httpx2
import requests
from authlib.integrations.httpx_client import AsyncOAuth2Client
from httpx_auth import OAuth2, OAuth2ClientCredentials
from requests_oauth2client import OAuth2Client as TokenClient
from requests_oauth2client import OAuth2ClientCredentialsAuth

from consumer import ClientCredentials
from consumer.requests_auth import TokenAuth
from resource_api.errors import DESCRIPTIONS, Reason

TASKS, THREADS, CONNECTIONS = 1000, 64, 8
CALLS_REFUSED = 10_000
PROCESSES = 500
LIFE = 2
"""Seconds that a token lives where its end is waited for."""
TAIL_LIMIT, SPREAD_LIMIT = 1.10, 3.0
_TOKEN_SECONDS = 0.05

Answer = tuple[int, str, bytes]


class Server:
    """Gives out tokens and serves an API, and notes when it was asked for a token."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def serve(self, ready: Connection) -> None:
        """Serve on a free port until the process is ended."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, backlog=2048)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = head.lower().partition(b"content-length:")[2]
                if fields:
                    await reader.readexactly(int(fields.split()[0]))
                status, extra, body = await self._answer(head.split(b" ", 2)[1].decode())
                start = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
                writer.write(start.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, path: str) -> Answer:
        kind = "Content-Type: application/json\r\n"
        route, _, life = path.lstrip("/").partition("/")
        match route:
            case "token":
                self.asked.append(time.monotonic())
                number = len(self.asked)
                await asyncio.sleep(_TOKEN_SECONDS)
                token = {"access_token": f"t{number}", "token_type": "Bearer"}
                return 200, kind, json.dumps(token | {"expires_in": int(life)}).encode()
            case "asked":
                asked, self.asked = self.asked, []
                return 200, kind, json.dumps(asked).encode()
            case "refusing" | "foreign":
                told = 'Bearer error="invalid_token"'
                if route == "refusing":
                    told += f', error_description="{DESCRIPTIONS[Reason.WRONG_AUDIENCE]}"'
                return 401, f"WWW-Authenticate: {told}\r\n", b""
            case _:
                return 200, "", b"ok"


def _serve(ready: Connection) -> None:
    asyncio.run(Server().serve(ready))


@contextmanager
def served() -> Iterator[str]:
    """Have a server in a process of its own; give its URL."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,))
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def asked(url: str) -> list[float]:
    """Return when tokens were asked for since the last time that this was called."""
    return list(httpx.get(f"{url}/asked", trust_env=False).json())


def ours(url: str, life: int = LIFE, **options: Any) -> ClientCredentials:
    """Make credentials whose tokens live so long."""
    return ClientCredentials(url, "id", "s3cret", token_endpoint=f"{url}/token/{life}", **options)


# Each gets ready once and returns what makes one call; a token is never fetched beforehand.
Call = Callable[[str], Awaitable[object]]
API = "https://api.example"
"""Where 1,000 tasks call: in the process, since a pool of connections would be what is measured."""


@contextmanager
def watchword_calls(url: str, life: int = LIFE) -> Iterator[Call]:
    """Call with ours."""
    client = httpx.AsyncClient(auth=ours(url, life), **_options(httpx))
    yield client.get


@contextmanager
def authlib_calls(url: str, life: int = LIFE) -> Iterator[Call]:
    """Call with Authlib, where the caller fetches the first token."""
    library = httpx2 if issubclass(AsyncOAuth2Client, httpx2.AsyncClient) else httpx
    endpoint = f"{url}/token/{life}"
    client = AsyncOAuth2Client(
        "id", "s3cret", token_endpoint=endpoint, leeway=0, **_options(library)
    )

    async def call(address: str) -> object:
        if client.token is None:
            await client.fetch_token()
        return await client.get(address)

    yield call


@contextmanager
def httpx_auth_calls(url: str, life: int = LIFE) -> Iterator[Call]:
    """Call with httpx-auth, which fetches in the event loop."""
    OAuth2.token_cache.clear()
    auth = OAuth2ClientCredentials(
        f"{url}/token/{life}", client_id="id", client_secret="s", early_expiry=0
    )
    client = httpx.AsyncClient(auth=auth, **_options(httpx))
    yield client.get


def _options(library: Any) -> dict[str, Any]:
    inside = {API: library.MockTransport(lambda request: library.Response(200))}
    return {"transport": _pool_of_each_task(library), "trust_env": False, "mounts": inside}


def _pool_of_each_task(library: Any) -> Any:
    """Make a transport that has a connection for each task.

    In httpx's own pool of 8 connections, plain requests of 8 tasks wait for up to 2 s now and then.
    """
    verify = ssl.create_default_context()
    pools: dict[asyncio.Task[Any] | None, Any] = {}

    class Pools(library.AsyncBaseTransport):  # type: ignore[misc] # of httpx or of httpx2
        async def handle_async_request(self, request: Any) -> Any:
            pool = pools.setdefault(
                asyncio.current_task(), library.AsyncHTTPTransport(verify=verify)
            )
            return await pool.handle_async_request(request)

    return Pools()


async def herd_of_tasks(url: str, make: Any) -> dict[str, int]:
    """Start 1,000 tasks without a token, and again when it has expired; count token requests."""
    found = {}
    asked(url)
    with make(url) as call:
        for moment in ("cold", "expired"):
            await asyncio.gather(*(call(API) for _ in range(TASKS)))
            found[moment] = len(asked(url))
            await asyncio.sleep(LIFE)
    return found


def herd_of_threads(url: str, call: Callable[[], object]) -> dict[str, int]:
    """Do the same with 64 threads."""
    found, start = {}, threading.Barrier(THREADS)

    def work(_: int) -> None:
        start.wait()
        call()

    asked(url)
    with ThreadPoolExecutor(THREADS) as pool:
        for moment in ("cold", "expired"):
            list(pool.map(work, range(THREADS)))
            found[moment] = len(asked(url))
            time.sleep(LIFE)
    return found


def thread_calls(url: str) -> dict[str, Callable[[], object]]:
    """Make what each thread calls: ours with httpx and with requests, and the others."""
    OAuth2.token_cache.clear()
    limits = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS)
    sync = httpx.Client(auth=ours(url), limits=limits, timeout=60, trust_env=False)
    endpoint = f"{url}/token/{LIFE}"
    other = OAuth2ClientCredentials(endpoint, client_id="id", client_secret="s", early_expiry=0)
    theirs = httpx.Client(auth=other, limits=limits, timeout=60, trust_env=False)
    adapter = TokenAuth(ours(url, timeout=9))  # another token than that of `sync`
    tokens = TokenClient(endpoint, ("id", "s3cret"), testing=True)
    roc = OAuth2ClientCredentialsAuth(tokens, leeway=0)
    return {
        "watchword": lambda: sync.get(f"{url}/api"),
        "watchword, requests": lambda: requests.get(f"{url}/api", auth=adapter, timeout=60),
        "httpx-auth": lambda: theirs.get(f"{url}/api"),
        "requests-oauth2client": lambda: requests.get(f"{url}/api", auth=roc, timeout=60),
    }


def refused(url: str, calls: int) -> dict[str, int]:
    """Call APIs that refuse every token; return how many tokens were asked for, the first included.

    A Watchword API says that no token of this client can be for it, so there is nothing to renew.
    One of another make says no more than `invalid_token`, which a second token might cure; after
    that no other is asked for within a minute, for which the clock stands still.
    """
    found = {}
    for api in ("refusing", "foreign"):
        asked(url)
        with httpx.Client(auth=ours(url, 3600, clock=Clock()), trust_env=False) as client:
            for _ in range(calls):
                client.get(f"{url}/{api}")
        found[api] = len(asked(url))
    return found


async def tail(url: str, make: Any, *, renewals: int) -> dict[str, float | None]:
    """Call under load across renewals; return the p99.9 of all and of those between, in ms."""
    taken: list[tuple[float, float]] = []
    gc.freeze()  # else the tail shows how long it takes to collect what was imported, up to 45 ms

    with make(url) as call:

        async def work() -> None:
            while (begun := time.monotonic()) < end:
                await call(f"{url}/api")
                if begun > start:
                    taken.append((begun, time.monotonic()))

        await call(f"{url}/api")
        asked(url)
        start = time.monotonic() + 1  # the connections are open by then
        end = start + LIFE * 0.8 * renewals
        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    moments = asked(url)
    margin = 2 * _TOKEN_SECONDS
    between = [
        done - begun
        for begun, done in taken
        if not any(begun - margin < moment < done + margin for moment in moments)
    ]
    everywhere = [done - begun for begun, done in taken]
    found = {name: p999(each) for name, each in (("all", everywhere), ("between", between))}
    return found | {"renewals": len(moments), "calls": len(taken)}


def p999(seconds: list[float]) -> float | None:
    """Return the 99.9th percentile in milliseconds, or None where no call falls there."""
    return statistics.quantiles(seconds, n=1000)[-1] * 1000 if len(seconds) > 1 else None


class Clock:
    """A clock that a process turns by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


def renewal_second(source: ClientCredentials, clock: Clock, numbers: list[int]) -> int:
    """Live through the window of a token of an hour, and return the second of its renewal."""
    for second in range(3480, 3541):
        clock.now = float(second)
        source.token()
        for thread in threading.enumerate():
            if thread.name == "watchword-token-renewal":
                thread.join()
        if len(numbers) > 1:
            return second
    raise RuntimeError("not renewed")


def fleet() -> dict[str, float]:
    """Fork 500 processes that share a start; return the busiest second over the mean."""
    numbers: list[int] = []

    def issue(request: httpx.Request) -> httpx.Response:
        numbers.append(1)
        token = {"access_token": f"t{len(numbers)}", "token_type": "Bearer", "expires_in": 3600}
        return httpx.Response(200, json=token)

    clock = Clock()
    source = ours("http://127.0.0.1:9", transport=httpx.MockTransport(issue), clock=clock)
    source.token()
    reading, writing = os.pipe()
    for _ in range(PROCESSES):
        child = os.fork()
        if not child:
            try:
                os.write(writing, renewal_second(source, clock, numbers).to_bytes(2))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    seconds = Counter(int.from_bytes(told[at : at + 2]) for at in range(0, len(told), 2))
    width = max(seconds) - min(seconds) + 1
    mean = seconds.total() / width
    return {
        "renewals": seconds.total(),
        "window": width,
        "busiest_over_mean": max(seconds.values()) / mean,
    }


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    quick = "--quick" in sys.argv[1:]
    made: dict[str, Any] = {"watchword": watchword_calls}
    if not quick:
        made |= {"authlib": authlib_calls, "httpx-auth": httpx_auth_calls}
    spread = fleet()  # first, since a fork takes no thread along
    with served() as url:
        tasks = {name: asyncio.run(herd_of_tasks(url, make)) for name, make in made.items()}
        threads = {
            name: herd_of_threads(url, call)
            for name, call in thread_calls(url).items()
            if name.startswith("watchword") or not quick
        }
        incurable = refused(url, CALLS_REFUSED // 10 if quick else CALLS_REFUSED)
        renewals = 6 if quick else 50
        tails = {
            name: asyncio.run(tail(url, make, renewals=renewals)) for name, make in made.items()
        }
    tail_of_ours = tails["watchword"]
    ratio = (tail_of_ours["all"] or 0.0) / (tail_of_ours["between"] or 1.0)
    once = {"cold": 1, "expired": 1}
    bars = {
        "tasks": tasks["watchword"] == once,
        "threads": threads["watchword"] == threads["watchword, requests"] == once,
        "refused": incurable == {"refusing": 1, "foreign": 2},
        "tail": ratio <= TAIL_LIMIT,
        "spread": spread["busiest_over_mean"] <= SPREAD_LIMIT and spread["renewals"] == PROCESSES,
    }
    missed = [name for name, met in bars.items() if not met]
    result = {
        "name": "consumer",
        "ratio": round(ratio, 3),
        "against": "p99.9 of calls between renewals",
        "limit": TAIL_LIMIT,
        "details": {
            "token_requests_of_1000_tasks": tasks,
            "token_requests_of_64_threads": threads,
            "token_requests_for_incurable_401s": incurable,
            "p999_ms": tails,
            "fleet": spread,
            "missed": missed,
        },
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
