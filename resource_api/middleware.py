"""ASGI middleware that lets only requests with a valid access token through (RFC 6750).

Plain ASGI, no framework. Denied by default: what is open is listed, method and exact path.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

from keys.events import EventSink
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from resource_api.access_token import AccessToken
from resource_api.bearer import build_refusal, check_token68, find_bearer
from resource_api.config import ResourcePolicy, build_metadata, metadata_path, metadata_url
from resource_api.errors import InvalidToken, ResourceError
from resource_api.events import Event, log_events
from resource_api.open_routes import OpenRoutes
from resource_api.status_lists import StatusListClient
from resource_api.validator import KeySource, StatusSource, TokenValidator, TrustedIssuer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "access_token"
"""Where an application finds the `AccessToken` of a request in the ASGI scope."""
REQUEST_KEY: Final = "resource_api.request"
"""Where the guard of an ASGI application finds the `GuardedRequest` in the ASGI scope."""

_HARMLESS_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BearerMiddleware:
    """Let requests through that carry a valid access token, and those to open routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        resource: str,
        issuer: str | None = None,
        jwks: KeySource | None = None,
        jwks_uri: str | None = None,
        status_lists: StatusSource | None = None,
        policy: ResourcePolicy | None = None,
        issuers: Iterable[TrustedIssuer] | None = None,
        open_routes: Iterable[tuple[str, str]] = (),
        readiness_path: str | None = None,
        cache_size: int = 4096,
        clock: Callable[[], float] = time.time,  # noqa: TID251  # the shell where the clock enters
        on_event: EventSink | None = None,
    ) -> None:
        """Protect an application.

        Args:
            app: what to protect.
            resource: this API's identifier, which tokens must name as their audience.
            issuer: the identifier of the only issuer whose tokens are accepted.
            jwks: that issuer's keys; by default found over HTTP from its metadata.
            jwks_uri: where the keys are, for an issuer without metadata.
            status_lists: that issuer's; by default fetched over HTTP as tokens name them.
            policy: all bounds, if the defaults will not do; must name the same issuer and resource.
            issuers: the trusted issuers, instead of the five above.
            open_routes: (method, path) pairs that need no token, `GET` includes `HEAD`; the path
                decoded and below `root_path`, `/static/*` for all below `/static/`.
            readiness_path: of a probe without a token: 200 while each issuer's keys are there.
            cache_size: how many verified tokens to remember; 0 for none.
            clock: seconds since the epoch.
            on_event: gets each `resource_api.events.Event`; by default they are logged.

        Raises:
            ValueError: settings that cannot be or contradict each other.
        """
        if (issuer is None) == (issuers is None) or (
            issuer is None and (jwks, jwks_uri, status_lists, policy) != (None,) * 4
        ):
            raise ValueError("give issuers alone, or issuer with its keys, lists and policy")
        self.issuers = tuple(issuers or ())
        on_event = on_event or _log_about(resource, issuer, self.issuers)
        if issuer is not None:
            policy = policy or ResourcePolicy(issuer=issuer, resource=resource)
            keys = jwks or JwksClient(HttpJwks(issuer, jwks_uri=jwks_uri), on_event=on_event)
            self.issuers = (TrustedIssuer(policy, keys, status_lists),)
        self.issuers = tuple(_with_lists(each, clock, on_event) for each in self.issuers)
        validator = TokenValidator(self.issuers, clock=clock, cache_size=cache_size)
        self.app = app
        self.policy, self.jwks = self.issuers[0].policy, self.issuers[0].keys
        if self.policy.resource != resource or issuer not in (None, self.policy.issuer):
            raise ValueError("policy is for another issuer or resource")
        self._cached, self._validate = validator.cached, validator.validate
        self._on_event, self._readiness_path = on_event, readiness_path
        self._metadata = build_metadata([each.policy for each in self.issuers])
        self._metadata_path = metadata_path(resource)
        opened = [*open_routes, *_probe_route(readiness_path)]
        self._open = OpenRoutes(opened, document=self._metadata_path)

    @property
    def ready(self) -> bool:
        """Say whether the tokens of every issuer can be judged now."""
        # Looking has keys fetched that are due, so that a probe alone gets an idle API ready.
        return None not in [issuer.keys.current() for issuer in self.issuers]

    async def warm(self) -> bool:
        """Get the keys before there is traffic; say whether those of every issuer are there.

        Each issuer is asked at most once, and for no longer than a fetch may take.
        """
        return all(await asyncio.gather(*(issuer.keys.warm() for issuer in self.issuers)))

    async def aclose(self) -> None:
        """Stop what is being fetched, of each issuer whatever another raises."""
        async with AsyncExitStack() as closing:
            for issuer in self.issuers:
                closing.push_async_callback(issuer.keys.aclose)
                if issuer.statuses is not None:
                    closing.push_async_callback(issuer.statuses.aclose)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        path = self._open.match(scope) if kind == "http" else None
        if path is None:
            await self._guard(scope, receive, send)
        else:
            await self._serve_open(path, scope, receive, send)

    async def _serve_open(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == self._metadata_path:
            headers = [(b"cache-control", b"public, max-age=300")]
            await _send_json(200, headers, self._metadata, scope, send)
        elif path == self._readiness_path:
            await self._send_readiness(scope, send)
        elif REQUEST_KEY in scope:  # let through by another middleware in front of this one
            await self.app(scope, receive, send)
        else:
            await self._pass(GuardedRequest(self, None, scope, send), scope, receive)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        for issuer in self.issuers:
            issuer.keys.current()  # starts the first fetch, so that readiness needs no request
        try:
            await self.app(scope, receive, send)
        finally:
            await self.aclose()

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Only the start of a request is checked: a response may stream on beyond `exp`.
            sent = find_bearer(scope["headers"])
            # A token that is remembered was checked to be one, character by character.
            token = self._cached(sent) or await self._validate(check_token68(sent))
        except ResourceError as error:
            await self.refuse(error, scope, send)
            return
        scope[SCOPE_KEY] = token
        scope[REQUEST_KEY] = request = GuardedRequest(self, token, scope, send)
        await self._pass(request, scope, receive)

    async def _pass(self, request: "GuardedRequest", scope: Scope, receive: Receive) -> None:
        """Run the application, and answer in its place if a guard refused the request."""
        before = CURRENT.get()
        # Set for open routes too: servers may start a request in the context of another one.
        CURRENT.set(request)
        try:
            await self.app(scope, receive, request.send)
        except Exception as error:
            if not (await request.settle() and _is_refusal(error)):
                raise
        else:
            await request.settle()
        finally:
            request.over = True
            CURRENT.set(before)

    async def refuse(self, error: ResourceError, scope: Scope, send: Send) -> None:
        """Answer a request with a refusal and report it."""
        self.report(error, scope)
        status, headers, body = build_refusal(
            error,
            realm=self.policy.realm,
            resource_metadata=metadata_url(self.policy.resource, scope.get("root_path", "")),
            scope=self.policy.scopes_supported,
        )
        prefix = "http"
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1008})
                return
            prefix = "websocket.http"
        await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
        await send({"type": f"{prefix}.response.body", "body": body})

    def report(self, error: ResourceError, scope: Scope) -> None:
        """Report a refusal."""
        fields: dict[str, object] = {"reason": error.reason.value, "status": error.status}
        token = scope.get(SCOPE_KEY)
        if token is not None:
            fields["client_id"] = token.client_id
        kid = error.kid if isinstance(error, InvalidToken) else None
        # A kid is the caller's text until its key is known: only a harmless one is repeated.
        if kid is not None and _HARMLESS_KID.fullmatch(kid):
            fields["kid"] = kid
        self._on_event(Event.REQUEST_REFUSED, **fields)

    async def _send_readiness(self, scope: Scope, send: Send) -> None:
        headers = [(b"cache-control", b"no-store")]
        if self.ready:
            await _send_json(200, headers, b'{"status":"ok"}', scope, send)
            return
        body = b'{"status":"unavailable","failing":["jwks"]}'
        await _send_json(503, [*headers, (b"retry-after", b"1")], body, scope, send)


