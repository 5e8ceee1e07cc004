"""The combined provider as one ASGI application: the only file that wires its parts together.

`POST /token` is reached by one dictionary look-up. A route that ends in a slash has all that lies
below it, but for the index at `/`; everything else is 404.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from issuer.administration.http import BASE as ADMIN_PATH
from issuer.endpoints.asgi import Endpoint, Message, Receive, Scope, Send, respond
from issuer.endpoints.cross_origin import readable_everywhere
from issuer.endpoints.document import Document, DocumentEndpoint
from issuer.errors import InvalidClient, TooManyRequests
from issuer.metadata import REGISTRATION_PATH, TOKEN_PATH
from keys.telemetry import is_traced, traced_request
from resource_api.config import WELL_KNOWN, metadata_path
from resource_api.demo import PATHS
from resource_api.demo.values import ResourceValue
from watchword.ambient import random_ids, wall_clock
from watchword.logging import request_fields
from watchword.metrics import HELD, PUBLISH_SECONDS, Metrics, measure_process
from watchword.process.connections import connection_limit
from watchword.provider.gauges import measure_issuer
from watchword.provider.issuer import IssuerApp
from watchword.provider.jobs import Job, Jobs
from watchword.provider.pacing import Pace, most_waiting
from watchword.provider.probe import UNSTORED, Probe
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.provider.demo_api import DemoApiApp

Part = Literal["issuer", "api"]

INDEX_PATH = "/"
DESCRIPTION_PATH = "/openapi.json"
CONSOLE_PATH = "/console"
DESCRIPTION_MAX_AGE = 300  # seconds
METRICS_PATH = "/metrics"
INSPECTOR_PATHS = ("/inspect", "/inspect/keys")

_HELD_STATUSES = {InvalidClient.status, TooManyRequests.status}
_LOGGED_CHARACTERS = 100

# What a peer may call its request; anything else is replaced, so that log lines stay clean.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Provider:
    """The ASGI application.

    Args:
        settings: all settings, checked.
        metrics: count every event and hand it to the log.
        value: where the demo API keeps its resource; shared by all workers.
        started: when the server was started, in seconds since the epoch; the same in all workers.
        only: serve one part alone; the demo API then regardless of the setting `demo_api`.
        metrics_port: where `/metrics` is served, and nothing else; None for beside the rest.
        checked: see `IssuerApp`.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        value: ResourceValue,
        started: int,
        only: Part | None = None,
        metrics_port: int | None = None,
        checked: bool = False,
    ) -> None:
        self._settings = settings
        self._events = self._metrics = metrics
        self._started = started
        self._leaving = False
        connections = connection_limit(secured=settings.tls_cert is not None)
        proxied = bool(settings.proxy_networks)
        self._pace = Pace(most_waiting(connections, behind_proxies=proxied))
        self._issuer = None
        if only != "api":
            self._issuer = IssuerApp(settings, self._events, started=started, checked=checked)
        self._routes: dict[str, Endpoint] = self._issuer.routes() if self._issuer else {}
        self._prefix = self._issuer.config.path if self._issuer else ""
        self._lazy = self._mount_lazily(self._issuer) if self._issuer else ()
        self._api: DemoApiApp | None = None
        self._has_api = only == "api" or (only is None and settings.has_demo_api)
        if self._has_api:
            # If both identifiers lead to one metadata path, the document there is the demo API's.
            self._mount_api(value)
        self._has_inspector = settings.inspector == "on" or (
            settings.inspector == "auto" and self._has_api
        )
        if self._issuer is not None and self._has_inspector:
            self._mount_inspector(self._issuer)
        self._below = tuple(filter(_has_more_below, self._routes))
        self._routes[INDEX_PATH] = LazyEndpoint(self._index)
        self._routes[DESCRIPTION_PATH] = LazyEndpoint(self._description)
        self._routes["/healthz"] = Probe({})
        self._routes["/readyz"] = Probe(self._readiness())
        self._metrics_port = metrics_port
        self._routes[METRICS_PATH] = LazyEndpoint(self._exposition)
        self._measure()

    def leave(self) -> None:
        """Turn `/readyz` to 503, so that no new work is sent here."""
        self._leaving = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        name = _request_id(scope)
        route = self._find_route(scope)
        fields = {"request_id": name.decode("ascii")}
        if peer := scope.get("client"):
            fields["address"] = peer[0]
        if route is not None:
            fields["method"], fields["path"] = scope["method"][:_LOGGED_CHARACTERS], route
        request_fields.set(fields)
        began = monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", name)]
                if message["status"] in _HELD_STATUSES and not self._leaving:
                    scope[HELD] = await self._pace.wait()
                if self._settings.request_log:
                    self._log(scope, message, monotonic() - began, route)
            await send(message)

        endpoint = _not_found if route is None else self._routes[route]
        await endpoint(scope, receive, send_with_id)

    def _log(self, scope: Scope, start: Message, seconds: float, route: str | None) -> None:
        # A path may be anything, such as a token, in a request that is refused or led to the
        # console's sign-in: there the route has to do. A query always may.
        led_on = any(name == b"hx-redirect" for name, _ in start["headers"])
        is_done = 200 <= start["status"] < 300 and not led_on
        self._events(
            "request.answered",
            method=scope["method"][:_LOGGED_CHARACTERS],
            path=scope["path"][:_LOGGED_CHARACTERS] if is_done else route,
            status=start["status"],
            duration=round(seconds, 6),
        )

    def _find_route(self, scope: Scope) -> str | None:
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        if self._metrics_port is not None:
            is_scrape = scope["server"][1] == self._metrics_port
            if is_scrape != (path == METRICS_PATH):
                return None
        if path in self._routes:
            return path
        return next((base for base in self._below if path.startswith(base)), None)

    def _under_all(self, *paths: str) -> tuple[str, ...]:
        """Return where these paths are served: at the root and under the issuer's path."""
        return tuple(dict.fromkeys(base + path for base in ("", self._prefix) for path in paths))

    def _mount_lazily(self, issuer: IssuerApp) -> "tuple[LazyEndpoint, LazyEndpoint]":
        """Mount administration, registration and, where it is on, the console."""
        bases = self._under_all(ADMIN_PATH)

        def load_admin() -> Endpoint:
            from watchword.provider.admin import AdminApp
            from watchword.provider.health import Health
            from watchword.provider.published_status import PublishedStatuses

            return AdminApp(
                self._settings,
                self._events,
                registry=issuer.registry,
                published=issuer.jwks,
                statuses=PublishedStatuses(issuer.statuses.lists, issuer.config),
                claims=issuer.claims,
                keys=issuer.signing_keys(),
                measure=Health(
                    self._settings,
                    issuer,
                    self._metrics,
                    checks=self._readiness(),
                    started=self._started,
                    clock=wall_clock,
                ),
                bases=bases,
            )

        def load_registration() -> Endpoint:
            from watchword.provider.registration import RegistrationApp

            return RegistrationApp(
                self._settings,
                self._events,
                registry=issuer.registry,
                config=issuer.config,
                limits=issuer.limits,
                guard=issuer.authentication.guard,
            )

        def load_console() -> Endpoint:
            from watchword.console.app import ConsoleApp

            return ConsoleApp(self._settings, self._events, issuer=issuer, admin=admin.load)

        admin, registration = LazyEndpoint(load_admin), LazyEndpoint(load_registration)
        if self._settings.console:
            places = self._under_all(CONSOLE_PATH, CONSOLE_PATH + "/")
            self._routes |= dict.fromkeys(places, LazyEndpoint(load_console))
        self._routes |= {base + "/": admin for base in bases}
        if (path := metadata_path(self._settings.administration)) is not None:
            self._routes[path] = admin  # RFC 9728 §3.1
        places = self._under_all(REGISTRATION_PATH, REGISTRATION_PATH + "/")
        self._routes |= dict.fromkeys(places, registration)
        return admin, registration

    def _mount_api(self, value: ResourceValue) -> None:
        """Mount the demo API, beside an issuer lazily."""

        def load() -> "DemoApiApp":
            from watchword.provider.demo_api import DemoApiApp
            from watchword.provider.published_status import PublishedStatuses

            issuer = self._issuer
            self._api = DemoApiApp(
                self._settings,
                self._events,
                published=issuer.jwks if issuer else None,
                statuses=PublishedStatuses(issuer.statuses.lists, issuer.config)
                if issuer
                else None,
                claims=issuer.claims if issuer else None,
                value=value,
                prefix=self._prefix,
            )
            return self._api

        endpoint: Endpoint = LazyEndpoint(load) if self._issuer else load()
        self._routes |= dict.fromkeys(self._under_all(*PATHS), endpoint)
        if (path := metadata_path(self._settings.default_resource)) is not None:
            self._routes[path] = endpoint

    def _mount_inspector(self, issuer: IssuerApp) -> None:
        """Mount the token inspector, lazily."""

        def load() -> Endpoint:
            from watchword.provider.inspector import InspectorApp

            return InspectorApp(self._settings, issuer.keys.entries)

        self._routes |= dict.fromkeys(self._under_all(*INSPECTOR_PATHS), LazyEndpoint(load))

    def _measure(self) -> None:
        """Have measured what there is, and token requests timed and, where spans go, traced."""
        self._metrics.add(measure_process)
        if (issuer := self._issuer) is not None:
            self._metrics.add(lambda: measure_issuer(issuer, wall_clock()))
            for path in self._under_all(TOKEN_PATH):
                timed = self._metrics.timed(self._routes[path])
                self._routes[path] = _traced(path, timed) if is_traced() else timed
        if self._has_api:
            self._metrics.add(lambda: self._api.measure() if self._api else ())

    def _exposition(self) -> Endpoint:
        """Write the metrics."""
        from watchword.provider.exposition import Exposition

        return Exposition(self._metrics)

    def _index(self) -> Endpoint:
        """Write what a visitor finds at the root."""
        from watchword.provider.openapi import build_index

        return self._describe(build_index)

    def _description(self) -> Endpoint:
        """Write the description of all that is served."""
        from watchword.provider.openapi import build_openapi

        return self._describe(build_openapi)

    def _describe(self, build: Callable[..., bytes]) -> Endpoint:
        body = build(
            self._settings,
            issuer=self._issuer is not None,
            api=self._has_api,
            inspector=self._has_inspector,
        )
        return readable_everywhere(DocumentEndpoint(lambda: Document(body, DESCRIPTION_MAX_AGE)))

    def _readiness(self) -> dict[str, Callable[[], bool]]:
        checks: dict[str, Callable[[], bool]] = {"serving": lambda: not self._leaving}
        if self._issuer is not None:
            checks |= {"keys": self._issuer.has_key, "registry": self._issuer.store_answers}
        if self._api is not None:  # beside the issuer the key set is at hand with its keys
            checks["jwks"] = self._api.ready
        return checks

    async def _publish(self) -> None:
        self._metrics.publish()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        publishing = Jobs(
            Job(name="metrics", every=PUBLISH_SECONDS, run=self._publish), events=self._events
        )
        publishing.start()
        if self._issuer is not None:
            self._issuer.start()
            # Before anything is served: the first tokens need places on the status lists.
            await self._issuer.statuses.keep_up()
        if self._api is not None:
            await self._api.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        async with AsyncExitStack() as stopping:
            # The last one first, each whatever another raised.
            stopping.push_async_callback(self._publish)
            stopping.push_async_callback(publishing.stop)
            for part in (self._issuer, *self._lazy, self._api):
                if part is not None:
                    stopping.push_async_callback(part.stop)
        await send({"type": "lifespan.shutdown.complete"})


