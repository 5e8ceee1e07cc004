"""The guard under FastAPI: a refusal is 403 with the challenge, whatever the route looks like."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Query, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from resource_api import require
from resource_api.errors import InsufficientScope
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = {"authorization": f"Bearer {FORGE.token(scope='read').decode()}"}
STRANGER = {"authorization": f"Bearer {FORGE.token(scope='write').decode()}"}
RAN: list[str] = []
"""What ran: a refused request must leave nothing here."""


class Order(BaseModel):
    """A body, and a response model."""

    name: str


def client_of(app: Any) -> TestClient:
    """Serve an application behind the middleware; bugs of the application are raised."""
    RAN.clear()
    return TestClient(ProtectedApi(FORGE, app=app).app)


def assert_refused(answer: Any) -> None:
    """Expect the whole refusal of RFC 6750 §3.1, and that nothing ran."""
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "insufficient_scope",
        "error_description": "the access token lacks a needed scope",
    }
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="read"' in challenge
    assert RAN == []


def noted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as other libraries do."""

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def build_app() -> FastAPI:
    """Write routes of every shape, each guarded below its route decorator."""
    app = FastAPI()

    @app.get("/plain")
    @require("read")
    async def plain() -> dict[str, str]:
        RAN.append("plain")
        return {"done": "plain"}

    @app.get("/sync")
    @require("read")
    def sync() -> dict[str, str]:
        RAN.append("sync")
        return {"done": "sync"}

    @app.get("/path/{order_id}")
    @require("read")
    async def path(order_id: int, request: Request) -> dict[str, Any]:
        RAN.append("path")
        return {"order": order_id, "client": request.scope["access_token"].client_id}

    @app.get("/query")
    @require("read")
    def query(limit: Annotated[int, Query(ge=1)], connection: Request) -> dict[str, Any]:
        RAN.append("query")
        return {"limit": limit, "path": connection.url.path}

    @app.post("/body", response_model=Order)
    @require("read")
    async def body(order: Order, note: Annotated[str, Body()] = "") -> Order:
        RAN.append("body")
        return order

    @app.get("/background")
    @require("read")
    async def background(tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(RAN.append, "task")
        return {"done": "background"}

    @app.get("/stream")
    @require("read")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            RAN.append("stream")
            yield b"a"
            yield b"b"

        return StreamingResponse(lines())

    @app.get("/yielded")
    @require("read")
    async def yielded() -> AsyncIterator[Order]:
        RAN.append("yielded")
        yield Order(name="a")

    return app


CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": ("GET", "/plain", {}),
    "sync": ("GET", "/sync", {}),
    "path": ("GET", "/path/7", {}),
    "query": ("GET", "/query?limit=2", {}),
    "body": ("POST", "/body", {"json": {"order": {"name": "a"}}}),
    "task": ("GET", "/background", {}),
    "stream": ("GET", "/stream", {}),
    "yielded": ("GET", "/yielded", {}),
}


@pytest.mark.attack("V29")
@pytest.mark.parametrize("name", CALLS)
def test_routes_of_any_signature(name: str) -> None:
    """With the scope the route answers as FastAPI would; without, 403 and nothing ran."""
    method, url, options = CALLS[name]
    client = client_of(build_app())
    assert_refused(client.request(method, url, headers=STRANGER, **options))
    good = client.request(method, url, headers=READER, **options)
    assert (good.is_success, RAN) == (True, [name])


def test_parameters_reach_the_route() -> None:
    """FastAPI reads the signature through the guard, and describes it."""
    client = client_of(build_app())
    assert client.get("/path/7", headers=READER).json() == {"order": 7, "client": "svc-a"}
    assert client.get("/query?limit=2", headers=READER).json() == {"limit": 2, "path": "/query"}
    assert client.get("/query?limit=0", headers=READER).status_code == 422
    paths = client.get("/openapi.json", headers=READER).json()["paths"]
    assert [p["name"] for p in paths["/path/{order_id}"]["get"]["parameters"]] == ["order_id"]
    assert "parameters" not in paths["/plain"]["get"]


@pytest.mark.attack("V29")
@pytest.mark.parametrize("between", [None, noted], ids=["directly", "with another between"])
def test_decorator_above_the_route(between: Callable[..., Any] | None) -> None:
    """A route that was registered first holds the function itself, and is guarded all the same."""
    app = FastAPI()

    @app.get("/orders/{order_id}")
    async def order(order_id: int, limit: int = 3) -> dict[str, int]:
        RAN.append("order")
        return {"order": order_id, "limit": limit, "status": status}

    @app.get("/sync/{order_id}")
    def sync(order_id: int) -> int:
        return order_id

    status = 7
    require("read")(between(order) if between else order)
    require("read")(sync)
    client = client_of(app)
    assert_refused(client.get("/orders/5", headers=STRANGER))
    assert_refused(client.get("/sync/5", headers=STRANGER))
    good = client.get("/orders/5", headers=READER)
    assert good.json() == {"order": 5, "limit": 3, "status": 7}
    assert client.get("/sync/5", headers=READER).json() == 5


@pytest.mark.attack("V29")
def test_guards_above_and_below_add_up() -> None:
    """Every scope that any guard of a function names is needed."""
    app = FastAPI()

    @require("admin")
    @require("write")
    @app.get("/")
    @require("read")
    async def root() -> str:
        return "in"

    client = client_of(app)
    for scope in ("read", "read write", "read admin", "write admin"):
        token = FORGE.token(scope=scope).decode()
        assert client.get("/", headers={"authorization": f"Bearer {token}"}).status_code == 403
    token = FORGE.token(scope="read write admin").decode()
    assert client.get("/", headers={"authorization": f"Bearer {token}"}).json() == "in"


