"""Real APIs for benches: `BearerMiddleware` under uvicorn, each in a process of its own."""

import base64
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread
from typing import Any

import uvicorn

from bench.loadgen import build_request
from bench.served import RESOURCE, Prepared
from keys.events import ignore_event
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_cache import CachePolicy
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from resource_api import BearerMiddleware

# Forked from a process that has imported all of it and has no threads.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["bench.validators"])

SHORTEST = CachePolicy(minimum_lifetime=1, cooldown=86_400)
"""For issuers whose `max-age` is compressed to seconds.

A token with an unknown kid causes a fetch once in a run: a key that signs before validators know it
must show.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How an API gets the keys of its issuer."""

    issuer: str
    jwks_uri: str | None = None
    """The address of the keys for an API that reads no metadata: only `max-age` counts there."""
    policy: CachePolicy = field(default_factory=CachePolicy)
    copy: Path | None = None
    """The file in which the last good set is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an API answered."""

    status: int
    retry_after: int | None


@contextmanager
def validator(trust: Trust) -> Iterator[tuple[str, int]]:
    """Run an API that accepts the issuer's tokens; give its address.

    Requests wait until it serves; it has no keys yet then.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        address = listener.getsockname()
        process = _PROCESSES.Process(target=_serve, args=(listener, trust), daemon=True)
        process.start()
    try:
        yield address
    finally:
        _end(process)


def _end(process: BaseProcess) -> None:
    process.terminate()
    process.join(10)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(listener: socket.socket, trust: Trust) -> None:
    copy = None if trust.copy is None else KeySetCopy(trust.copy, trust.issuer)
    jwks = JwksClient(
        HttpJwks(trust.issuer, jwks_uri=trust.jwks_uri),
        policy=trust.policy,
        on_event=ignore_event,
        copy=copy,
    )
    app = BearerMiddleware(
        _api,
        issuer=trust.issuer,
        resource=RESOURCE,
        jwks=jwks,
        on_event=ignore_event,
        readiness_path="/readyz",
    )
    uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on")).run(sockets=[listener])


async def _api(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"in"})


class Connection:
    """One connection to an API, on which requests are sent one after the other."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=30)

    def show(self, token: str) -> Answer:
        """Ask for what needs a token."""
        request = build_request("GET", "/orders", {"authorization": f"Bearer {token}"})
        self._socket.sendall(request)
        return _read(self._socket)

    def is_ready(self) -> bool:
        """Ask the probe."""
        self._socket.sendall(build_request("GET", "/readyz"))
        return _read(self._socket).status == 200

    def close(self) -> None:
        """End it."""
        self._socket.close()


@dataclass(slots=True)
class Shown:
    """The tokens that probers show: those that must end at some time, and one that must not."""

    ending: list[str]
    good: str = ""
    stop: Event = field(default_factory=Event)


class Prober(Thread):
    """Shows tokens to one API, again and again, until told to stop."""

    PACE = 0.1
    """Seconds between two looks at one API, the error of the times."""

    def __init__(self, address: tuple[str, int], shown: Shown) -> None:
        super().__init__()
        self.refused_at: dict[str, float] = {}
        """By token, when it was refused first."""
        self.wrong: list[str] = []
        """Answers that must not be."""
        self.good = 0
        """Answers to good tokens."""
        self._address = address
        self._shown = shown
        self._seen: set[str] = set()

    def run(self) -> None:
        """Ask."""
        with closing(Connection(self._address)) as connection:
            while not self._shown.stop.is_set():
                self._look(connection)
                time.sleep(self.PACE)

    def wait_for_first_look(self, token: str) -> None:
        """Return when the API has answered to a token once, and remembers it."""
        end = time.monotonic() + 30
        while token not in self._seen:
            if time.monotonic() > end:
                raise TimeoutError("an API does not answer")
            time.sleep(0.01)

    def _look(self, connection: Connection) -> None:
        for token in list(self._shown.ending):
            status = connection.show(token).status
            if status == 401:
                self.refused_at.setdefault(token, time.time())
            elif status != 200 or token in self.refused_at:
                self.wrong.append(f"{status} for a token that ends")
            self._seen.add(token)
        if self._shown.good:
            status = connection.show(self._shown.good).status
            self.good += 1
            if status != 200:
                self.wrong.append(f"{status} for a good token")


def _read(peer: socket.socket) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.lower().splitlines()[1:])
    fields = {name: value.strip() for name, _, value in lines}
    while len(body) < int(fields[b"content-length"]):
        body += _receive(peer)
    retry_after = fields.get(b"retry-after")
    return Answer(status=int(head[9:12]), retry_after=retry_after and int(retry_after))


def _receive(peer: socket.socket) -> bytes:
    data = peer.recv(65_536)
    if not data:
        raise ConnectionError("the API closed the connection")
    return data


def wait_until_ready(addresses: list[tuple[str, int]], *, timeout: float = 30) -> None:
    """Wait until all of these APIs have the issuer's keys.

    Raises:
        TimeoutError: one has none in time.
    """
    end = time.monotonic() + timeout
    for address in addresses:
        connection = Connection(address)
        while not connection.is_ready():
            if time.monotonic() > end:
                raise TimeoutError("an API has no keys")
            time.sleep(0.02)
        connection.close()


def get_token(data: Prepared, issuer: tuple[str, int], client_id: str | None = None) -> str:
    """Get a token, of the bench's own client if none is named.

    Raises:
        AssertionError: the issuer refused it.
    """
    with socket.create_connection(issuer, timeout=30) as peer:
        peer.sendall(data.token_request(client_id))
        answer = peer.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
    return json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]


def kid_of(token: str) -> str:
    """Read which key signed a token, without a check."""
    return _segment(token, 0)["kid"]


def jti_of(token: str) -> str:
    """Read the id of a token, without a check."""
    return _segment(token, 1)["jti"]


def _segment(token: str, number: int) -> dict[str, Any]:
    encoded = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
