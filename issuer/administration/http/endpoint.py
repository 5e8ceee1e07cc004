"""`/admin/api/v1` as a bare ASGI endpoint: reads a call, runs it on a thread, writes its answer.

Routes by the path as it was sent, since a name in it may hold an encoded slash (RFC 3986 §2.2). Who
may call is settled before, by the guard that it is given.
"""

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, quote, urlencode

from issuer.administration.http.problems import (
    BODY_TOO_LARGE,
    INTERNAL,
    MALFORMED_JSON,
    MALFORMED_REQUEST,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemKind,
    RequestRefused,
    kind_of,
    write_problem,
    write_refusal,
)
from issuer.administration.http.route import (
    PATCH,
    Answer,
    Call,
    Operations,
    Route,
    Value,
    parse_if_match,
    parse_path,
    parse_query,
)
from issuer.administration.http.routes import Found, find_route
from issuer.endpoints.asgi import ClientDisconnected, Receive, Scope, Send, read_body, respond
from issuer.events import Event, EventSink
from issuer.registry.errors import InvalidValue, RegistryError, RevisionConflict
from issuer.registry.schema import Json
from keys.encoding import parse_json_object

THREADS = 4
RETRY_SECONDS = 5

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Scopes = tuple[str, ...]
RawHeaders = tuple[tuple[bytes, bytes], ...]

_NO_STORE: RawHeaders = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_JSON: RawHeaders = ((b"content-type", b"application/json"), *_NO_STORE)
_PROBLEM: RawHeaders = ((b"content-type", b"application/problem+json"), *_NO_STORE)


# RFC 6750 §3.1: the token is "invalid for other reasons"; RFC 9110 §15.5.2 asks for a challenge.
_NOT_ACTIVE = (b"www-authenticate", b'Bearer realm="administration", error="invalid_token"')


class AdministrationEndpoint:
    """The administration API.

    Args:
        bases: the paths that it is mounted at.
        administer: gives what the caller of a request that has arrived whole may do, in the
            caller's name; the scopes are those that the request takes.
        guard: wraps an application so that it is called only for holders of the scopes.
        events: where `request.refused` goes.
    """

    def __init__(
        self,
        bases: tuple[str, ...],
        *,
        administer: Callable[[Scope, Scopes], Awaitable[Operations]],
        guard: Callable[[Scopes, App], App],
        events: EventSink,
    ) -> None:
        self._bases = bases
        self._administer = administer
        self._guard = guard
        self._events = events
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="administration")

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self._threads.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        sent = _sent_path(scope)
        base = next((base for base in self._bases if sent.startswith(base + "/")), sent)
        try:
            found = find_route(scope["method"], parse_path(sent.removeprefix(base)))
            query = parse_query(scope["query_string"], found.route.query)
        except RequestRefused as refusal:
            await self._refuse(send, refusal)
            return

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(found, query, base, (scope, receive, send))

        await self._guard(found.route.needs(query), serve)(scope, receive, send)

    async def _serve(
        self,
        found: Found,
        query: Mapping[str, Value],
        base: str,
        connection: tuple[Scope, Receive, Send],
    ) -> None:
        scope, receive, send = connection
        try:
            answer = await self._run(found.route, await self._read(found, query, scope, receive))
        except ClientDisconnected:
            return  # the caller is gone
        except RequestRefused as refusal:
            await self._refuse(send, refusal)
        except RegistryError as error:
            await self._refuse_by_registry(send, error, found.route)
        except Exception as fault:
            # Never a trace on the wire; the log has it under the request's id.
            self._events(Event.REQUEST_REFUSED, reason=INTERNAL.reason, exception=fault)
            await _send_problem(send, INTERNAL, write_problem(INTERNAL, "see the server's log"))
        else:
            await _send_answer(send, answer, base, scope)

    async def _read(
        self, found: Found, query: Mapping[str, Value], scope: Scope, receive: Receive
    ) -> Callable[[], Call]:
        """Read a request; what is returned makes a call of it, which may take its time."""
        route = found.route
        headers = _Headers(scope)
        body = await _read_body(route, headers, receive)
        try:
            precondition = parse_if_match(headers.joined(b"if-match"))
        except InvalidValue as error:
            raise RequestRefused(MALFORMED_REQUEST, str(error)) from None
        # RFC 9110 §13.1.1: what has no tag matches none, and such a request must not be done.
        if precondition.revisions is not None and (not route.tagged or route.method == "POST"):
            raise RevisionConflict("there is no entity tag for If-Match to match")
        key = headers.only(b"idempotency-key") if route.retried else None
        operations = await self._administer(scope, route.needs(query))
        return lambda: Call(
            operations=operations.registry,
            provider=operations.provider,
            names=found.names,
            query=query,
            document=_parse_document(body),
            precondition=precondition,
            idempotency_key=key,
        )

    async def _run(self, route: Route, call: Callable[[], Call]) -> Answer:
        context = contextvars.copy_context()  # the request's id goes with it into the log
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, context.run, lambda: route.answer(call()))

    async def _refuse(self, send: Send, refusal: RequestRefused) -> None:
        self._events(Event.REQUEST_REFUSED, reason=refusal.kind.reason, status=refusal.kind.status)
        document = write_problem(refusal.kind, refusal.detail)
        await _send_problem(send, refusal.kind, document, refusal.headers)

    async def _refuse_by_registry(self, send: Send, error: RegistryError, route: Route) -> None:
        kind = kind_of(error, route.targets)
        self._events(Event.REQUEST_REFUSED, reason=kind.reason, status=kind.status)
        headers: RawHeaders = ()
        if kind == UNAVAILABLE:
            headers = ((b"retry-after", b"%d" % RETRY_SECONDS),)
        elif kind.status == 401:
            headers = (_NOT_ACTIVE,)
        await _send_problem(send, kind, write_refusal(error, kind), headers)


