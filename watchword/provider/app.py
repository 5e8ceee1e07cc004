"""The combined provider as one ASGI application: the only file that wires the halves together.

`POST /token` is reached by one dictionary look-up. A route that ends in a slash has all that lies
below it, but for the index at `/`; whatever no route names is 404.
"""

import re
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Literal

from issuer.endpoints.asgi import Endpoint, Message, Receive, Scope, Send, respond
from issuer.endpoints.document import Document, DocumentEndpoint
from resource_api.demo.values import ResourceValue
from resource_api.metadata import WELL_KNOWN
from watchword.logging import Events, request_id
from watchword.provider.admin import AdminApp
from watchword.provider.demo_api import DemoApiApp
from watchword.provider.issuer import IssuerApp
from watchword.provider.lazy_endpoint import LazyEndpoint
from watchword.provider.probes import Probe
from watchword.settings import Settings

Half = Literal["issuer", "api"]

INDEX_PATH = "/"
DESCRIPTION_PATH = "/openapi.json"
DESCRIPTION_MAX_AGE = 300  # seconds

# What a peer may call its request; anything else is replaced, so that log lines stay clean.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Provider:
    """The ASGI application.

    Args:
        settings: all settings, checked.
        events: where log events go.
        value: where the demo API keeps its resource; shared by all workers.
        started: when the server was started, in seconds since the epoch; the same in all workers.
        only: serve one half alone; the demo API then whatever the setting `demo_api` says.
        checked: see `IssuerApp`.
    """

    def __init__(
        self,
        settings: Settings,
        events: Events,
        *,
        value: ResourceValue,
        started: int,
        only: Half | None = None,
        checked: bool = False,
    ) -> None:
        self._settings = settings
        self._events = events
        self._leaving = False
        self._issuer = None
        if only != "api":
            self._issuer = IssuerApp(settings, events, started=started, checked=checked)
        self._api = None
        if only == "api" or (only is None and settings.has_demo_api):
            published = self._issuer.jwks if self._issuer else None
            prefix = self._issuer.config.path if self._issuer else ""
            self._api = DemoApiApp(
                settings, events, published=published, value=value, prefix=prefix
            )
        self._routes: dict[str, Endpoint] = self._issuer.routes() if self._issuer else {}
        self._admin = self._administration(self._issuer) if self._issuer else None
        self._routes |= self._admin.routes() if self._admin else {}
        # If both identifiers lead to one metadata path, the document there is the demo API's.
        self._routes |= self._api.routes() if self._api else {}
        self._below = tuple(filter(_has_more_below, self._routes))
        self._routes[INDEX_PATH] = LazyEndpoint(self._index)
        self._routes[DESCRIPTION_PATH] = LazyEndpoint(self._description)
        self._routes["/healthz"] = Probe({})
        self._routes["/readyz"] = Probe(self._readiness())

    def leave(self) -> None:
        """Turn `/readyz` to 503: no new work, please."""
        self._leaving = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        name = _request_id(scope)
        request_id.set(name.decode("ascii"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", name)]
            await send(message)

        endpoint: Endpoint = _not_found
        if scope["type"] == "http":
            path = scope["path"]
            endpoint = self._routes.get(path) or self._find_below(path) or endpoint
        await endpoint(scope, receive, send_with_id)

    def _find_below(self, path: str) -> Endpoint | None:
        if not path.startswith(self._below):
            return None
        return next(self._routes[base] for base in self._below if path.startswith(base))

    def _administration(self, issuer: IssuerApp) -> AdminApp:
        return AdminApp(
            self._settings,
            self._events,
            registry=issuer.registry,
            published=issuer.jwks,
            prefix=issuer.config.path,
        )

    def _index(self) -> DocumentEndpoint:
        """Write what a visitor finds at the root."""
        from watchword.provider.openapi import build_index

        return self._describe(build_index)

    def _description(self) -> DocumentEndpoint:
        """Write the description of all that is served."""
        from watchword.provider.openapi import build_openapi

        return self._describe(build_openapi)

    def _describe(self, build: Callable[..., bytes]) -> DocumentEndpoint:
        body = build(self._settings, issuer=self._issuer is not None, api=self._api is not None)
        return DocumentEndpoint(lambda: Document(body, DESCRIPTION_MAX_AGE))

    def _readiness(self) -> dict[str, Callable[[], bool]]:
        checks: dict[str, Callable[[], bool]] = {"serving": lambda: not self._leaving}
        if self._issuer is not None:
            checks |= {"keys": self._issuer.has_key, "registry": self._issuer.store_answers}
        if self._api is not None:
            checks["jwks"] = self._api.ready
        return checks

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._issuer is not None:
            self._issuer.start()
        if self._api is not None:
            await self._api.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        async with AsyncExitStack() as stopping:
            # The last one first, each whatever another raised.
            for half in (self._issuer, self._admin, self._api):
                if half is not None:
                    stopping.push_async_callback(half.stop)
        await send({"type": "lifespan.shutdown.complete"})


def _has_more_below(path: str) -> bool:
    # A metadata document has one path, though that of a resource may end in a slash.
    return path.endswith("/") and not path.startswith(f"/.well-known/{WELL_KNOWN}/")


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
    await respond(send, 404, headers, b'{"error":"not_found"}')
