"""ASGI middleware that lets only requests with a valid access token through (RFC 6750).

Plain ASGI, no framework. Denied by default: what is open is listed, method and exact path.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Unpack

from resource_api.access_token import AccessToken
from resource_api.bearer import find_bearer
from resource_api.errors import ResourceError
from resource_api.guarded_request import CURRENT, REQUEST_KEY, GuardedRequest, is_refusal
from resource_api.open_routes import OpenRoutes, encode_path
from resource_api.possession import Presented
from resource_api.protection import Answer, Protection, ProtectionSettings, given_or_made

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SCOPE_KEY: Final = "access_token"
"""Where an application finds the `AccessToken` of a request in the ASGI scope."""


class BearerMiddleware:
    """Let requests through that carry a valid access token, and those to open routes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        protection: Protection | None = None,
        open_routes: Iterable[tuple[str, str]] = (),
        readiness_path: str | None = None,
        **settings: Unpack[ProtectionSettings],
    ) -> None:
        """Protect an application.

        Args:
            app: what to protect.
            protection: whose tokens are accepted, and for which API.
            open_routes: (method, path) pairs that need no token, `GET` includes `HEAD`; the path
                decoded and below `root_path`, `/static/*` for all below `/static/`.
            readiness_path: of a probe without a token: 200 while each issuer's keys are there.
            settings: the keywords of `Protection`, instead of one: `issuer` and `resource` at
                least.

        Raises:
            ValueError: settings that cannot be or contradict each other.
            TypeError: a protection and settings for another, or neither.
        """
        self.app = app
        self.protection = given_or_made(protection, Protection, settings)
        self._readiness_path = readiness_path
        self._metadata_path = self.protection.metadata_path
        self._open = OpenRoutes(
            open_routes, document=self._metadata_path, readiness_path=readiness_path
        )

    @property
    def ready(self) -> bool:
        """Say whether the tokens of every issuer can be judged now."""
        return self.protection.ready

    async def warm(self) -> bool:
        """Get the keys before there is traffic; say whether those of every issuer are there."""
        return await self.protection.warm()

    async def aclose(self) -> None:
        """Stop what is being fetched."""
        await self.protection.aclose()

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
            await _send_answer(self.protection.metadata_answer(), scope, send)
        elif path == self._readiness_path:
            await _send_answer(self.protection.readiness(), scope, send)
        elif REQUEST_KEY in scope:  # let through by another middleware in front of this one
            await self.app(scope, receive, send)
        else:
            await self._pass(AsgiRequest(self, None, scope, send), scope, receive)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        _ = self.ready  # looking starts the first fetch, so that readiness needs no request
        try:
            await self.app(scope, receive, send)
        finally:
            await self.aclose()

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Only the start of a request is checked: a response may stream on beyond `exp`. A token
            # that is remembered costs no await.
            token = self.protection.cached(find_bearer(scope["headers"]))
            if token is None:
                token = await authenticate_once(self.protection, scope)
        except ResourceError as error:
            await self.refuse(error, scope, send)
            return
        scope[SCOPE_KEY] = token
        scope[REQUEST_KEY] = request = AsgiRequest(self, token, scope, send)
        await self._pass(request, scope, receive)

    async def _pass(self, request: "AsgiRequest", scope: Scope, receive: Receive) -> None:
        """Run the application, and answer in its place if a guard refused the request."""
        before = CURRENT.get()
        # Set for open routes too: servers may start a request in the context of another one.
        CURRENT.set(request)
        try:
            await self.app(scope, receive, request.send)
        except Exception as error:
            if not (await request.settle() and is_refusal(error)):
                raise
        else:
            if request.refusal is not None:
                await request.settle()
        finally:
            request.over = True
            CURRENT.set(before)
            # Request and scope hold each other: the garbage collector would have to end them.
            scope.pop(REQUEST_KEY, None)

    async def refuse(self, error: ResourceError, scope: Scope, send: Send) -> None:
        """Answer a request with a refusal and report it."""
        self.report(error, scope)
        root_path = scope.get("root_path", "")
        token = scope.get(SCOPE_KEY)
        status, headers, body = self.protection.refusal(error, token, root_path=root_path)
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
        self.protection.report(error, scope.get(SCOPE_KEY))


async def authenticate_once(protection: Protection, scope: Scope) -> AccessToken:
    """Validate the token of a request as `Protection.authenticate` does, once for each protection.

    An application may ask several times, by the middleware and by dependencies of FastAPI, but a
    DPoP proof counts once. What was found holds for these very credentials alone.

    Raises:
        ResourceError: the refusal that the request is to be answered with.
    """
    sent = tuple(each for each in scope["headers"] if each[0] in _CREDENTIALS)
    found: dict[object, AccessToken] = scope.setdefault(_AUTHENTICATED, {})
    token = found.get((protection, sent))
    if token is None:
        token = await protection.authenticate(scope["headers"], presented_by(scope))
        found[protection, sent] = token
    return token


def presented_by(scope: Scope) -> Presented:
    """Give what an ASGI scope tells of a request and its sender, besides header fields."""
    sent, client = scope.get("raw_path"), scope.get("client")
    tls = scope.get("extensions", {}).get("tls") or {}
    chain = tls.get("client_cert_chain")
    return Presented(
        # A WebSocket begins as a GET (RFC 6455 §4.1).
        method=scope.get("method", "GET"),
        path=(encode_path(scope["path"]) if sent is None else sent).decode("latin-1"),
        peer=client[0] if client else None,
        certificate=chain[0] if chain else None,
    )


async def _send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class AsgiRequest(GuardedRequest):
    """A request and what is sent in answer to it, until a guard refuses it."""

    __slots__ = ("_last", "_scope", "_send", "middleware")

    def __init__(
        self, middleware: BearerMiddleware, token: AccessToken | None, scope: Scope, send: Send
    ) -> None:
        super().__init__(token)
        self.middleware = middleware
        self._scope = scope
        self._send = send
        self._last = ""

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, unless the request was refused."""
        if self.refusal is None:
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
        if self.refusal is None or self._last == _REFUSED:
            return self.refusal is not None
        last, self._last = self._last, _REFUSED
        self.over = True
        if not last:
            await self.middleware.refuse(self.refusal, self._scope, self._send)
            return True
        self.middleware.report(self.refusal, self._scope)
        if last in _OPEN_WEBSOCKET:
            close = {"type": "websocket.close", "code": 1008, "reason": self.refusal.error}
            await self._send(close)
            return True
        return False


_AUTHENTICATED = "resource_api.authenticated"
_CREDENTIALS = frozenset({b"authorization", b"dpop", b"client-cert"})
_REFUSED = "refused"
_BODY = frozenset({"http.response.body", "http.response.pathsend"})
_OPEN_WEBSOCKET = frozenset({"websocket.accept", "websocket.send"})
