"""The guard of WebSocket endpoints under Starlette: functions, and classes with their methods."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from resource_api import require
from resource_api.errors import InsufficientScope
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = {"authorization": f"Bearer {FORGE.token(scope='read').decode()}"}
STRANGER = {"authorization": f"Bearer {FORGE.token(scope='admin').decode()}"}


@require("read")
class Feed(WebSocketEndpoint):
    """A WebSocket class that is guarded as a whole."""

    async def on_connect(self, websocket: WebSocket) -> None:
        """Greet."""
        await websocket.accept()
        await websocket.send_text("in")


class Steps(WebSocketEndpoint):
    """A WebSocket class whose methods are guarded."""

    encoding = "text"

    @require("read")
    async def on_connect(self, websocket: WebSocket) -> None:
        """Greet."""
        await websocket.accept()
        await websocket.send_text("in")

    @require("write")
    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Write."""
        raise AssertionError("reached")


@require("read")
async def socket_function(websocket: WebSocket) -> None:
    """Serve a WebSocket."""
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


async def reads_handshake(websocket: WebSocket) -> None:
    """Read the handshake, then call what is guarded."""
    await websocket.receive()
    await socket_function(websocket)


async def tolerant(websocket: WebSocket) -> None:
    """Go on whatever the guard says."""
    try:
        await socket_function(websocket)
    except InsufficientScope:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()


SOCKETS = [
    WebSocketRoute("/class", Feed),
    WebSocketRoute("/method", Steps),
    WebSocketRoute("/function", socket_function),
    WebSocketRoute("/tolerant", tolerant),
]


@pytest.mark.attack("V29")
@pytest.mark.parametrize("path", ["/class", "/method", "/function", "/tolerant", "/read-first"])
def test_websocket_handshakes_are_refused(path: str) -> None:
    """A refusal answers the handshake with the challenge; nothing is accepted, nothing hangs."""
    app = Starlette(routes=[*SOCKETS, WebSocketRoute("/read-first", reads_handshake)])
    client = TestClient(ProtectedApi(FORGE, app=app).app)
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(path, headers=STRANGER),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="read"' in denied.value.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/class", "/method", "/function", "/tolerant"])
def test_websockets_open_with_the_scope(path: str) -> None:
    """With the scope the connection opens."""
    client = TestClient(ProtectedApi(FORGE, app=Starlette(routes=SOCKETS)).app)
    with client.websocket_connect(path, headers=READER) as socket:
        assert socket.receive_text() == "in"


async def test_websocket_refusal_without_the_extension() -> None:
    """A server that can only close a handshake is told to: it answers 403 by itself."""
    api = ProtectedApi(FORGE, app=Starlette(routes=SOCKETS))
    token = bearer(FORGE.token(scope="admin"))
    answer = await ask(api.app, "GET", "/function", token, kind="websocket")
    assert (answer.status, api.reason) == (1008, "insufficient_scope")


def test_open_websocket_is_closed_by_a_later_guard() -> None:
    """A method that is refused after the handshake closes the connection: policy violation."""
    client = TestClient(ProtectedApi(FORGE, app=Starlette(routes=SOCKETS)).app)
    with client.websocket_connect("/method", headers=READER) as socket:
        assert socket.receive_text() == "in"
        socket.send_text("x")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "insufficient_scope")
