"""Own the gate in front of an ASGI application: nothing passes without a valid token (RFC 6750).

Plain ASGI, no framework. Denied by default: what is open is listed, method and exact path.
"""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

from resource_api.access_token import AccessToken
from resource_api.bearer import check_token68, find_bearer
from resource_api.challenge import build_refusal
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, ResourceError
from resource_api.events import LogEvents
from resource_api.jwks_client import EventSink, HttpJwks, JwksClient
from resource_api.metadata import build_metadata, metadata_path, metadata_url
from resource_api.open_routes import OpenRoutes
from resource_api.validator import TokenValidator

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "access_token"
"""Where an application finds the `AccessToken` of a request in the ASGI scope."""
PASSAGE_KEY: Final = "resource_api.passage"
"""Where the guard of an ASGI application finds the `Passage` of a request in the ASGI scope."""

_HARMLESS_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BearerMiddleware:
    """Let requests through that carry a valid access token, and those to open routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        issuer: str,
        resource: str,
        jwks: JwksClient | None = None,
        jwks_uri: str | None = None,
        open_routes: Iterable[tuple[str, str]] = (),
        policy: ResourcePolicy | None = None,
        cache_size: int = 4096,
        clock: Callable[[], float] = time.time,  # noqa: TID251  # the shell where the clock enters
        on_event: EventSink | None = None,
    ) -> None:
        """Put the gate in front of an application.

        Args:
            app: what to protect.
            issuer: the identifier of the only issuer whose tokens count.
            resource: this API's identifier, which tokens must name as their audience.
            jwks: the issuer's keys; by default found over HTTP from its metadata.
            jwks_uri: where the keys are, for an issuer without metadata.
            open_routes: (method, path) pairs that need no token, the path decoded and below
                `root_path`; `/static/*` is all below `/static/`, and `GET` includes `HEAD`.
            policy: all bounds, if the defaults will not do; must name the same issuer and resource.
            cache_size: how many verified tokens to remember; 0 for none.
            clock: seconds since the epoch.
            on_event: gets `request.refused`, `jwks.refreshed` and `jwks.stale`; by default they
                go to the logger `watchword.resource_api`.

        Raises:
            ValueError: settings that cannot be or contradict each other.
        """
        policy = policy or ResourcePolicy(issuer=issuer, resource=resource)
        if (policy.issuer, policy.resource) != (issuer, resource):
            raise ValueError("policy is for another issuer or resource")
        if on_event is None:
            about = f"(issuer={issuer!r}, resource={resource!r})"
            on_event = LogEvents(clock=time.monotonic, about=about)
        self.app = app
        self.policy = policy
        self.jwks = jwks or JwksClient(HttpJwks(issuer, jwks_uri=jwks_uri), on_event=on_event)
        validator = TokenValidator(policy, self.jwks, clock=clock, cache_size=cache_size)
        self._recall = validator.recall
        self._validate = validator.validate
        self._on_event = on_event
        self._metadata = build_metadata(policy)
        self._metadata_path = metadata_path(policy.resource)
        self._open = OpenRoutes(open_routes, document=self._metadata_path)

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
            await self._send_metadata(scope["method"], send)
        elif PASSAGE_KEY in scope:  # let in by another middleware in front of this one
            await self.app(scope, receive, send)
        else:
            await self._pass(Passage(self, None, scope, send), scope, receive)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.jwks.glance()  # starts the first fetch, so that readiness needs no request
        try:
            await self.app(scope, receive, send)
        finally:
            await self.jwks.aclose()

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Only the start of a request is judged: a response may stream on beyond `exp`.
            sent = find_bearer(scope["headers"])
            # A token that is remembered was checked to be one, character by character.
            token = self._recall(sent) or await self._validate(check_token68(sent))
        except ResourceError as error:
            await self.refuse(error, scope, send)
            return
        scope[SCOPE_KEY] = token
        scope[PASSAGE_KEY] = passage = Passage(self, token, scope, send)
        await self._pass(passage, scope, receive)

    async def _pass(self, passage: "Passage", scope: Scope, receive: Receive) -> None:
        """Run the application, and answer in its place if a guard refused the request."""
        before = CURRENT.get()
        # Set for open routes too: servers may start a request in the context of another one.
        CURRENT.set(passage)
        try:
            await self.app(scope, receive, passage.send)
        except Exception as error:
            if not (await passage.settle() and _is_refusal(error)):
                raise
        else:
            await passage.settle()
        finally:
            passage.over = True
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
        self._on_event("request.refused", **fields)

    async def _send_metadata(self, method: str, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self._metadata)).encode()),
            (b"cache-control", b"public, max-age=300"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"" if method == "HEAD" else self._metadata
        await send({"type": "http.response.body", "body": body})


class Passage:
    """One request that was let in, and what it may still do: a guard can refuse it.

    A guard's exception passes the application's exception handlers and its middleware, and may be
    caught anywhere. So the refusal is kept here: once there is one, nothing that the application
    sends goes out, and the refusal goes instead.
    """

    __slots__ = ("_last", "_refusal", "_scope", "_send", "gate", "over", "token")

    def __init__(
        self, gate: BearerMiddleware, token: AccessToken | None, scope: Scope, send: Send
    ) -> None:
        self.gate = gate
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
            await self.gate.refuse(self._refusal, self._scope, self._send)
            return True
        self.gate.report(self._refusal, self._scope)
        if last in _OPEN_WEBSOCKET:
            close = {"type": "websocket.close", "code": 1008, "reason": self._refusal.error}
            await self._send(close)
            return True
        return False


CURRENT: ContextVar[Passage | None] = ContextVar("resource_api.passage", default=None)
"""The request that is being served; frameworks take it along to threads and tasks."""

_REFUSED = "refused"
_BODY = frozenset({"http.response.body", "http.response.pathsend"})
_OPEN_WEBSOCKET = frozenset({"websocket.accept", "websocket.send"})


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_refusal(one) for one in error.exceptions)
    return isinstance(error, ResourceError)
