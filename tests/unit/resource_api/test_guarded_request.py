"""One guarded request: nested middleware, refusals in the middle, answers that are under way."""

import gc
from typing import Any

import pytest

from resource_api import BearerMiddleware, ResourcePolicy, require
from resource_api.errors import InsufficientScope, InvalidToken, Reason
from resource_api.guarded_request import CURRENT, REQUEST_KEY, GuardedRequest
from resource_api.middleware import AsgiRequest
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

FORGE = TokenForge()
READER = bearer(FORGE.token(scope="read"))
START = {"type": "http.response.start", "status": 200, "headers": []}
METADATA = "/.well-known/oauth-protected-resource"


async def test_what_an_outer_middleware_let_in_passes_an_open_route_as_it_came() -> None:
    """The inner middleware adds nothing: the token that was shown to the outer one counts."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((CURRENT.get(), scope[REQUEST_KEY], await receive()))
        require("read")(lambda: None)()
        await send(START)
        await send({"type": "http.response.body", "body": b"in"})

    inner = BearerMiddleware(app, issuer=ISSUER, resource=RESOURCE, open_routes=[("GET", "/below")])
    answer = await ask(ProtectedApi(FORGE, app=inner).app, "GET", "/below", READER, body=b"sent")
    assert (answer.status, answer.body) == (200, b"in")
    ((current, request, message),) = seen
    assert current is request
    assert (request.token.client_id, message["body"]) == ("svc-a", b"sent")


async def test_an_open_route_without_another_middleware_has_a_request_of_its_own() -> None:
    """Nothing was shown there; a refusal on it is answered like any other."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = CURRENT.get()
        assert request is not None
        seen.append((request.token, request.over, REQUEST_KEY in scope))
        request.refuse(InvalidToken(Reason.EXPIRED))

    api = ProtectedApi(FORGE, app=app)
    answer = await ask(api.app, "GET", "/public")
    assert seen == [(None, False, False)]
    assert (answer.status, api.reason) == (401, "expired")
    assert CURRENT.get() is None


async def test_after_an_inner_middleware_the_request_of_the_outer_one_goes_on() -> None:
    """An application may do something after the one that it called."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(CURRENT.get())

    inner = ProtectedApi(FORGE, app=app)

    async def around(scope: Any, receive: Any, send: Any) -> None:
        before = CURRENT.get()
        await inner.app(scope, receive, send)
        seen.extend((before, CURRENT.get()))

    await ProtectedApi(FORGE, app=lambda *call: _answered(around, *call)).app(*_request())
    innermost, before, after = seen
    assert isinstance(innermost, GuardedRequest)
    assert before is after
    assert innermost is not before
    assert (innermost.over, CURRENT.get()) == (True, None)


async def _answered(app: Any, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)
    await send(START)
    await send({"type": "http.response.body"})


def _request(path: str = "/", **members: Any) -> tuple[Any, Any, Any]:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "method": "GET", "path": path, "headers": [READER]}
    return scope | members, receive, send


async def test_a_refusal_in_the_middle_of_an_answer_reaches_the_server() -> None:
    """It cannot be answered any more, so the server has to end the connection."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        require("admin")(lambda: None)()

    api = ProtectedApi(FORGE, app=app)
    with pytest.raises(InsufficientScope):
        await api.app(*_request())
    assert api.reason == "insufficient_scope"


@pytest.mark.parametrize(
    ("messages", "over"),
    [
        ([], False),
        ([START], False),
        ([START, {"type": "http.response.body", "body": b"a", "more_body": True}], False),
        ([START, {"type": "http.response.body", "body": b"a", "more_body": False}], True),
        ([START, {"type": "http.response.body"}], True),
        ([START, {"type": "http.response.pathsend", "path": "/x"}], True),
    ],
)
async def test_a_request_is_over_once_the_answer_is_complete(
    messages: list[Any], over: bool
) -> None:
    """A body of which more is to come leaves it open (ASGI: `more_body`, absent for the last)."""
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        request = CURRENT.get()
        assert request is not None
        seen.append(request.over)

    await ProtectedApi(FORGE, app=app).app(*_request())
    assert seen == [over]


async def test_a_request_is_over_once_its_refusal_was_sent() -> None:
    """What the application does then has no rights, whatever it wanted to answer."""
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = CURRENT.get()
        assert request is not None
        request.refuse(InvalidToken(Reason.EXPIRED))
        seen.append(request.over)
        await send(START)
        seen.append(request.over)

    assert (await ask(ProtectedApi(FORGE, app=app).app, "GET", "/", READER)).status == 401
    assert seen == [False, True]


async def test_an_answer_in_parts_keeps_its_rights_until_the_last() -> None:
    """A stream may be guarded piece by piece."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for more in (True, True, False):
            require("read")(lambda: None)()
            await send({"type": "http.response.body", "body": b"x", "more_body": more})

    assert (await ask(ProtectedApi(FORGE, app=app).app, "GET", "/", READER)).body == b"xxx"


async def test_a_challenge_points_below_the_root_path_and_names_the_scopes() -> None:
    """RFC 9728 §5.1, RFC 6750 §3: what a caller needs to know is in it."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, scopes_supported=("read", "write"))
    api = ProtectedApi(FORGE, policy=policy)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope, receive, _ = _request(root_path="/below", headers=[])
    await api.app(scope, receive, send)
    challenge = dict(sent[0]["headers"])[b"www-authenticate"].decode()
    assert f"/below{METADATA}" in challenge
    assert 'scope="read write"' in challenge


async def test_a_websocket_of_a_server_that_names_no_extensions_is_closed() -> None:
    """ASGI leaves the member out where there are none."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope, receive, _ = _request(type="websocket", headers=[])
    await ProtectedApi(FORGE).app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_metadata_are_sent_without_their_body_to_who_asks_for_the_head() -> None:
    """RFC 9110 §9.3.2: the same headers, and nothing after them."""
    api = ProtectedApi(FORGE)
    whole, head = [await ask(api.app, method, METADATA) for method in ("GET", "HEAD")]
    assert (head.status, head.lines, head.body) == (200, whole.lines, b"")
    assert whole.json["resource"] == RESOURCE


async def test_a_request_that_is_over_is_freed_at_once() -> None:
    """Without the garbage collector, which would look at all of the program to find it."""
    api = ProtectedApi()

    def alive() -> int:
        return sum(type(each) is AsgiRequest for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        assert (await api.ask(api.forge.token())).status == 200
        api.reached.clear()
        assert alive() == before
    finally:
        gc.enable()
