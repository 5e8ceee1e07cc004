"""The console at `/console`: finds out who asks, lets the page answer, and writes its headers.

Whatever is refused becomes a page here, with the id that the log has it under.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from issuer.endpoints.asgi import (
    ClientDisconnected,
    Headers,
    Receive,
    Scope,
    Send,
    peer_address,
    read_body,
    respond,
)
from issuer.errors import OAuthError
from issuer.events import Event, EventSink
from issuer.registry.errors import StoreUnavailable
from watchword.ambient import wall_clock
from watchword.console.api import AdministrationClient, ApiRefusal
from watchword.console.guard import SessionGuard, SignedIn
from watchword.console.reasons import ConsoleReason
from watchword.console.rendering import Frame, Renderer
from watchword.console.request import (
    MAX_FORM,
    MAX_SIGN_IN,
    ConsoleRequest,
    Form,
    MalformedForm,
    Page,
    Redirect,
)
from watchword.console.routes import Route, find_routes, nearest_page
from watchword.console.sessions import Session, is_csrf, is_own_request
from watchword.console.sign_in import SignIn
from watchword.console.sign_in_pages import BY_CODE, LEAVE, SHOW, Attempt, Outcome, SignInPages
from watchword.logging import request_id
from watchword.provider.admin import AdminApp
from watchword.provider.issuer import IssuerApp
from watchword.settings import Settings

PATH: Final = "/console"
RETRY_SECONDS: Final = 5

_READING = ("GET", "HEAD")
_NOTICE = re.compile(rb"(?:^|&)notice=([a-z-]{1,40})(?:&|$)")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode("ascii")),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not `no-referrer`: browsers would send no `Origin` with forms either.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_KEPT: Final = (
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class _Refused(Exception):
    """A request that reaches no page; becomes the page of an error."""

    def __init__(self, status: int, title: str, detail: str, reason: ConsoleReason) -> None:
        super().__init__(title)
        self.page = _error_page(status, title, detail)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


@dataclass(slots=True)
class _Incoming:
    """A request as far as it is known whose it is."""

    method: str
    path: str
    headers: Headers
    query: bytes
    address: str | None
    receive: Receive
    signed_in: SignedIn | None = None
    is_foreign: bool = False

    def header(self, name: bytes) -> str | None:
        """Return a header; the values of several, joined, equal none that is wanted."""
        values = [value.decode("latin-1") for given, value in self.headers if given == name]
        return ", ".join(values) if values else None

    @property
    def notice(self) -> str:
        """The key of what the page before did, if the query has one."""
        match = _NOTICE.search(self.query)
        return match[1].decode("ascii") if match else ""

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, and takes a part of the page."""
        return self.header(b"hx-request") == "true"


