"""Drive a WSGI application by hand, checked on both sides by the standard library's validator."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from keys.remote.jwks_client import JwksClient
from resource_api.wsgi import ENVIRON_KEY, BearerWsgiMiddleware
from tests.support.protected_api import PublishedKeySet
from watchword.testing.clock import Clock
from watchword.testing.forge import NOW, TokenForge


@dataclass(kw_only=True)
class WsgiAnswer:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)
    errors: str = ""

    @property
    def body(self) -> bytes:
        """Give all of the body."""
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


def environ_of(path: str = "/read", token: bytes | None = None, **env: Any) -> dict[str, Any]:
    """Write the environ of a GET request; a variable that is None is left out."""
    given = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", **env}
    environ = {name: value for name, value in given.items() if value is not None}
    if token is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token.decode()}"
    setup_testing_defaults(environ)
    return environ


def call(
    app: Callable[..., Iterable[bytes]], path: str = "/read", token: bytes | None = None, **env: Any
) -> WsgiAnswer:
    """Send a GET request as a server does, and collect the answer."""
    errors = io.StringIO()
    written: list[bytes] = []
    heads: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert exc_info is None
        heads.append((status, headers))
        return written.append

    body = app(environ_of(path, token, **{"wsgi.errors": errors, **env}), start_response)
    try:
        chunks = [*body]
    finally:
        if hasattr(body, "close"):
            body.close()
    ((status, headers),) = heads
    return WsgiAnswer(
        status=int(status[:3]),
        headers=dict(headers),
        chunks=written + chunks,
        errors=errors.getvalue(),
    )


class ProtectedWsgi:
    """A middleware over a WSGI application, its issuer, its clock and what it reported."""

    def __init__(self, app: Any = None, forge: TokenForge | None = None, **options: Any) -> None:
        """Put the pieces together; `options` go to the middleware."""
        self.forge = forge or TokenForge()
        self.clock, self.monotonic = Clock(NOW), Clock(1000)
        self.issuer = PublishedKeySet(self.forge.jwks_document)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.middleware = BearerWsgiMiddleware(
            app or greet,
            issuer=self.forge.issuer,
            resource=self.forge.resource,
            jwks=JwksClient(self.issuer, clock=self.monotonic, on_event=self.record),
            clock=self.clock,
            on_event=self.record,
            open_routes=[("GET", "/public"), ("GET", "/static/*")],
            **options,
        )
        self.app = validator(self.middleware)

    def record(self, name: str, /, **fields: Any) -> None:
        """Keep an event."""
        self.events.append((name, fields))

    @property
    def reason(self) -> str:
        """Give the reason of the last refusal."""
        return next(f["reason"] for name, f in reversed(self.events) if name == "request.refused")

    def close(self) -> None:
        """End its thread."""
        self.middleware.protection.close()


def greet(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the name of the caller."""
    token = environ.get(ENVIRON_KEY)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"in" if token is None else token.client_id.encode()]
