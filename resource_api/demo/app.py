"""The demo API: one open route, one to read and one to write, each with a scope of its own."""

import json
from collections.abc import Iterable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from keys.encoding import parse_json_object
from keys.identifiers import InsecureHttp
from keys.key_types import ALGORITHMS
from resource_api.config import ResourcePolicy
from resource_api.demo import PUBLIC, READ_RESOURCE, WRITE_RESOURCE
from resource_api.demo.values import MemoryValue, ResourceValue
from resource_api.guard import require
from resource_api.middleware import BearerMiddleware
from resource_api.validator import KeySource

MAX_BODY = 65_536
READ: Final = "read"
WRITE: Final = "write"
OPEN_ROUTES: Final = (("GET", PUBLIC),)


def create_demo_api(
    *,
    issuer: str,
    resource: str,
    allow_insecure_http: InsecureHttp = False,
    jwks: KeySource | None = None,
    value: ResourceValue | None = None,
    open_routes: Iterable[tuple[str, str]] = OPEN_ROUTES,
    **options: Any,  # noqa: ANN401
) -> BearerMiddleware:
    """Build the demo API behind its middleware.

    Args:
        issuer: the only issuer whose tokens count.
        resource: this API's identifier.
        allow_insecure_http: which other machines the issuer may be on with plain http.
        jwks: the issuer's keys; found over HTTP if not given.
        value: where the resource is kept; in this process if not given.
        open_routes: what needs no token.
        options: passed on to `BearerMiddleware`.
    """
    # The operator may give this resource another algorithm while it is served, and then tokens of
    # both are in use. Which it is does not matter here: one key, one algorithm.
    policy = ResourcePolicy(
        issuer=issuer,
        resource=resource,
        allow_insecure_http=allow_insecure_http,
        algorithms=tuple(ALGORITHMS),
        scopes_supported=(READ, WRITE),
    )
    options.setdefault("policy", policy)
    app = Starlette(routes=demo_routes(value or MemoryValue()))
    return BearerMiddleware(
        app, issuer=issuer, resource=resource, jwks=jwks, open_routes=open_routes, **options
    )


def demo_routes(value: ResourceValue) -> list[Route]:
    """Build the routes without the middleware."""

    async def public(request: Request) -> Response:
        return PlainTextResponse("moo")

    @require(READ)
    async def read_resource(request: Request) -> Response:
        return Response(b'{"resource":' + value.get() + b"}", media_type="application/json")

    @require(WRITE)
    async def write_resource(request: Request) -> Response:
        body = await _read_body(request)
        if body is None:
            return _problem(413, "the body is too long")
        try:
            new = parse_json_object(body)["value"]
        except (ValueError, KeyError):
            return _problem(400, "the body must be a JSON object with the member value")
        value.set(json.dumps(new, separators=(",", ":")).encode())
        return JSONResponse({"message": "resource created"})

    return [
        Route(PUBLIC, public, methods=["GET"]),
        Route(READ_RESOURCE, read_resource, methods=["GET"]),
        Route(WRITE_RESOURCE, write_resource, methods=["POST"]),
    ]


async def _read_body(request: Request) -> bytes | None:
    """Read the body, or give None as soon as it is longer than allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _problem(status: int, detail: str) -> Response:
    """Write a problem document (RFC 9457); it never repeats the input."""
    document = {"status": status, "detail": detail}
    return JSONResponse(document, status_code=status, media_type="application/problem+json")