class ConsoleApp:
    """The console.

    Args:
        settings: all settings, checked.
        events: where log events go.
        issuer: whose clients sign in.
        admin: gives the administration API.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventSink,
        *,
        issuer: IssuerApp,
        admin: Callable[[], Awaitable[AdminApp]],
    ) -> None:
        config = settings.issuer_config
        self._bases = tuple(dict.fromkeys((config.path + PATH, PATH)))
        self._base = self._bases[0]
        self._origin = config.origin
        self._events = events
        self._admin = admin
        self._renderer = Renderer(
            self._base, issuer=settings.issuer, withdrawal_seconds=config.withdrawal_seconds
        )
        self._guard = SessionGuard(
            issuer.registry, origin=self._origin, administration=settings.administration
        )
        authenticator = issuer.authentication.authenticator
        self._methods = authenticator.methods
        sign_in = SignIn(
            authenticator,
            issuer.usage,
            issuer.writes,
            settings.administration,
        )
        self._sign_in = SignInPages(self._base, self._guard, sign_in, events=events)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        incoming = _Incoming(
            method=scope["method"],
            path=self._below(scope),
            headers=scope["headers"],
            query=scope["query_string"],
            address=peer_address(scope),
            receive=receive,
        )
        file = self._renderer.files.get(incoming.path)
        if file is not None and incoming.method in _READING:
            headers = ((b"content-type", file.media_type), *_KEPT)
            await _respond(send, 200, headers, file.content, incoming.method)
            return
        try:
            reply = self._write(incoming, await self._answer_all(incoming))
        except ClientDisconnected:
            return  # the browser is gone
        except Exception as fault:
            reply = self._write(incoming, self._fail(fault))
        await _respond(send, *reply, incoming.method)

    def _below(self, scope: Scope) -> str:
        """Return the path below the console's, as it was sent."""
        raw: bytes | None = scope.get("raw_path")
        sent: str = scope["path"] if raw is None else raw.decode("latin-1")
        base = next((base for base in self._bases if f"{sent}/".startswith(f"{base}/")), "")
        return sent.removeprefix(base)

    async def _answer_all(self, incoming: _Incoming) -> Outcome:
        """Answer a request, whatever becomes of it."""
        try:
            return await self._answer(incoming)
        except _Refused as refusal:
            self._events("console.refused", reason=refusal.reason, status=refusal.page.status)
            return Outcome(result=refusal.page)
        except MalformedForm as error:
            self._events("console.refused", reason=ConsoleReason.MALFORMED_FORM, status=400)
            return Outcome(result=_error_page(400, "The form cannot be read", str(error)))
        except ApiRefusal as refusal:  # which the API has logged
            return Outcome(result=_refusal_page(refusal))
        except (StoreUnavailable, OAuthError) as error:
            reason = getattr(error, "reason", ConsoleReason.UNAVAILABLE)
            self._events("console.refused", reason=reason, status=503)
            return Outcome(result=_unavailable_page())

    def _fail(self, fault: Exception) -> Outcome:
        # Never a trace on the page; the log has it under the request's id.
        self._events(Event.REQUEST_REFUSED, reason="internal", exception=fault)
        detail = "The server's log has what happened under the request's id."
        return Outcome(result=_error_page(500, "The console failed", detail))

    async def _answer(self, incoming: _Incoming) -> Outcome:
        method = "GET" if incoming.method in _READING else incoming.method
        self._require_own(method, incoming)
        if (method, incoming.path) == ("POST", f"{SHOW}"):
            form = await _read_form(incoming, MAX_SIGN_IN)
            return await self._sign_in.by_secret(incoming.headers, form, address=incoming.address)
        if (method, incoming.path) == ("POST", BY_CODE):
            form = await _read_form(incoming, MAX_SIGN_IN)
            return await self._sign_in.by_code(incoming.headers, form)
        # Of a session that counts no more, nothing is done: it is asked once all has arrived, and a
        # body is waited for only where a session is shown.
        session = None if incoming.is_foreign else await self._guard.find_session(incoming.headers)
        has_form = method == "POST" and session is not None
        form = await _read_form(incoming, MAX_FORM) if has_form else Form([])
        signed_in = None if session is None else await self._guard.settle(session)
        incoming.signed_in = signed_in
        if (method, incoming.path) == ("GET", SHOW):
            onward = Form.parse(incoming.query).get("next")
            # Shown where there is a session too: a link may have brought the code of another user.
            name = None if session is None or signed_in is None else session.name
            attempt = Attempt(onward=onward, signed_in=name)
            return await self._sign_in.show(incoming.headers, attempt)
        if signed_in is None:
            return self._lead_to_sign_in(incoming)
        if method == "POST" and not is_csrf(form.get("csrf"), signed_in.session.csrf):
            raise _Refused(403, "The form is not yours", "Open the page again.", ConsoleReason.CSRF)
        if (method, incoming.path) == ("POST", LEAVE):
            return await self._leave(signed_in.session)
        route, names = _find_route(method, incoming.path)
        page = await self._show(incoming, signed_in, route, names, form)
        return Outcome(result=page)

    def _require_own(self, method: str, incoming: _Incoming) -> None:
        """Refuse what a page of another origin sends."""
        origin, site = incoming.header(b"origin"), incoming.header(b"sec-fetch-site")
        if method not in ("GET", "POST"):
            raise _Refused(405, "There is no such action", "Use GET or POST.", ConsoleReason.METHOD)
        if method == "GET" and incoming.header(b"sec-fetch-mode") == "navigate":
            # A link on another page may lead to the console, but to no session.
            incoming.is_foreign = site not in (None, "same-origin", "none")
            site = None
        if not is_own_request(method, origin=origin, fetch_site=site, own_origin=self._origin):
            detail = (
                f"The console takes requests from {self._origin} alone."
                f" Open {self._origin}{self._base} there."
            )
            raise _Refused(403, "The request came from another site", detail, ConsoleReason.ORIGIN)

    def _lead_to_sign_in(self, incoming: _Incoming) -> Outcome:
        """Have the visitor sign in, and come back to what was asked for."""
        had_one = not incoming.is_foreign and self._guard.has_session(incoming.headers)
        asked = nearest_page(incoming.path)
        query = incoming.query.decode("latin-1")
        if asked == incoming.path and query:
            asked = f"{asked}?{query}"
        given = {"next": self._base + asked} if asked not in ("", "/") else {}
        notice = {"notice": "session-ended"} if had_one else {}
        path = SHOW + (f"?{urlencode(given | notice)}" if given | notice else "")
        cookies = self._guard.forget_session() if had_one else ()
        return Outcome(result=Redirect(path=path), cookies=cookies)

    async def _leave(self, session: Session) -> Outcome:
        try:
            return await self._sign_in.leave(session)
        except StoreUnavailable:
            self._events("console.refused", reason=ConsoleReason.UNAVAILABLE, status=503)
            return Outcome(
                result=_error_page(
                    503,
                    "You are signed out in this browser only",
                    "The registry does not answer, so a copy of your cookie would count until the"
                    " session ends, at most 15 minutes after it began.",
                ),
                cookies=self._guard.forget_session(),
            )

    async def _show(
        self,
        incoming: _Incoming,
        signed_in: SignedIn,
        route: Route,
        names: tuple[str, ...],
        form: Form,
    ) -> Page | Redirect:
        """Let a page answer, within what the session holds."""
        session, administrator = signed_in
        if missing := set(route.scopes) - administrator.scopes:
            raise _Refused(
                403,
                "You may not see this",
                f"It takes {' '.join(sorted(missing))}, which your session does not hold.",
                ConsoleReason.INSUFFICIENT_SCOPE,
            )
        admin = await self._admin()
        request = ConsoleRequest(
            method=route.method,
            path=incoming.path,
            names=names,
            query=Form.parse(incoming.query),
            form=form,
            session=session,
            administrator=administrator,
            api=AdministrationClient(admin.serve_within, administrator),
            methods=self._methods,
            now=wall_clock(),
            is_partial=incoming.is_partial,
        )
        return await route.show(request)

    def _write(self, incoming: _Incoming, outcome: Outcome) -> tuple[int, Headers, bytes]:
        """Write status, headers and body of an answer."""
        headers = [*_HEADERS, *outcome.cookies]
        result = outcome.result
        if isinstance(result, Redirect):
            place = (self._base + _with_notice(result)).encode()
            if incoming.is_partial:  # htmx would take the page there for a part of this one
                return 200, [*headers, (b"hx-redirect", place)], b""
            return 303, [*headers, (b"location", place)], b""
        frame = Frame(
            path=incoming.path,
            signed_in=incoming.signed_in,
            notice=incoming.notice,
            now=wall_clock(),
            request_id=request_id() or "",
        )
        body = self._renderer.render(result, frame)
        headers += [(b"content-type", b"text/html; charset=utf-8"), *result.headers]
        return result.status, headers, body


