"""The guard of single routes, on endpoints and on applications."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from resource_api import require
from tests.support.forge import TokenForge
from tests.support.gate import Gate, ask, bearer

FORGE = TokenForge()


@require("read")
async def asynchronous(request: Request) -> PlainTextResponse:
    """Serve from a coroutine."""
    return PlainTextResponse(request.scope["access_token"].client_id)


@require("read", "write")
def synchronous(request: Request) -> PlainTextResponse:
    """Serve from a thread."""
    return PlainTextResponse("sync")


APP = Starlette(routes=[Route("/a", asynchronous), Route("/s", synchronous)])


@pytest.mark.parametrize(("path", "body"), [("/a", b"svc-a"), ("/s", b"sync")])
async def test_endpoints_are_guarded(path: str, body: bytes) -> None:
    """With its scopes a request reaches the endpoint; without one it is 403 and reported."""
    gate = Gate(FORGE, app=APP)
    good = await ask(gate.app, "GET", path, bearer(FORGE.token()))
    assert (good.status, good.body) == (200, body)
    bad = await ask(gate.app, "GET", path, bearer(FORGE.token(scope="write")))
    assert (bad.status, gate.reason) == (403, "insufficient_scope")


async def test_guard_without_gate_is_a_mistake() -> None:
    """A guarded route that no middleware protects fails loudly instead of opening."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("reached")

    with pytest.raises(RuntimeError, match="BearerMiddleware"):
        await ask(require("read").app(app))
    with pytest.raises(RuntimeError):
        await ask(Gate(app=require("read").app(app)).app, "GET", "/public")


async def test_lifespan_passes_a_guarded_application() -> None:
    """Start and stop of an application need no token."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*message: Any) -> Any: ...

    await require("read").app(app)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


def test_endpoint_keeps_its_name() -> None:
    """Frameworks name routes after endpoints."""
    assert (asynchronous.__name__, synchronous.__name__) == ("asynchronous", "synchronous")
