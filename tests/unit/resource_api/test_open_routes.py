"""Open routes: exact paths, prefixes, root paths, and the entries that are refused."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from resource_api import BearerMiddleware
from resource_api.config import metadata_url
from resource_api.open_routes import OpenRoutes
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import ISSUER, TokenForge

OPEN = OpenRoutes(
    [("GET", "/health"), ("POST", "/hook"), ("GET", "/static/*"), ("GET", "/X-ray")],
    document="/.well-known/x",
)


def match(method: str, path: str, raw: bytes | None = None, root: str = "") -> str | None:
    """Look a request up."""
    return OPEN.match({"method": method, "path": path, "raw_path": raw, "root_path": root})


@pytest.mark.parametrize(
    ("method", "path", "raw", "root", "inner"),
    [
        ("GET", "/health", None, "", "/health"),
        ("HEAD", "/health", b"/health", "", "/health"),
        ("HEAD", "/.well-known/x", None, "", "/.well-known/x"),
        ("POST", "/hook", None, "", "/hook"),
        ("GET", "/api/health", b"/api/health", "/api", "/health"),
        ("GET", "/api/health", b"/health", "/api", "/health"),
        ("GET", "/health", b"/health", "/api", "/health"),
        ("GET", "/health", None, "/api/", "/health"),
        ("GET", "/api/health", None, "/api/", "/health"),
        ("GET", "/X/X-ray", None, "/X", "/X-ray"),
        ("GET", "/static/a/b.css", b"/static/a/b.css", "", "/static/a/b.css"),
        ("HEAD", "/static/ä b", b"/static/%C3%A4%20b", "", "/static/ä b"),
        ("GET", "/static/a:@!$&'()*+,;=-._~", b"/static/a:@!$&'()*+,;=-._~", "", None),
        ("GET", "/static/", None, "", "/static/"),
        ("GET", "/static/.hidden", None, "", "/static/.hidden"),
        ("GET", "/static/..a", None, "", "/static/..a"),
        ("GET", "/api/static/a", b"/api/static/a", "/api", "/static/a"),
    ],
)
def test_open(method: str, path: str, raw: bytes | None, root: str, inner: str | None) -> None:
    """What is listed is open, below the root path, and HEAD where GET is."""
    assert match(method, path, raw, root) == (inner or path)


@pytest.mark.attack("V42")
@pytest.mark.parametrize(
    ("method", "path", "raw", "root"),
    [
        ("HEAD", "/hook", None, ""),
        ("GET", "/hook", None, ""),
        ("POST", "/static/a", None, ""),
        ("GET", "/static", None, ""),
        ("GET", "/staticx/a", None, ""),
        ("GET", "/static/../admin", None, ""),
        ("GET", "/static/a/..", None, ""),
        ("GET", "/static/./a", None, ""),
        ("GET", "/static/.", None, ""),
        ("GET", "/static//a", None, ""),
        ("GET", "/static/..\\admin", None, ""),
        ("GET", "/static/%2e%2e/admin", None, ""),
        ("GET", "/static/../admin", b"/static/%2e%2e/admin", ""),
        ("GET", "/static/a/b", b"/static/a%2Fb", ""),
        ("GET", "/static/a", b"/%73tatic/a", ""),
        ("GET", "/apix/health", None, "/api"),
        ("GET", "/api/admin", None, "/api"),
        ("GET", "/api/health", b"/%61pi/health", "/api"),
        ("GET", "/api/health", None, ""),
        ("GET", "/api", None, "/api"),
        ("GET", "/health", None, "/health"),
        ("GET", "/static/\udc80", b"/static/%80", ""),
    ],
)
def test_closed(method: str, path: str, raw: bytes | None, root: str) -> None:
    """What only resembles an entry needs a token."""
    assert match(method, path, raw, root) is None


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("/health", "pair"),
        (("GET",), "pair"),
        (("GET", b"/health"), "pair"),
        (("get", "/health"), "upper case"),
        (("", "/health"), "upper case"),
        (("GET", "health"), "start with a slash"),
        (("GET", "https://api.example/health"), "start with a slash"),
        (("GET", "*"), "start with a slash"),
        (("GET", "/health?full=1"), "without query"),
        (("GET", "/health#top"), "without query"),
        (("GET", "/caf%C3%A9"), "decoded"),
        (("GET", "/static*"), "may end it"),
        (("GET", "/*/health"), "may end it"),
        (("GET", "/a/../health"), "dot segments"),
        (("GET", "/./*"), "dot segments"),
    ],
)
def test_entries_that_cannot_match_are_refused(entry: Any, fault: str) -> None:
    """An entry that could never match, or not as it was meant, is a mistake at start."""
    with pytest.raises(ValueError, match=rf"open_routes: .*{fault}"):
        OpenRoutes([entry], document="/x")


async def echo(request: Request) -> PlainTextResponse:
    """Say which path was asked for."""
    return PlainTextResponse(request.url.path)


@pytest.mark.rfc("9728-5.1-1")
@pytest.mark.parametrize("resource", ["https://api.example", "https://api.example/orders"])
@pytest.mark.parametrize("root", ["", "/mounted"])
def test_challenge_points_to_the_document(resource: str, root: str) -> None:
    """Wherever the application is mounted, the URL of the challenge is where the document is."""
    api = ProtectedApi(TokenForge())
    app = BearerMiddleware(
        Starlette(routes=[Route("/health", echo), Route("/read", echo)]),
        issuer=ISSUER,
        resource=resource,
        jwks=api.jwks,
        open_routes=[("GET", "/health")],
    )
    client = TestClient(Starlette(routes=[Mount(root, app)]) if root else app)
    assert client.get(root + "/health").text == root + "/health"
    assert client.head(root + "/health").status_code == 200
    refused = client.get(root + "/read")
    assert refused.status_code == 401
    url = refused.headers["www-authenticate"].partition('resource_metadata="')[2].rstrip('"')
    assert url.startswith("https://api.example/")
    document = client.get(url.removeprefix("https://api.example"))
    assert document.json()["resource"] == resource
    head = client.head(url.removeprefix("https://api.example"))
    assert (head.status_code, head.content) == (200, b"")


def test_root_path_that_a_caller_chose_cannot_break_the_challenge() -> None:
    """A mount with a parameter takes its root path from the request: it is encoded."""
    url = metadata_url("https://api.example", '/a"b\r\nc\\ü\udc80')
    assert url is not None
    assert url.startswith("https://api.example/a%22b%0D%0Ac%5C%C3%BC")
    assert url.endswith("/.well-known/oauth-protected-resource")
