"""`Bearer` under FastAPI, without the middleware: who gets in, and how the rest is refused."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Security,
    WebSocket,
)
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from resource_api import AccessToken, BearerMiddleware, require
from resource_api.errors import InsufficientScope, ResourceError
from resource_api.fastapi import Bearer
from resource_api.requirements import all_of
from tests.support.protected_api import ProtectedApi, ask
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
API = ProtectedApi(FORGE)
BEARER = Bearer(protection=API.app.protection)
RAN: list[str] = []
"""What ran: a refused request must leave nothing here."""


def header(**claims: Any) -> dict[str, str]:
    """Send a token that differs in these claims."""
    return {"authorization": f"Bearer {FORGE.token(**claims).decode()}"}


READER, STRANGER = header(scope="read"), header(scope="write")
REFUSED: dict[str, tuple[dict[str, str], int]] = {
    "no token": ({}, 401),
    "another scheme": ({"authorization": "Basic eDp5"}, 401),
    "malformed": ({"authorization": "Bearer a b"}, 400),
    "forged": (header(aud="https://other.example"), 401),
    "expired": (header(iat=FORGE.now - 99, exp=FORGE.now - 50), 401),
    "without the scope": (STRANGER, 403),
}


def build_app(bearer: Bearer = BEARER) -> FastAPI:
    """Write routes of every shape, all of which need the scope `read`."""
    RAN.clear()
    app, router, sub = FastAPI(), APIRouter(), FastAPI()
    Reader = Annotated[AccessToken, bearer.protected("read")]

    async def name(token: Reader) -> str:
        return token.client_id

    @app.get("/plain")
    async def plain(token: Reader) -> str:
        RAN.append("ran")
        return token.client_id

    @app.get("/sync")
    def sync(token: Annotated[AccessToken, Security(bearer, scopes=["read"])]) -> str:
        RAN.append("ran")
        return token.client_id

    @app.post("/orders/{order_id}")
    async def order(order_id: int, token: Reader, limit: int, note: dict[str, str]) -> str:
        RAN.append("ran")
        return token.client_id

    @app.get("/below")
    async def below(client_id: Annotated[str, Depends(name)]) -> str:
        RAN.append("ran")
        return client_id

    @app.get("/listed", dependencies=[bearer.protected("read")])
    async def listed(request: Request) -> str:
        RAN.append("ran")
        return str(request.scope["access_token"].client_id)

    @app.get("/background")
    async def background(token: Reader, tasks: BackgroundTasks) -> str:
        tasks.add_task(RAN.append, "ran")
        return token.client_id

    @router.get("/included")
    async def included(token: Reader) -> str:
        RAN.append("ran")
        return token.client_id

    @sub.get("/mounted")
    async def mounted(token: Reader) -> str:
        RAN.append("ran")
        return token.client_id

    app.include_router(router, prefix="/v1")
    app.mount("/sub", sub)
    return app


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "/plain": ("GET", {}),
    "/sync": ("GET", {}),
    "/orders/7?limit=3": ("POST", {"json": {"a": "b"}}),
    "/below": ("GET", {}),
    "/listed": ("GET", {}),
    "/background": ("GET", {}),
    "/v1/included": ("GET", {}),
    "/sub/mounted": ("GET", {}),
}


@pytest.mark.attack("V29")
@pytest.mark.parametrize("url", CALLS)
def test_routes_of_every_shape(url: str) -> None:
    """With the scope the route answers, and gets the token; otherwise nothing runs."""
    method, options = CALLS[url]
    client = TestClient(build_app())
    for headers, status in REFUSED.values():
        assert client.request(method, url, headers=headers, **options).status_code == status
    assert RAN == []
    good = client.request(method, url, headers=READER, **options)
    assert (good.status_code, good.json(), RAN) == (200, "svc-a", ["ran"])


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_is_that_of_the_middleware(case: str) -> None:
    """Status, headers, body and event, to the byte."""
    headers, _ = REFUSED[case]
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def reached(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("reached")

    theirs = ProtectedApi(FORGE, app=require("read").app(reached))
    ours = ProtectedApi(FORGE)
    answer = await ask(build_app(Bearer(protection=ours.app.protection)), "GET", "/plain", *lines)
    assert answer == await ask(theirs.app, "GET", "/plain", *lines)
    assert [each for each in ours.events if each[0] == "request.refused"] == [
        each for each in theirs.events if each[0] == "request.refused"
    ]


async def test_without_keys_it_is_503() -> None:
    """The caller is asked to come back, and not told that its token is bad."""
    api = ProtectedApi(FORGE)
    api.issuer.fails = ConnectionError()
    app = build_app(Bearer(protection=api.app.protection))
    answer = await ask(app, "GET", "/plain", (b"authorization", b"Bearer " + FORGE.token()))
    assert (answer.status, answer.challenge) == (503, None)
    assert answer.header("retry-after") is not None


def test_a_refusal_comes_before_what_is_wrong_with_the_request() -> None:
    """A caller without a token learns nothing about parameters."""
    client = TestClient(build_app())
    assert client.post("/orders/x", json={}).status_code == 401
    assert client.post("/orders/x", json={}, headers=READER).status_code == 422


@pytest.mark.attack("V29")
@pytest.mark.parametrize("case", REFUSED)
def test_no_exception_handler_can_let_a_request_in(case: str) -> None:
    """Whatever the application does with errors, the refusal stays one."""
    app = build_app()

    async def fine(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"fine": True})

    for kind in (400, 401, 403, 503, HTTPException, Exception, ResourceError, InsufficientScope):
        app.add_exception_handler(kind, fine)
    headers, status = REFUSED[case]
    answer = TestClient(app).get("/plain", headers=headers)
    assert (answer.status_code, RAN) == (status, [])
    assert answer.json().keys() == {"error", "error_description"}


def test_a_dependency_that_swallows_exceptions_lets_nothing_in() -> None:
    """What FastAPI makes of it is an error of the server."""
    app = FastAPI()

    async def swallowing() -> AsyncIterator[None]:
        try:
            yield
        except Exception:
            RAN.append("swallowed")

    @app.get("/", dependencies=[Depends(swallowing), BEARER.protected("read")])
    async def route() -> None:
        raise AssertionError("reached")

    RAN.clear()
    client = TestClient(app, raise_server_exceptions=False)
    assert (client.get("/", headers=STRANGER).status_code, RAN) == (500, ["swallowed"])


def test_an_application_that_is_closed_by_default() -> None:
    """A route whose author forgot the dependency needs a token; documents stay open."""
    app = FastAPI(dependencies=[Depends(BEARER)])
    BEARER.publish(app, readiness_path="/readyz")
    router = APIRouter()
    app.get("/forgotten")(lambda: 1)
    router.get("/included")(lambda: 1)
    app.get("/scoped", dependencies=[BEARER.protected("read")])(lambda: 1)
    app.include_router(router)

    @app.websocket("/ws")
    async def socket(socket: WebSocket) -> None:
        raise AssertionError("reached")

    client = TestClient(app)
    for path in ("/forgotten", "/included", "/scoped"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=READER).status_code == 200
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/ws"):
        pass
    for path in ("/openapi.json", "/readyz", "/.well-known/oauth-protected-resource"):
        assert client.get(path).is_success or path == "/readyz"


def test_websockets() -> None:
    """The handshake is answered with the refusal; later a refusal closes the connection."""
    app = FastAPI()

    @app.websocket("/ws")
    async def route(
        socket: WebSocket, token: Annotated[AccessToken, BEARER.protected("read")]
    ) -> None:
        await socket.accept()
        await socket.send_text(token.client_id)
        all_of(await socket.receive_text()).check(token)
        await socket.send_text("done")

    client = TestClient(app)
    for headers, status in REFUSED.values():
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/ws", headers=headers),
        ):
            pass
        assert denied.value.status_code == status
    with client.websocket_connect("/ws", headers=READER) as socket:
        assert socket.receive_text() == "svc-a"
        socket.send_text("read")
        assert socket.receive_text() == "done"
    with client.websocket_connect("/ws", headers=READER) as socket:
        assert socket.receive_text() == "svc-a"
        socket.send_text("admin")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "insufficient_scope")


async def test_a_server_that_cannot_deny_a_handshake() -> None:
    """Without the extension the connection is closed before it opens, as by the middleware."""
    app = FastAPI()

    @app.websocket("/ws")
    async def route(token: Annotated[AccessToken, Depends(BEARER)]) -> None:
        raise AssertionError("reached")

    assert (await ask(app, "GET", "/ws", kind="websocket")).status == 1008


def test_behind_the_middleware_a_refusal_is_reported_once() -> None:
    """Which keeps bodies of strangers from being read; open routes of it stay protected."""
    api = ProtectedApi(FORGE)
    app = build_app(Bearer(protection=api.app.protection))
    app.get("/guarded")(require("read")(lambda: 1))
    outer = BearerMiddleware(
        app, protection=api.app.protection, open_routes=[("GET", "/sync"), ("GET", "/guarded")]
    )
    client = TestClient(outer)
    for path, headers, status in (
        ("/plain", {}, 401),
        ("/plain", STRANGER, 403),
        ("/sync", {}, 401),
        ("/sync", STRANGER, 403),
    ):
        api.events.clear()
        assert client.get(path, headers=headers).status_code == status
        assert [name for name, _ in api.events].count("request.refused") == 1
    assert client.get("/plain", headers=READER).json() == "svc-a"
    with pytest.raises(RuntimeError, match="BearerMiddleware"):
        client.get("/guarded", headers=READER)


def test_a_guard_keeps_its_answer_beside_the_dependency() -> None:
    """`require` on a route without the dependency is answered by the middleware, as ever."""
    api = ProtectedApi(FORGE)
    app = build_app(Bearer(protection=api.app.protection))
    app.get("/guarded")(require("admin")(lambda: 1))
    client = TestClient(BearerMiddleware(app, protection=api.app.protection))
    assert client.get("/plain", headers=READER).status_code == 200
    refused = client.get("/guarded", headers=READER)
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


def test_the_annotation_alone_is_refused_at_start() -> None:
    """A token that is not named as a dependency must not be read from the request."""
    app = FastAPI()

    def route(token: AccessToken) -> None: ...

    with pytest.raises(Exception, match=r"(?i)schema|field type"):
        app.post("/")(route)


def test_settings() -> None:
    """Those of `Protection`, or one."""
    own = Bearer(issuer="https://auth.example.com", resource="https://orders.example.com")
    assert own.protection.policy.resource == "https://orders.example.com"
    with pytest.raises(TypeError, match="give protection"):
        Bearer(protection=own.protection, issuer="https://auth.example.com")
    with pytest.raises(ValueError, match="resource must be"):
        Bearer(issuer="https://auth.example.com", resource="orders")
