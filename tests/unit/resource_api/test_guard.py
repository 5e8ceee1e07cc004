"""The guard under Starlette and on its own: functions, methods, classes, applications."""

import inspect
from contextvars import copy_context
from functools import partial
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.testclient import TestClient

from resource_api import require
from resource_api.errors import InsufficientScope
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = {"authorization": f"Bearer {FORGE.token(scope='read').decode()}"}
STRANGER = {"authorization": f"Bearer {FORGE.token(scope='admin').decode()}"}


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
    api = ProtectedApi(FORGE, app=APP)
    good = await ask(api.app, "GET", path, bearer(FORGE.token()))
    assert (good.status, good.body) == (200, body)
    bad = await ask(api.app, "GET", path, bearer(FORGE.token(scope="admin")))
    assert (bad.status, api.reason) == (403, "insufficient_scope")
    assert [name for name, _ in api.events].count("request.refused") == 1


async def test_guard_without_middleware_is_a_mistake() -> None:
    """A guarded route that no middleware protects fails loudly instead of opening."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("reached")

    with pytest.raises(RuntimeError, match="BearerMiddleware"):
        await ask(require("read").app(app))
    with pytest.raises(RuntimeError):
        await ask(ProtectedApi(app=require("read").app(app)).app, "GET", "/public")
    with pytest.raises(RuntimeError):
        await ask(APP, "GET", "/a")
    opened = Starlette(routes=[Route("/public", asynchronous)])
    with pytest.raises(RuntimeError):
        await ask(ProtectedApi(app=opened).app, "GET", "/public")


async def test_lifespan_passes_a_guarded_application() -> None:
    """Start and stop of an application need no token."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*message: Any) -> Any: ...

    await require("read").app(app)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


def test_endpoint_keeps_its_name_and_signature() -> None:
    """Frameworks name routes after endpoints, and read what these take."""

    @require("read")
    def endpoint(order: "int", /, *, limit: int = 3) -> str:
        """Say something."""
        return f"{order}{limit}"

    assert (asynchronous.__name__, synchronous.__name__) == ("asynchronous", "synchronous")
    assert (endpoint.__doc__, endpoint.__module__) == ("Say something.", __name__)
    assert str(inspect.signature(endpoint)) == "(order: 'int', /, *, limit: int = 3) -> str"
    assert inspect.iscoroutinefunction(asynchronous)
    assert not inspect.iscoroutinefunction(synchronous)


class Orders(HTTPEndpoint):
    """A class whose methods have scopes of their own."""

    @require("read")
    async def get(self, request: Request) -> PlainTextResponse:
        """Read."""
        return PlainTextResponse("got")

    @require("write")
    def post(self, request: Request) -> PlainTextResponse:
        """Write."""
        return PlainTextResponse("posted")


@require("read")
class Whole(HTTPEndpoint):
    """A class that is guarded as a whole."""

    async def get(self, request: Request) -> PlainTextResponse:
        """Read."""
        return PlainTextResponse("got")


class Part(Whole):
    """A class that takes over a guarded one."""


