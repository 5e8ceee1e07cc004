"""Drive an ASGI application by hand: raw header lines in, one answer out, no server between."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from keys.remote.answer import Fetched
from keys.remote.jwks_client import JwksClient
from resource_api.middleware import BearerMiddleware
from watchword.testing.clock import Clock
from watchword.testing.forge import NOW, TokenForge


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back for one request."""

    status: int
    lines: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Give the one line of this name; two would be a mistake of ours."""
        values = [value.decode() for key, value in self.lines if key == name.encode()]
        assert len(values) <= 1
        return values[0] if values else None

    @property
    def challenge(self) -> str | None:
        """Give the WWW-Authenticate header."""
        return self.header("www-authenticate")

    @property
    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


async def ask(
    app: Callable[..., Any],
    method: str = "GET",
    path: str = "/read",
    *lines: tuple[bytes, bytes],
    raw_path: bytes | None = None,
    query: bytes = b"",
    body: bytes = b"",
    kind: str = "http",
    extensions: dict[str, Any] | None = None,
    client: str | None = None,
) -> Answer:
    """Send one request and collect the answer."""
    sent: list[dict[str, Any]] = []
    events = [{"type": "http.request", "body": body, "more_body": False}]
    if kind == "websocket":
        events = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        **({"method": method} if kind == "http" else {}),
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "query_string": query,
        "headers": list(lines),
        "extensions": extensions or {},
        "client": client and (client, 40_000),
    }
    await app(scope, receive, send)
    if sent[0]["type"] in ("websocket.close", "websocket.accept"):
        return Answer(status=sent[0].get("code", 101), lines=[], body=b"")
    prefix = "http" if kind == "http" else "websocket.http"
    bodies = {f"{prefix}.response.body", f"{prefix}.response.pathsend"}
    assert sent[0]["type"] == f"{prefix}.response.start"
    assert {message["type"] for message in sent[1:]} <= bodies
    # ASGI: names of header fields are in lower case.
    assert all(name == name.lower() for name, _ in sent[0]["headers"])
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(status=sent[0]["status"], lines=sent[0]["headers"], body=content)


def bearer(token: bytes, scheme: bytes = b"Bearer ") -> tuple[bytes, bytes]:
    """Write the header line that carries a token."""
    return (b"authorization", scheme + token)


@dataclass
class PublishedKeySet:
    """A published key set that misbehaves on demand; counts who asks."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(
        default_factory=lambda: {"content-type": "application/json", "cache-control": "max-age=300"}
    )
    fails: BaseException | None = None
    asked: list[str | None] = field(default_factory=list)

    async def __call__(self, etag: str | None) -> Fetched:
        """Answer as told."""
        self.asked.append(etag)
        if self.fails is not None:
            raise self.fails
        return Fetched(status=self.status, headers=self.headers, body=self.body)


class ProtectedApi:
    """A middleware over a tiny application, its issuer, its clocks and what it reported."""

    def __init__(self, forge: TokenForge | None = None, **options: Any) -> None:
        """Put the pieces together; `options` go to the middleware."""
        self.forge = forge or TokenForge()
        self.clock = Clock(NOW)
        self.monotonic = Clock(1000)
        self.issuer = PublishedKeySet(self.forge.jwks_document)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.reached: list[dict[str, Any]] = []
        self.jwks = JwksClient(self.issuer, clock=self.monotonic, on_event=self.record)
        self.app = BearerMiddleware(
            options.pop("app", self.protected),
            issuer=self.forge.issuer,
            resource=self.forge.resource,
            jwks=self.jwks,
            clock=self.clock,
            on_event=self.record,
            open_routes=[("GET", "/public")],
            **options,
        )

    async def protected(self, scope: Any, receive: Any, send: Any) -> None:
        """Note that a request came through, and greet it."""
        self.reached.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    def record(self, name: str, /, **fields: Any) -> None:
        """Keep an event."""
        self.events.append((name, fields))

    @property
    def reason(self) -> str:
        """Give the reason of the last refusal."""
        return next(f["reason"] for name, f in reversed(self.events) if name == "request.refused")

    async def ask(self, token: bytes) -> Answer:
        """Send a token to the protected route."""
        return await ask(self.app, "GET", "/read", bearer(token))


def lines(*pairs: tuple[str, str]) -> Iterable[tuple[bytes, bytes]]:
    """Write header lines as ASGI has them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
