"""The middleware under Litestar and plain Starlette: guards, WebSockets, lifespan, open routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import litestar
import pytest
from litestar.exceptions import HTTPException
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from resource_api import BearerMiddleware, require
from resource_api.requirements import any_of, claim
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
RAN: list[str] = []


def header(**claims: Any) -> dict[str, str]:
    """Send a token that differs in these claims."""
    return {"authorization": f"Bearer {FORGE.token(**claims).decode()}"}


READER, STRANGER = header(scope="read"), header(scope="write")
EITHER = any_of("read", claim("tenant", "acme"))


def litestar_app() -> litestar.Litestar:
    """Write routes as Litestar has them, and an exception handler that accepts anything."""

    def fine(request: Any, error: Exception) -> litestar.Response[str]:
        return litestar.Response("fine", status_code=200)

    @litestar.get("/route/{number:int}")
    @require(EITHER)
    async def route(request: litestar.Request[Any, Any, Any]) -> str:
        RAN.append("ran")
        return f"{request.path_params['number']} {request.scope['access_token'].client_id}"  # type: ignore[typeddict-item]

    @litestar.get("/sync", sync_to_thread=True)
    @require(EITHER)
    def sync() -> str:
        RAN.append("ran")
        return "1 svc-a"

    @litestar.websocket("/ws")
    @require(EITHER)
    async def socket(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        RAN.append("ran")
        await socket.accept()
        await socket.send_text("in")
        await socket.close()

    @asynccontextmanager
    async def lifespan(app: litestar.Litestar) -> AsyncIterator[None]:
        RAN.append("started")
        yield
        RAN.append("stopped")

    return litestar.Litestar(
        [route, sync, socket],
        lifespan=[lifespan],
        exception_handlers={Exception: fine, HTTPException: fine},
        logging_config=None,  # the default one stays in force for all tests that follow
    )


def starlette_app() -> Starlette:
    """Write the same routes as Starlette has them."""

    async def fine(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse("fine")

    class Endpoint(HTTPEndpoint):
        @require(EITHER)
        async def get(self, request: Request) -> PlainTextResponse:
            RAN.append("ran")
            client_id = request.scope["access_token"].client_id
            return PlainTextResponse(f"{request.path_params['number']} {client_id}")

    @require(EITHER)
    def sync(request: Request) -> PlainTextResponse:
        RAN.append("ran")
        return PlainTextResponse("1 svc-a")

    @require(EITHER)
    async def socket(socket: WebSocket) -> None:
        RAN.append("ran")
        await socket.accept()
        await socket.send_text("in")
        await socket.close()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        RAN.append("started")
        yield
        RAN.append("stopped")

    return Starlette(
        routes=[
            Mount("/route", routes=[Route("/{number:int}", Endpoint)]),
            Route("/sync", sync),
            WebSocketRoute("/ws", socket),
        ],
        lifespan=lifespan,
        exception_handlers={Exception: fine, 403: fine},
    )


APPS = {"litestar": litestar_app, "starlette": starlette_app}


@pytest.fixture(params=APPS)
def api(request: pytest.FixtureRequest) -> ProtectedApi:
    """Protect an application."""
    RAN.clear()
    return ProtectedApi(FORGE, app=APPS[request.param]())


@pytest.mark.parametrize("path", ["/route/1", "/sync"])
def test_guards_take_alternatives(api: ProtectedApi, path: str) -> None:
    """One of the needs suffices; no handler of the application replaces the refusal."""
    client = TestClient(api.app)
    for headers in (READER, header(scope="write", tenant="acme")):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.text, RAN) == (200, "1 svc-a", ["ran"])
        RAN.clear()
    refused = client.get(path, headers=STRANGER)
    assert (refused.status_code, RAN) == (403, [])
    assert 'scope="read"' in refused.headers["www-authenticate"]
    assert client.get(path).status_code == 401
    assert client.get("/nowhere").status_code == 401


def test_websockets(api: ProtectedApi) -> None:
    """The handshake is answered with the refusal."""
    client = TestClient(api.app)
    with client.websocket_connect("/ws", headers=READER) as socket:
        assert socket.receive_text() == "in"
    RAN.clear()
    for headers, status in ((STRANGER, 403), ({}, 401)):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/ws", headers=headers),
        ):
            pass
        assert (denied.value.status_code, RAN) == (status, [])


def test_start_and_stop(api: ProtectedApi) -> None:
    """They reach the application, and the keys are fetched meanwhile."""
    with TestClient(api.app) as client:
        assert client.get("/sync", headers=READER).status_code == 200
        assert len(api.issuer.asked) == 1
    assert RAN == ["started", "ran", "stopped"]


def test_added_by_the_framework_itself() -> None:
    """Starlette's `add_middleware` makes it as its own are made."""
    RAN.clear()
    app = starlette_app()
    app.add_middleware(BearerMiddleware, protection=ProtectedApi(FORGE).app.protection)  # type: ignore[arg-type]
    client = TestClient(app)
    assert client.get("/sync", headers=READER).text == "1 svc-a"
    assert client.get("/sync", headers=STRANGER).status_code == 403