def _find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    at_path = find_routes(path)
    if not at_path:
        raise _Refused(
            404, "There is no such page", "The address may be mistyped.", ConsoleReason.NOT_FOUND
        )
    if method not in at_path:
        raise _Refused(
            405, "There is no such action", f"Use {', '.join(at_path)}.", ConsoleReason.METHOD
        )
    return at_path[method]


async def _read_form(incoming: _Incoming, most: int) -> Form:
    kind = (incoming.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise MalformedForm("a form is application/x-www-form-urlencoded")
    body = await read_body(incoming.receive, most)
    if body is None:
        detail = f"A form has at most {most} bytes here."
        raise _Refused(413, "The form is too large", detail, ConsoleReason.BODY_TOO_LARGE)
    return Form.parse(body)


def _error_page(status: int, title: str, detail: str, errors: Any = ()) -> Page:  # noqa: ANN401
    context = {"status": status, "title": title, "detail": detail, "errors": errors}
    headers = ((b"retry-after", b"%d" % RETRY_SECONDS),) if status == 503 else ()
    return Page(template="error.html", context=context, status=status, headers=headers)


def _refusal_page(refusal: ApiRefusal) -> Page:
    if refusal.status == 503:
        return _unavailable_page()
    return _error_page(refusal.status, refusal.title, refusal.detail, refusal.errors)


def _unavailable_page() -> Page:
    detail = "The registry does not answer now. Nothing was changed; try again in a moment."
    return _error_page(503, "The registry is unavailable", detail)


def _with_notice(result: Redirect) -> str:
    if result.notice is None:
        return result.path
    joint = "&" if "?" in result.path else "?"
    return f"{result.path}{joint}{urlencode({'notice': result.notice})}"


async def _respond(send: Send, status: int, headers: Headers, body: bytes, method: str) -> None:
    if method != "HEAD":
        await respond(send, status, headers, body)
        return
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b""})