class LazyEndpoint:
    """An endpoint that is loaded with its first request, on a thread.

    What few requests need must not delay the first token: loading it takes as long as loading half
    of the rest.

    Args:
        load: imports and builds the endpoint, which may have an async method `stop`.
    """

    def __init__(self, load: Callable[[], Endpoint]) -> None:
        self._load = load
        self._loading = asyncio.Lock()
        self._loaded: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await (await self.load())(scope, receive, send)

    async def load(self) -> Any:  # noqa: ANN401 - what `load` gives
        """Return the endpoint, loaded if it was not yet."""
        if self._loaded is None:
            async with self._loading:
                if self._loaded is None:
                    self._loaded = await asyncio.to_thread(self._load)
        return self._loaded

    async def stop(self) -> None:
        """Stop the endpoint, if it was loaded."""
        if self._loaded is not None:
            await self._loaded.stop()


def _has_more_below(path: str) -> bool:
    # A metadata document has one path, though that of a resource may end in a slash.
    return path.endswith("/") and not path.startswith(f"/.well-known/{WELL_KNOWN}/")


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return random_ids(8).hex().encode()


def _traced(route: str, endpoint: Endpoint) -> Endpoint:
    async def trace(scope: Scope, receive: Receive, send: Send) -> None:
        with traced_request(scope["method"], route, scope["scheme"], scope["headers"]) as outcome:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    outcome.status = message["status"]
                await send(message)

            await endpoint(scope, receive, send_and_note)

    return trace


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    await respond(send, 404, UNSTORED, b'{"error":"not_found"}')