@pytest.mark.attack("V29")
def test_generators_above_the_route() -> None:
    """Endpoints and dependencies that yield are guarded in either order, or refuse to run."""
    app = FastAPI()

    def opened(name: str = "a") -> Iterator[str]:
        RAN.append("opened")
        yield name
        RAN.append("closed")

    async def opened_async() -> AsyncIterator[str]:
        RAN.append("opened")
        yield "a"

    @app.get("/sync")
    def sync(name: Annotated[str, Depends(opened)]) -> str:
        RAN.append("ran")
        return name

    @app.get("/async")
    async def asynchronous(name: Annotated[str, Depends(opened_async)]) -> str:
        RAN.append("ran")
        return name

    require("read")(opened)
    require("read")(opened_async)
    client = client_of(app)
    assert_refused(client.get("/sync?name=b", headers=STRANGER))
    assert client.get("/sync?name=b", headers=READER).json() == "b"
    assert RAN == ["opened", "ran", "closed"]
    RAN.clear()
    for headers in (STRANGER, READER):
        with pytest.raises(TypeError, match="directly above"):
            client.get("/async", headers=headers)
    assert RAN == []


@pytest.mark.attack("V29")
@pytest.mark.parametrize("path", ["/one", "/two", "/three", "/four", "/sub/v1/five"])
def test_dependencies_and_routers(path: str) -> None:
    """A dependency that is refused refuses the request, wherever it is named."""

    @require("read")
    async def reader(request: Request) -> str:
        return str(request.scope["access_token"].client_id)

    @require("read")
    async def session() -> AsyncIterator[str]:
        yield "session"

    class Reader:
        @require("read")
        def __init__(self, page: int = 1) -> None:
            self.page = page

    app, router, sub = FastAPI(), APIRouter(), FastAPI()

    @app.get("/one")
    async def one(name: Annotated[str, Depends(reader)]) -> None:
        RAN.append("ran")

    @app.get("/two", dependencies=[Depends(session)])
    def two() -> None:
        RAN.append("ran")

    @app.get("/three")
    def three(page: Annotated[Reader, Depends()]) -> None:
        RAN.append("ran")

    @app.get("/four")
    async def four(request: Request) -> Any:
        try:
            await reader(request)
        except InsufficientScope:
            return {"swallowed": True}
        RAN.append("ran")
        return None

    @router.get("/five")
    @require("read")
    async def five() -> None:
        RAN.append("ran")

    sub.include_router(router, prefix="/v1")
    app.mount("/sub", sub)
    client = client_of(app)
    assert_refused(client.get(path, headers=STRANGER))
    assert client.get(path, headers=READER).status_code == 200
    assert RAN == ["ran"]


@pytest.mark.attack("V29")
@pytest.mark.parametrize("path", ["/plain", "/sync", "/path/7", "/stream"])
def test_application_that_handles_every_error(path: str) -> None:
    """Neither exception handlers nor middleware can turn a refusal into an answer of theirs."""
    app = build_app()

    @app.exception_handler(Exception)
    @app.exception_handler(InsufficientScope)
    async def handled(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"fine": True})

    @app.middleware("http")
    async def tolerant(
        request: Request, call_next: Callable[[Request], Awaitable[Any]]
    ) -> JSONResponse:
        try:
            await call_next(request)
        except Exception:
            return JSONResponse({"fine": True})
        return JSONResponse({"fine": True})

    client = client_of(app)
    assert_refused(client.get(path, headers=STRANGER))
    assert client.get(path, headers=READER).json() == {"fine": True}


def websocket_app(*, decorate_first: bool) -> FastAPI:
    """Write WebSocket routes, guarded in either order."""
    app = FastAPI()

    async def route(socket: WebSocket, room: str) -> None:
        RAN.append("ran")
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    if decorate_first:
        app.websocket("/ws/{room}")(require("read")(route))
    else:
        require("read")(app.websocket("/ws/{room}")(route))

    @app.websocket("/late")
    async def late(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        await require("read")(route)(socket, "late")

    return app


@pytest.mark.attack("V29")
@pytest.mark.parametrize("decorate_first", [True, False])
def test_websocket_is_refused_before_it_opens(decorate_first: bool) -> None:
    """The handshake is answered with the refusal; a route that may be entered speaks."""
    client = client_of(websocket_app(decorate_first=decorate_first))
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/ws/blue", headers=STRANGER),
    ):
        pass
    assert_refused(denied.value)
    with client.websocket_connect("/ws/blue", headers=READER) as socket:
        assert socket.receive_text() == "blue"


def test_open_websocket_is_closed() -> None:
    """A guard that refuses after the handshake closes the connection: policy violation."""
    client = client_of(websocket_app(decorate_first=True))
    with client.websocket_connect("/late", headers=STRANGER) as socket:
        socket.send_text("go")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "insufficient_scope")
    assert RAN == []


@pytest.mark.attack("V29")
def test_partial_functions() -> None:
    """What a partial function stands for is guarded, also where the partial was registered."""
    app = FastAPI()

    async def serve(name: str, limit: int = 1) -> str:
        RAN.append("ran")
        return name

    app.get("/before")(partial(serve, "before"))
    app.get("/after")(require("read")(partial(serve, "after")))
    client = client_of(app)
    assert_refused(client.get("/before", headers=STRANGER))
    assert_refused(client.get("/after", headers=STRANGER))
    assert client.get("/before", headers=READER).json() == "before"
    assert client.get("/after", headers=READER).json() == "after"
