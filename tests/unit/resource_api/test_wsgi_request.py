"""One guarded WSGI request: refusals in the middle, streamed answers, and what comes after."""

import contextvars
import gc
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from resource_api import require
from resource_api.errors import InsufficientScope, InvalidToken, Reason
from resource_api.guarded_request import CURRENT
from resource_api.wsgi import BearerWsgiMiddleware, WsgiRequest
from tests.support.protected_wsgi import ProtectedWsgi, call, environ_of, greet
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

FORGE = TokenForge()
READER = FORGE.token(scope="read")
TEXT = [("Content-Type", "text/plain")]
may_read = require("read").demand
may_write = require("write").demand


def answered(app: Any, token: bytes | None = READER, **env: Any) -> tuple[Any, ProtectedWsgi]:
    """Send one request to an application behind the middleware."""
    api = ProtectedWsgi(app)
    try:
        return call(api.app, token=token, **env), api
    finally:
        api.close()


def in_the_view(environ: Any, start_response: Any) -> list[bytes]:
    """Is refused at once."""
    may_write()
    return greet(environ, start_response)


def after_the_head(environ: Any, start_response: Any) -> list[bytes]:
    """Is refused with an answer at hand."""
    start_response("200 OK", TEXT)
    may_write()
    return [b"in"]


def caught(environ: Any, start_response: Any) -> list[bytes]:
    """Answers all the same."""
    with suppress(InsufficientScope):
        may_write()
    start_response("200 OK", TEXT)
    return [b"in"]


def answered_with_an_error(environ: Any, start_response: Any) -> list[bytes]:
    """Answers with an error, as frameworks do."""
    start_response("200 OK", TEXT)
    try:
        may_write()
    except InsufficientScope as error:
        info = type(error), error, error.__traceback__
        start_response("500 Internal Server Error", TEXT, info)
    return [b"oops"]