class Apart(Whole):
    """A class that takes over a guarded one, and does not call its initialiser."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self._allowed_methods = ["GET"]


class Service:
    """Endpoints as methods of an object."""

    def __init__(self, name: str) -> None:
        self.name = name

    @require("read")
    async def read(self, request: Request) -> PlainTextResponse:
        """Read."""
        return PlainTextResponse(self.name)

    async def bound(self, request: Request) -> PlainTextResponse:
        """Serve as a bound method that is guarded where the route is made."""
        return PlainTextResponse(self.name)

    @require("read")
    @staticmethod
    def static(request: Request) -> PlainTextResponse:
        """Serve without an object."""
        return PlainTextResponse("static")

    @require("read")
    @classmethod
    async def of_class(cls, request: Request) -> PlainTextResponse:
        """Serve from the class."""
        return PlainTextResponse(cls.__name__)


async def prefixed(prefix: str, request: Request) -> PlainTextResponse:
    """Serve with an argument that is given beforehand."""
    return PlainTextResponse(prefix)


SHAPES = Router(
    routes=[
        Route("/method", Orders),
        Route("/class", Whole),
        Route("/part", Part),
        Route("/apart", Apart),
        Route("/object", Service("object").read),
        Route("/bound", require("read")(Service("bound").bound)),
        Route("/static", Service.static),
        Route("/of-class", Service.of_class),
        Route("/partial", require("read")(partial(prefixed, "partial"))),
    ]
)


@pytest.mark.attack("V29")
@pytest.mark.parametrize("route", SHAPES.routes, ids=lambda route: route.path)
@pytest.mark.parametrize("base", ["", "/mounted"])
def test_shapes_of_endpoints(route: Route, base: str) -> None:
    """Methods, classes and partial functions are guarded, also in a mounted application."""
    app = Starlette(routes=[Mount("/mounted", SHAPES), *SHAPES.routes])
    client = TestClient(ProtectedApi(FORGE, app=app).app)
    refused = client.get(base + route.path, headers=STRANGER)
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="read"' in refused.headers["www-authenticate"]
    assert client.get(base + route.path, headers=READER).status_code == 200


@pytest.mark.attack("V29")
def test_methods_have_scopes_of_their_own() -> None:
    """The scope of one method opens no other."""
    client = TestClient(ProtectedApi(FORGE, app=Starlette(routes=[Route("/", Orders)])).app)
    assert client.get("/", headers=READER).text == "got"
    assert client.post("/", headers=READER).status_code == 403


@pytest.mark.attack("V29")
def test_function_that_a_route_has_already() -> None:
    """A route that was made from the function before it was guarded is guarded too."""

    async def late(request: Request) -> PlainTextResponse:
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/late", late)])
    require("read")(late)
    client = TestClient(ProtectedApi(FORGE, app=app).app)
    assert client.get("/late", headers=STRANGER).status_code == 403
    assert client.get("/late", headers=READER).text == "late"


def test_one_function_on_two_routes() -> None:
    """Each guarded route asks for its own scopes; the function itself asks for all of them."""

    async def shared(request: Request) -> PlainTextResponse:
        return PlainTextResponse("shared")

    app = Starlette(
        routes=[
            Route("/read", require("read")(shared)),
            Route("/write", require("write")(shared)),
            Route("/both", shared),
        ]
    )
    client = TestClient(ProtectedApi(FORGE, app=app).app)
    statuses = [client.get(p, headers=READER).status_code for p in ("/read", "/write", "/both")]
    assert statuses == [200, 403, 403]
    both = {"authorization": f"Bearer {FORGE.token(scope='read write').decode()}"}
    statuses = [client.get(p, headers=both).status_code for p in ("/read", "/write", "/both")]
    assert statuses == [200, 200, 200]


def test_function_that_an_endpoint_wraps_is_closed_without_the_middleware() -> None:
    """A route may hold the function below: a middleware that was forgotten must not open it."""

    def work(text: str) -> str:
        return text.upper()

    endpoint = require("read")(_wrapping(work))
    for function in (endpoint, work):
        with pytest.raises(RuntimeError, match="BearerMiddleware"):
            function("a")


def _wrapping(function: Any) -> Any:
    def wrapper(*args: Any) -> Any:
        return function(*args)

    wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    return wrapper


@pytest.mark.parametrize("endpoint", [APP, object(), None, print, type("Plain", (), {})])
def test_what_cannot_be_guarded(endpoint: object) -> None:
    """What is neither function nor method nor an endpoint's class is a mistake at import."""
    with pytest.raises(TypeError, match=r"\.app\(application\)"):
        require("read")(endpoint)


@pytest.mark.attack("V29")
async def test_response_that_has_begun_is_cut_off() -> None:
    """A refusal in the middle of a response ends it: nothing more is sent, and it is reported."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asynchronous(Request(scope))
        finally:
            await send({"type": "http.response.body", "body": b"secret"})

    api = ProtectedApi(FORGE, app=app)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        raise AssertionError("nothing to receive")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [bearer(FORGE.token(scope="admin"))],
    }
    await api.app(scope, receive, send)
    assert (sent, api.reason) == (["http.response.start"], "insufficient_scope")


async def test_errors_beside_a_refusal_are_not_hidden() -> None:
    """The caller gets the refusal; a bug that came with it still reaches the server's log."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asynchronous(Request(scope))
        except InsufficientScope:
            raise ValueError("a bug") from None

    async def grouped(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asynchronous, Request(scope))

    token = bearer(FORGE.token(scope="admin"))
    with pytest.raises(ValueError, match="a bug"):
        await ask(ProtectedApi(FORGE, app=app).app, "GET", "/", token)
    assert (await ask(ProtectedApi(FORGE, app=grouped).app, "GET", "/", token)).status == 403


@pytest.mark.attack("V29")
async def test_what_outlives_a_request_has_none_of_its_rights() -> None:
    """A task that a request started cannot use the token when the request is over."""
    context: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        context.append(copy_context())
        assert synchronous(Request(scope)).body == b"sync"
        await PlainTextResponse("in")(scope, receive, send)

    api = ProtectedApi(FORGE, app=app)
    answer = await ask(api.app, "GET", "/", bearer(FORGE.token()))
    assert answer.status == 200
    with pytest.raises(RuntimeError, match="BearerMiddleware"):
        context[0].run(synchronous, None)


@pytest.mark.attack("V29")
@pytest.mark.parametrize("scope", ["read write", "write"])
async def test_next_request_of_a_connection_has_none_of_its_rights(scope: str) -> None:
    """Servers start it in this one's context, while this one's background tasks still run.

    What serves it here has no middleware in front: a guard has to refuse whatever comes.
    """
    contexts: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if "read" in scope["access_token"].scopes:
            assert synchronous(Request(scope)).body == b"sync"
        else:
            with pytest.raises(InsufficientScope):
                synchronous(Request(scope))
        await PlainTextResponse("in")(scope, receive, send)
        assert len(contexts) == 1, "a server would serve the next request now"

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            contexts.append(copy_context())
            with pytest.raises(RuntimeError, match="BearerMiddleware"):
                contexts[0].run(writer, None)

    @require("write")
    def writer(request: Any) -> None:
        raise AssertionError("ran with the token of another request")

    async def receive() -> Any:
        raise AssertionError("nothing to receive")

    line = bearer(FORGE.token(scope=scope))
    request = {"type": "http", "method": "GET", "path": "/", "headers": [line]}
    await ProtectedApi(FORGE, app=app).app(request, receive, send)
    assert len(contexts) == 1
