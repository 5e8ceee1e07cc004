"""Flask behind the WSGI middleware: guards, error handlers, streams, async views, test client."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, request, stream_with_context
from flask.views import MethodView

from resource_api import require
from resource_api.errors import ResourceError
from resource_api.wsgi import ENVIRON_KEY
from tests.support.protected_wsgi import ProtectedWsgi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = {"Authorization": "Bearer " + FORGE.token(scope="read").decode()}
WRITER = {"Authorization": "Bearer " + FORGE.token(scope="write").decode()}


class Orders(MethodView):
    """A class-based view with a guard for each method."""

    decorators = (require("read"),)

    def get(self) -> str:
        """List."""
        return "orders"

    @require("write")
    def post(self) -> str:
        """Add."""
        return "added"


def make_app() -> Flask:
    """Make an application with a view of each kind."""
    app = Flask(__name__)
    part = Blueprint("part", __name__)

    @app.get("/whoami")
    def whoami() -> dict[str, Any]:
        token = request.environ[ENVIRON_KEY]
        return {"client": token.client_id, "scopes": sorted(token.scopes)}

    @app.get("/below")
    @require("write")
    def below() -> str:
        return "in"

    @require("write")
    @app.get("/above")
    def above() -> str:
        return "in"

    @part.before_request
    @require("write")
    def before() -> None: ...

    @part.get("/part")
    def in_part() -> str:
        return "in"

    @app.get("/demanded/<scope>")
    def demanded(scope: str) -> str:
        require(scope).demand()
        return "in"

    @app.get("/caught")
    def caught() -> str:
        try:
            require("write").demand()
        except ResourceError:
            abort(418)
        return "in"

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        @stream_with_context
        def chunks() -> Iterator[bytes]:
            require("write").demand()
            yield b"i"
            require("write").demand()
            yield b"n"

        return chunks()

    @app.get("/async")
    @require("write")
    async def asynchronous() -> str:
        return "in"

    app.register_blueprint(part)
    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    return app


@pytest.fixture(params=["testing", "production", "with a handler"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The application's own test client, in each way in which it treats exceptions."""
    app = make_app()
    app.testing = request.param == "testing"
    if request.param == "with a handler":
        app.register_error_handler(ResourceError, lambda error: ("", 200))
    api = ProtectedWsgi(app.wsgi_app)
    app.wsgi_app = api.middleware  # type: ignore[method-assign]
    yield app.test_client()
    api.close()


def test_a_view_reads_the_token(client: Any) -> None:
    """From the environ of the request."""
    assert client.get("/whoami", headers=READER).json == {"client": "svc-a", "scopes": ["read"]}
    assert client.get("/whoami").status_code == 401


@pytest.mark.parametrize(
    "path", ["/below", "/above", "/part", "/demanded/write", "/caught", "/stream", "/async"]
)
def test_a_guard_refuses_whatever_handles_exceptions(client: Any, path: str) -> None:
    """The refusal is the same in all ways to guard and in each configuration."""
    refused = client.get(path, headers=READER)
    assert (refused.status_code, refused.json["error"]) == (403, "insufficient_scope")
    assert 'scope="write"' in refused.headers["WWW-Authenticate"]
    let_in = client.get(path, headers=WRITER)
    assert (let_in.status_code, let_in.text) == (200, "in")


def test_a_class_based_view_is_guarded_for_each_method(client: Any) -> None:
    """By `decorators` for all and by a decorator for one."""
    both = {"Authorization": "Bearer " + FORGE.token(scope="read write").decode()}
    assert client.get("/orders", headers=READER).text == "orders"
    assert client.get("/orders", headers=WRITER).status_code == 403
    assert client.post("/orders", headers=READER).status_code == 403
    assert client.post("/orders", headers=both).text == "added"


def test_with_a_handler_refusals_are_no_faults_in_the_log(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without one, Flask logs each exception that it does not know, unless it is testing."""
    client.get("/below", headers=READER)
    app = client.application
    is_known = app.testing or ResourceError in app.error_handler_spec[None][None]
    assert [record.levelname for record in caplog.records] == ([] if is_known else ["ERROR"])
