"""A protected API whose issuer's status lists come over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from resource_api import BearerMiddleware
from resource_api.errors import StatusUnavailable
from resource_api.status_list import StatusList
from resource_api.status_lists import StatusListClient
from tests.support.key_set_server import KeySetServer, key_set_server
from tests.support.protected_api import Answer, ask, bearer
from watchword.testing.clock import Clock
from watchword.testing.forge import NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import list_token, pack, status

PATH = "/status-lists/1-0"


class ListedApi:
    """A protected API with its issuer, whose lists come over a real socket, and its clocks."""

    def __init__(self, server: KeySetServer, copy: Path | None = None, **options: Any) -> None:
        """Put a middleware in front of an application that answers 200."""
        self.server = server
        self.forge = TokenForge(issuer=server.url)
        self.wall, self.monotonic = Clock(NOW), Clock(1000)
        self.events: list[tuple[str, dict[str, Any]]] = []
        kept = None if copy is None else KeySetCopy(copy, server.url, clock=self.wall)
        self.keys = JwksClient(HttpJwks(server.url), on_event=self.record, copy=kept)
        self.lists = StatusListClient(
            self.keys,
            clock=self.wall,
            monotonic=self.monotonic,
            jitter=lambda: 0.5,
            on_event=self.record,
            **options,
        )
        self.app = BearerMiddleware(
            answer,
            issuer=server.url,
            resource=RESOURCE,
            jwks=self.keys,
            status_lists=self.lists,
            clock=self.wall,
            on_event=self.record,
        )
        self.publish(0, 0, 0)

    @property
    def uri(self) -> str:
        """Name the list."""
        return self.server.url + PATH

    def publish(self, *statuses: int, **changes: Any) -> None:
        """Serve a list of two bits from now on."""
        signed = list_token(self.forge, self.uri, pack(statuses, 2), **changes)
        self.server.lists[PATH] = signed

    def record(self, name: str, /, **fields: Any) -> None:
        """Keep an event."""
        self.events.append((name, fields))

    def token(self, idx: object = 0, **claims: Any) -> bytes:
        """Sign a token that points into the list."""
        return self.forge.token(status=status(self.uri, idx), exp=NOW + 3600, **claims)

    async def ask(self, token: bytes | None = None) -> Answer:
        """Send a request."""
        return await ask(self.app, "GET", "/read", bearer(token or self.token()))

    @property
    def reason(self) -> object:
        """Give the reason of the last refusal."""
        return next(f["reason"] for name, f in reversed(self.events) if name == "request.refused")

    @property
    def fetches(self) -> int:
        """Count the requests for the list."""
        return self.server.requests[PATH]

    def advance(self, seconds: float) -> None:
        """Turn both clocks."""
        self.wall.advance(seconds)
        self.monotonic.advance(seconds)

    @property
    def told(self) -> list[str]:
        """List the reasons for which copies of lists were refused."""
        return [f["reason"] for name, f in self.events if name == "status_list.copy_refused"]

    async def aclose(self) -> None:
        """End what is under way."""
        await self.lists.aclose()
        await self.keys.aclose()

    async def settle(self) -> None:
        """Wait until no fetch is under way."""
        await until(lambda: not self.lists._here().fetching)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def until(holds: Callable[[], bool], *, within: float = 10) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listed_api(**options: Any) -> AsyncIterator[ListedApi]:
    """Run an API whose issuer is well and knows no revocation."""
    async with key_set_server(TokenForge().jwks_document) as server:
        api = ListedApi(server, **options)
        yield api
        await api.aclose()


class Lists:
    """The issuer's lists in memory; None stands for one that cannot be had."""

    def __init__(self, statuses: StatusList | None) -> None:
        self.statuses = statuses

    def current(self, uri: str) -> StatusList | None:
        """Give the list."""
        return self.statuses

    async def get(self, uri: str) -> StatusList:
        """Refuse: what is not at hand cannot be had."""
        raise StatusUnavailable(1)

    async def aclose(self) -> None:
        """Do nothing."""