class _Headers:
    """The header fields of a request, by lower-case name."""

    def __init__(self, scope: Scope) -> None:
        self._fields: list[tuple[bytes, bytes]] = list(scope["headers"])

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for given, value in self._fields if given == name]

    def joined(self, name: bytes) -> str | None:
        """Return a list field whole (RFC 9110 §5.3)."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def only(self, name: bytes) -> str | None:
        """Return a field that may come once.

        Raises:
            RequestRefused: it comes more than once.
        """
        values = self.all(name)
        if len(values) > 1:
            raise RequestRefused(MALFORMED_REQUEST, f"{name.decode()} is given twice")
        return values[0] if values else None


async def _read_body(route: Route, headers: _Headers, receive: Receive) -> bytes | None:
    """Read the body; None if there is none."""
    if not route.accepts:
        return None
    body = await read_body(receive, route.max_body)
    if body is None:
        raise RequestRefused(BODY_TOO_LARGE, f"a body has at most {route.max_body} bytes")
    if route.may_be_empty and not body:
        return None
    media_type = (headers.only(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type not in route.accepts:
        raise _wrong_media_type(route)
    return body


def _parse_document(body: bytes | None) -> Json:
    if body is None:
        return {}
    try:
        return parse_json_object(body)
    except ValueError as error:
        raise RequestRefused(MALFORMED_JSON, str(error)) from None


def _wrong_media_type(route: Route) -> RequestRefused:
    wanted = ", ".join(route.accepts)
    # RFC 5789 §3.1; for other methods RFC 9110 §15.5.16 has `Accept`.
    name = b"accept-patch" if route.accepts == PATCH else b"accept"
    return RequestRefused(
        UNSUPPORTED_MEDIA_TYPE, f"the body must be {wanted}", [(name, wanted.encode())]
    )


def _sent_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.decode("latin-1")


async def _send_answer(send: Send, answer: Answer, base: str, scope: Scope) -> None:
    headers = list(_NO_STORE if answer.document is None else _JSON)
    if answer.tag is not None:
        headers.append((b"etag", answer.tag.encode()))
    if answer.location is not None:
        headers.append((b"location", (base + answer.location).encode()))
    if answer.next is not None:
        headers.append((b"link", _next_link(answer.next, scope)))
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    body = b"" if answer.document is None else json.dumps(answer.document).encode()
    await _send(send, answer.status, tuple(headers), body, is_head=scope["method"] == "HEAD")


async def _send_problem(
    send: Send, kind: ProblemKind, document: Json, headers: RawHeaders = ()
) -> None:
    await respond(send, kind.status, (*_PROBLEM, *headers), json.dumps(document).encode())


async def _send(
    send: Send, status: int, headers: RawHeaders, body: bytes, *, is_head: bool
) -> None:
    if status == 204:
        # RFC 9110 §8.6: no Content-Length on 204.
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b""})
        return
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


def _next_link(after: str, scope: Scope) -> bytes:
    """Write where the next page is (RFC 8288 §3), with the same narrowing."""
    kept = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True)
    query = [(name, value) for name, value in kept if name != "after"] + [("after", after)]
    return f'<{_sent_path(scope)}?{urlencode(query)}>; rel="next"'.encode("latin-1")