def in_the_body(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Is refused before the first byte."""
    start_response("200 OK", TEXT)
    yield b""
    may_write()
    yield b"in"


def lazily(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Is refused before it has a head."""
    may_write()
    start_response("200 OK", TEXT)
    yield b"in"


def on_a_thread(environ: Any, start_response: Any) -> list[bytes]:
    """Is refused on another thread, which nobody asks."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(demand_quietly))
    thread.start()
    thread.join()
    return greet(environ, start_response)


def demand_quietly() -> None:
    """Demand what the token lacks, and go on."""
    with suppress(InsufficientScope):
        may_write()


class Grouped:
    """Raises a refusal in a group when it is iterated."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        start_response("200 OK", TEXT)

    def __iter__(self) -> Iterator[bytes]:
        try:
            may_write()
        except InsufficientScope as error:
            raise ExceptionGroup("tasks", [error]) from None
        return iter([b"in"])


@pytest.mark.parametrize(
    "app",
    [
        in_the_view,
        after_the_head,
        caught,
        answered_with_an_error,
        in_the_body,
        lazily,
        on_a_thread,
        Grouped,
    ],
)
def test_a_refusal_is_answered_whatever_the_application_does(app: Any) -> None:
    """Until the first byte of the body, as there the head goes out."""
    answer, api = answered(app)
    assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")
    assert 'scope="write"' in answer.headers["www-authenticate"]
    assert answer.errors == ""
    refusals = [fields for name, fields in api.events if name == "request.refused"]
    assert refusals == [{"reason": "insufficient_scope", "status": 403, "client_id": "svc-a"}]
    assert answered(app, FORGE.token(scope="write"))[0].status == 200


def test_what_else_the_application_raises_over_a_refusal_is_in_the_servers_log() -> None:
    """The caller gets the refusal."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        try:
            may_write()
        except InsufficientScope as error:
            raise LookupError("no template") from error
        return []

    answer, _ = answered(app)
    assert answer.status == 403
    assert "LookupError: no template" in answer.errors


def test_a_fault_of_the_application_is_the_servers_to_answer() -> None:
    """Nothing of it is taken for a refusal, whether at first or in the body."""

    def at_first(environ: Any, start_response: Any) -> list[bytes]:
        raise LookupError

    def later(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"a"
        raise LookupError

    def without_head(environ: Any, start_response: Any) -> list[bytes]:
        return [b"in"]

    def twice(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return [b"in"]

    for app, error, words in [
        (at_first, LookupError, "^$"),
        (later, LookupError, "^$"),
        (without_head, RuntimeError, "did not call start_response"),
        (twice, AssertionError, "start_response was called twice"),
    ]:
        with pytest.raises(error, match=words):
            answered(app)


def test_a_refusal_in_the_middle_of_an_answer_reaches_the_server() -> None:
    """It cannot be answered any more, so the server has to end the connection."""
    api = ProtectedWsgi(late)
    with pytest.raises(InsufficientScope):
        call(api.middleware, token=READER)
    api.close()
    assert api.reason == "insufficient_scope"


def late(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Is refused after the first byte."""
    start_response("200 OK", TEXT)
    yield b"a"
    may_write()
    yield b"b"


def test_the_write_callable_is_part_of_the_answer() -> None:
    """What it writes goes out at once, and nothing after a refusal."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"a")
        demand_quietly()
        write(b"b")
        return iter(())

    assert answered(app, FORGE.token(scope="write"))[0].body == b"ab"
    with pytest.raises(InsufficientScope):
        answered(app)


def test_once_the_answer_has_begun_start_response_is_the_servers() -> None:
    """PEP 3333: it raises what `exc_info` holds."""
    seen: list[Any] = []

    def server(status: str, headers: Any, exc_info: Any = None) -> Any:
        seen.append(exc_info)
        return seen.append

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"a"
        error = LookupError()
        start_response("500 X", TEXT, (type(error), error, None))

    api = ProtectedWsgi(app)
    assert [*api.middleware(environ_of(token=READER), server)] == [b"a"]
    api.close()
    assert seen[0] is None
    assert isinstance(seen[1][1], LookupError)


def test_each_step_of_a_streamed_answer_has_the_rights_and_what_comes_after_has_none() -> None:
    """Between the steps, and once the answer is given, no request is under way on this thread."""
    seen: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            for chunk in (b"a", b"b"):
                may_read()
                yield chunk

        def close(self) -> None:
            with pytest.raises(RuntimeError):
                may_read()
            seen.append("closed")

    contexts: list[contextvars.Context] = []

    def app(environ: Any, start_response: Any) -> Body:
        contexts.append(contextvars.copy_context())
        start_response("200 OK", TEXT)
        return Body()

    api = ProtectedWsgi(app)
    body = api.app(environ_of(token=READER), _ignore)
    steps = iter(body)
    for expected in (b"a", b"b"):
        assert next(steps) == expected
        assert CURRENT.get() is None
    assert next(steps, None) is None
    contexts[0].run(_has_no_rights)
    body.close()
    api.close()
    assert seen == ["closed"]


def _ignore(*head: Any) -> Any:
    return lambda data: None


def _has_no_rights() -> None:
    assert CURRENT.get() is not None
    with pytest.raises(RuntimeError):
        may_read()


def test_a_body_without_code_goes_to_the_server_as_it_is(tmp_path: Path) -> None:
    """So that it can tell the length of a list, and send a file by itself."""
    (tmp_path / "a").write_bytes(b"text")
    bodies = {"list": [b"a"], "tuple": (b"a",), "file": FileWrapper((tmp_path / "a").open("rb"))}

    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(CURRENT.get())
        start_response("200 OK", TEXT)
        return bodies[environ["PATH_INFO"][1:]]

    api = ProtectedWsgi(app)
    for name, body in bodies.items():
        environ = environ_of(f"/{name}", READER, **{"wsgi.file_wrapper": FileWrapper})
        assert api.middleware(environ, _ignore) is body
        assert seen.pop().over
    bodies["file"].close()
    api.close()


def test_an_open_route_has_no_rights() -> None:
    """A guard there is a mistake of the application, not a refusal."""
    api = ProtectedWsgi(in_the_view)
    with pytest.raises(RuntimeError, match="no open route"):
        call(api.app, "/public", token=READER)
    api.close()


def test_a_refusal_on_an_open_route_is_answered_like_any_other() -> None:
    """Such as by a part of the application that validates what is in the body."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        request = CURRENT.get()
        assert request is not None
        request.refuse(InvalidToken(Reason.EXPIRED))
        return greet(environ, start_response)

    api = ProtectedWsgi(app)
    answer = call(api.app, "/public")
    api.close()
    assert (answer.status, answer.json["error"], api.reason) == (401, "invalid_token", "expired")


def test_what_an_outer_middleware_let_in_passes_an_open_route_as_it_came() -> None:
    """The inner middleware adds nothing: the token that was shown to the outer one counts."""
    inner = BearerWsgiMiddleware(
        in_the_view, issuer=ISSUER, resource=RESOURCE, open_routes=[("GET", "/below")]
    )
    api = ProtectedWsgi(inner)
    assert call(api.app, "/below", FORGE.token(scope="write")).body == b"svc-a"
    assert call(api.app, "/below", READER).status == 403
    api.close()


@pytest.mark.parametrize("app", [greet, in_the_body])
def test_after_an_inner_middleware_the_request_of_the_outer_one_goes_on(app: Any) -> None:
    """An application may do something after the one that it called, whatever became of that."""
    inner = ProtectedWsgi(app)

    def around(environ: Any, start_response: Any) -> list[bytes]:
        before = CURRENT.get()
        assert b"".join(inner.middleware(environ_of(token=READER), _ignore))
        assert CURRENT.get() is before
        may_read()
        return greet(environ, start_response)

    assert answered(around)[0].body == b"svc-a"
    inner.close()


def in_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Streams its answer."""
    start_response("200 OK", TEXT)
    yield b"a"
    yield b"b"


@pytest.mark.parametrize("app", [greet, in_parts])
def test_a_request_that_is_over_is_freed_at_once(app: Any) -> None:
    """Without the garbage collector, which would look at all of the program to find it."""
    api = ProtectedWsgi(app)

    def alive() -> int:
        return sum(type(each) is WsgiRequest for each in gc.get_objects())

    call(api.middleware, token=READER)
    gc.collect()
    gc.disable()
    try:
        before = alive()
        assert call(api.middleware, token=READER).status == 200
        assert alive() == before
    finally:
        gc.enable()
        api.close()