def _log_about(resource: str, issuer: str | None, issuers: tuple[TrustedIssuer, ...]) -> EventSink:
    named = [issuer] if issuer is not None else [each.policy.issuer for each in issuers]
    about = f"(issuer={', '.join(map(repr, named))}, resource={resource!r})"
    return log_events(clock=time.monotonic, about=about)


def _with_lists(
    issuer: TrustedIssuer, clock: Callable[[], float], on_event: EventSink
) -> TrustedIssuer:
    """Have the status lists of an issuer fetched over HTTP, unless it has a source of its own."""
    if issuer.statuses is not None:
        return issuer
    lists = StatusListClient(issuer.keys, clock=clock, on_event=on_event)
    return replace(issuer, statuses=lists)


def _probe_route(path: str | None) -> list[tuple[str, str]]:
    if path is None:
        return []
    if not path.startswith("/") or path.endswith("/*"):
        raise ValueError("readiness_path must be one path, which starts with a slash")
    return [("GET", path)]


async def _send_json(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, scope: Scope, send: Send
) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class GuardedRequest:
    """One request that was let in, and what it may still do: a guard can refuse it.

    A guard's exception passes the application's exception handlers and its middleware, and may be
    caught anywhere. So the refusal is kept here: once there is one, nothing that the application
    sends goes out, and the refusal goes instead.
    """

    __slots__ = ("_last", "_refusal", "_scope", "_send", "middleware", "over", "token")

    def __init__(
        self, middleware: BearerMiddleware, token: AccessToken | None, scope: Scope, send: Send
    ) -> None:
        self.middleware = middleware
        self.token = token
        """What the request showed; None on an open route."""
        self.over = False
        """Whether the answer is given or the application done: what comes after has no rights.

        Servers start the next request of a connection in the context of this one as soon as its
        answer is complete, while its background tasks still run.
        """
        self._scope = scope
        self._send = send
        self._refusal: ResourceError | None = None
        self._last = ""

    def refuse(self, error: ResourceError) -> None:
        """Refuse the request; may be called on any thread."""
        self._refusal = self._refusal or error

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, unless the request was refused."""
        if self._refusal is None:
            self._last = message["type"]
            if self._last in _BODY and not message.get("more_body", False):
                self.over = True
            await self._send(message)
        else:
            await self.settle()

    async def settle(self) -> bool:
        """Send the refusal if there is one, and say whether the caller was answered with it.

        A response that has begun cannot become a refusal: it stays as it is, cut off.
        """
        if self._refusal is None or self._last == _REFUSED:
            return self._refusal is not None
        last, self._last = self._last, _REFUSED
        self.over = True
        if not last:
            await self.middleware.refuse(self._refusal, self._scope, self._send)
            return True
        self.middleware.report(self._refusal, self._scope)
        if last in _OPEN_WEBSOCKET:
            close = {"type": "websocket.close", "code": 1008, "reason": self._refusal.error}
            await self._send(close)
            return True
        return False


CURRENT: ContextVar[GuardedRequest | None] = ContextVar("resource_api.request", default=None)
"""The request that is being served; frameworks take it along to threads and tasks."""

_REFUSED = "refused"
_BODY = frozenset({"http.response.body", "http.response.pathsend"})
_OPEN_WEBSOCKET = frozenset({"websocket.accept", "websocket.send"})


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_refusal(one) for one in error.exceptions)
    return isinstance(error, ResourceError)
