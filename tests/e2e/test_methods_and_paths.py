"""A served provider, asked by other methods and by other spellings of its paths."""

import http.client
import json

import pytest

from tests.support.provider import PATIENCE, make_place, running
from watchword.registry import ADMIN_SCOPES

GUARDED = ("/admin/api/v1/clients", "/read-resource")
SECRET = "s3cret-of-a-header"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """Serve one; give the place, and a token for each guarded path."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    grant = f"{place.url}/admin/api/v1 {' '.join(ADMIN_SCOPES)}"
    root = place.json("clients", "create", "root", "--grant", grant)
    caller = place.json("clients", "create", "caller", "--all-scopes")
    with running(place):
        tokens = [place.ask(each).json()["access_token"] for each in (root, caller)]
        yield place, dict(zip(GUARDED, tokens, strict=True))


def send(place, method, target, **fields):
    """Send a target as it is written; return status, header fields and body."""
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=PATIENCE)
    try:
        connection.request(method, target, headers=fields)
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read(),
        )
    finally:
        connection.close()


@pytest.mark.attack("V42")
@pytest.mark.parametrize(
    "spelling",
    [
        "{path}/",
        "/{path}",
        "//127.0.0.1{path}",
        "/.{path}",
        "/x/..{path}",
        "/%2e%2e{path}",
        "/public/..{path}",
        "/public/%2e%2e{path}",
        "/public/..%2f{path}",
        "/public;a=b{path}",
        "/public%00{path}",
        "/public%0a{path}",
        "/public%3f{path}",
        "{path}%00",
        "{path}%20",
        "{path};a=b",
        "{path}.json",
        "{path}%2f",
        "{path}?/public",
        "{upper}",
        "{encoded}",
        "{twice}",
        "{overlong}",
        "\\{path}",
    ],
)
@pytest.mark.parametrize("path", GUARDED)
def test_no_spelling_of_a_guarded_path_is_open(provider, path, spelling):
    """RFC 3986 section 6.2.2: without a token it is refused or found nowhere, never an error."""
    place, tokens = provider
    target = spelling.format(
        path=path,
        upper=path.upper(),
        encoded=path[:1] + "".join(f"%{ord(each):02x}" for each in path[1:]),
        twice=path.replace("a", "%2561"),
        overlong=path.replace("/", "/%c0%af", 1),
    )
    for method in ("GET", "HEAD", "POST"):
        status, _, body = send(place, method, target)
        assert status in (400, 401, 404, 405), (method, target, status, body)
    # With the token of its own path, a spelling is that path or none.
    status, _, _ = send(place, "GET", target, Authorization=f"Bearer {tokens[path]}")
    assert status in (200, 400, 401, 404), target
    assert send(place, "GET", path, Authorization=f"Bearer {tokens[path]}")[0] == 200


def described(place):
    """Give the paths of the description that have no names in them, with their methods."""
    document = json.loads(send(place, "GET", "/openapi.json")[2])
    return {path: item.keys() for path, item in document["paths"].items() if "{" not in path}


def refused(path, *statuses):
    """Give the statuses that another method may have.

    Metadata of an API are answered in front of it, to GET and HEAD alone: the API has no such path.
    """
    return (*statuses, 404) if "/oauth-protected-resource" in path else statuses


def test_trace_shows_nobody_what_was_sent(provider):
    """RFC 9110 section 9.3.8: with credentials in it, an echo would be a leak; so there is none."""
    place, tokens = provider
    for path in described(place):
        token = tokens.get(path, next(iter(tokens.values())))
        for method in ("TRACE", "TRACK", "DEBUG", "CONNECTED"):
            status, fields, body = send(
                place, method, path, Authorization=f"Bearer {token}", **{"X-Secret": SECRET}
            )
            assert status in refused(path, 400, 401, 405), (method, path)
            assert SECRET not in f"{fields}{body!r}"
            assert token not in f"{fields}{body!r}"


def test_options_and_unknown_methods_do_nothing(provider):
    """RFC 9110 section 15.5.6: 405 says which ones there are, and it is true."""
    place, tokens = provider
    for path, methods in described(place).items():
        for method in ("OPTIONS", "PROPFIND", "PUT", "PATCH", "DELETE"):
            if method.lower() in methods:
                continue
            token = tokens.get(path, next(iter(tokens.values())))
            status, fields, _ = send(place, method, path, Authorization=f"Bearer {token}")
            assert status in refused(path, 204, 400, 401, 405), (method, path)
            if status == 405:
                allowed = {each.strip().lower() for each in fields["allow"].split(",")}
                assert methods - allowed == set(), path
                assert allowed - methods <= {"head", "options"}, path


def test_head_is_get_without_a_body(provider):
    """RFC 9110 section 9.3.2: the same status and fields, and nothing behind them."""
    place, tokens = provider
    moving = {"date", "x-request-id", "etag", "content-length", "connection"}
    for path, methods in described(place).items():
        if "get" not in methods:
            continue
        for fields in (
            {},
            {"Authorization": f"Bearer {tokens.get(path, '')}"} if path in tokens else {},
        ):
            status, got, _ = send(place, "GET", path, **fields)
            again, headed, body = send(place, "HEAD", path, **fields)
            assert (again, body) == (status, b""), path
            assert {name: got[name] for name in got.keys() - moving} == {
                name: headed[name] for name in headed.keys() - moving
            }, path
