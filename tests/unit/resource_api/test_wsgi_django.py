"""Django behind the WSGI middleware: guards in views of each kind, and what Django logs."""

from collections.abc import Iterator
from typing import Any
from wsgiref.util import FileWrapper

import django
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from resource_api import require
from resource_api.errors import ResourceError
from resource_api.wsgi import ENVIRON_KEY
from tests.support.protected_wsgi import ProtectedWsgi, call
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
READER = FORGE.token(scope="read")
WRITER = FORGE.token(scope="write")


def whoami(request: HttpRequest) -> HttpResponse:
    """Read the token."""
    return HttpResponse(request.environ[ENVIRON_KEY].client_id)


@require("write")
def guarded(request: HttpRequest) -> HttpResponse:
    """Answer with the guard above."""
    return HttpResponse("in")


@require("write")
async def asynchronous(request: HttpRequest) -> HttpResponse:
    """Answer in an event loop of Django's, on another thread."""
    return HttpResponse("in")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Demand while the answer is written."""

    def chunks() -> Iterator[bytes]:
        require("write").demand()
        yield b"i"
        require("write").demand()
        yield b"n"

    return StreamingHttpResponse(chunks())


def file(request: HttpRequest) -> FileResponse:
    """Send a file."""
    return FileResponse(open(__file__, "rb"))


class Guarded(View):
    """A class-based view, guarded in two ways."""

    @require("write")
    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer with a guarded method."""
        return HttpResponse("in")

    @method_decorator(require("write"))
    def delete(self, request: HttpRequest) -> HttpResponse:
        """Answer with Django's way to decorate a method."""
        return HttpResponse("in")


class Refusals:
    """What a project may add so that refusals are not logged as faults."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """Pass on."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer a refusal; the middleware replaces the answer."""
        return HttpResponse() if isinstance(error, ResourceError) else None


urlpatterns = [
    path("whoami", whoami),
    path("guarded", guarded),
    path("async", asynchronous),
    path("stream", stream),
    path("file", file),
    path("class", Guarded.as_view()),
]


@pytest.fixture(params=[False, True], ids=["as it is", "with a handler"])
def api(request: pytest.FixtureRequest) -> Iterator[ProtectedWsgi]:
    """The application as `django.core.wsgi.get_wsgi_application` makes it."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
        django.setup()
    middleware = [f"{__name__}.Refusals"] if request.param else []
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        api = ProtectedWsgi(WSGIHandler())
        yield api
    api.close()


def test_a_view_reads_the_token(api: ProtectedWsgi) -> None:
    """From the environ of the request."""
    assert call(api.app, "/whoami", READER).body == b"svc-a"
    assert call(api.app, "/whoami").status == 401


@pytest.mark.parametrize(
    ("where", "method"),
    [
        ("guarded", "GET"),
        ("async", "GET"),
        ("stream", "GET"),
        ("class", "GET"),
        ("class", "DELETE"),
    ],
)
def test_a_guard_refuses_whatever_handles_exceptions(
    api: ProtectedWsgi, where: str, method: str
) -> None:
    """The refusal is the same in all kinds of views and in each configuration."""
    refused = call(api.app, f"/{where}", READER, REQUEST_METHOD=method)
    assert (refused.status, refused.json["error"]) == (403, "insufficient_scope")
    let_in = call(api.app, f"/{where}", WRITER, REQUEST_METHOD=method)
    assert (let_in.status, let_in.body) == (200, b"in")


def test_a_file_is_sent_by_the_server(api: ProtectedWsgi) -> None:
    """Django gives it to the wrapper of the server, which gets it as it is."""
    answer = call(api.app, "/file", READER, **{"wsgi.file_wrapper": FileWrapper})
    assert answer.body.startswith(b'"""Django behind')


def test_with_a_handler_refusals_are_no_faults_in_the_log(
    api: ProtectedWsgi, caplog: pytest.LogCaptureFixture
) -> None:
    """Without one, Django logs them as errors, and mails them to the administrators."""
    call(api.app, "/guarded", READER)
    levels = [record.levelname for record in caplog.records if record.name == "django.request"]
    assert levels == ([] if settings.MIDDLEWARE else ["ERROR"])
