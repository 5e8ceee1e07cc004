"""The WSGI middleware: who is let through, what refusals look like."""

from collections.abc import Iterator

import pytest

from resource_api.errors import KeysUnavailable
from resource_api.possession import Presented
from resource_api.sync import SyncProtection
from resource_api.wsgi import BearerWsgiMiddleware, presented_by
from tests.support.protected_wsgi import ProtectedWsgi, call, environ_of, greet
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

FORGE = TokenForge()
READER = FORGE.token(scope="read")
METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture
def api() -> Iterator[ProtectedWsgi]:
    """A protected application that greets."""
    api = ProtectedWsgi()
    yield api
    api.close()


def test_a_good_token_is_let_through_and_another_is_not(api: ProtectedWsgi) -> None:
    """The application finds what the token says in the environ."""
    assert call(api.app, token=READER).body == b"svc-a"
    refused = call(api.app, token=READER[:-4] + b"AAAA")
    assert (refused.status, refused.json["error"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"].startswith('Bearer realm="api", error=')
    assert (refused.headers["cache-control"], api.reason) == ("no-store", "bad_signature")


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        (None, 401, "no_credentials"),
        ("Basic YTpi", 401, "foreign_scheme"),
        (f"Bearer {READER.decode()},Bearer {READER.decode()}", 400, "malformed_authorization"),
        (f"Basic YTpi, Bearer {READER.decode()}", 400, "several_credentials"),
        (f"Bearer {READER.decode()}\xff", 400, "malformed_authorization"),
        ("Bearer \u20ac", 400, "malformed_authorization"),
    ],
)
def test_one_header_with_one_token_is_taken(
    api: ProtectedWsgi, value: str | None, status: int, reason: str
) -> None:
    """Servers join several lines by commas: what the first or the last would say does not count."""
    assert call(api.app, token=READER).status == 200
    env = {} if value is None else {"HTTP_AUTHORIZATION": value}
    assert call(api.app, **env).status == status
    assert api.reason == reason


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_is_case_insensitive(api: ProtectedWsgi, scheme: str) -> None:
    """RFC 9110 §11.1."""
    assert call(api.app, HTTP_AUTHORIZATION=f"{scheme} {READER.decode()}").status == 200


def test_a_refused_head_request_has_the_head_alone(api: ProtectedWsgi) -> None:
    """RFC 9110 §9.3.2: the length is that of the body that is left out."""
    answer = call(api.app, REQUEST_METHOD="HEAD")
    assert (answer.status, answer.body) == (401, b"")
    assert int(answer.headers["content-length"]) == len(call(api.app).body)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/public", 200),
        ("/public/", 401),
        ("/static/a/b.css", 200),
        ("/static/%2e%2e/read", 401),
        ("/static/../read", 401),
        ("/static//read", 401),
        ("/static/caf\xc3\xa9", 200),
        ("/static/\xc0\xae\xc0\xae/read", 401),
        ("", 401),
    ],
)
def test_open_routes_are_paths_as_the_application_sees_them(
    api: ProtectedWsgi, path: str, status: int
) -> None:
    """A path that is no UTF-8 is never open: what the application makes of it is not known."""
    # PEP 3333: SCRIPT_NAME and PATH_INFO are not both empty.
    assert call(api.app, path, SCRIPT_NAME="" if path else "/api").status == status


@pytest.mark.parametrize(
    ("omitted", "env", "path", "root"),
    [
        ("SCRIPT_NAME", {"PATH_INFO": "/read"}, "/read", ""),
        ("PATH_INFO", {"SCRIPT_NAME": "/api"}, "/api", "/api"),
        (None, {"SCRIPT_NAME": "/a\xff", "PATH_INFO": "/b"}, "/a%EF%BF%BD/b", "/a%EF%BF%BD"),
    ],
)
def test_a_path_may_lack_a_part_or_be_no_utf8(
    api: ProtectedWsgi, omitted: str | None, env: dict[str, str], path: str, root: str
) -> None:
    """PEP 3333: servers may omit what is empty, and the bytes of a path are the caller's."""
    environ = {**env, **({omitted: None} if omitted else {})}
    assert presented_by(environ_of(**environ, REQUEST_METHOD="PUT")) == Presented("PUT", path)
    assert call(api.middleware, token=READER, **environ).status == 200
    refused = call(api.middleware, **environ)
    assert refused.status == 401
    challenge = refused.headers["www-authenticate"]
    assert f'resource_metadata="{RESOURCE}{root}{METADATA}"' in challenge


def test_an_open_route_is_not_open_below_its_own_name(api: ProtectedWsgi) -> None:
    """PATH_INFO lacks SCRIPT_NAME already; to take it off again would open `/api/public`."""
    assert call(api.app, "/public", SCRIPT_NAME="/api").status == 200
    assert call(api.app, "/api/public", SCRIPT_NAME="/api").status == 401


@pytest.mark.rfc("9728-3-1", "9728-5.1-1")
def test_the_metadata_is_public_and_the_challenge_leads_there(api: ProtectedWsgi) -> None:
    """Below SCRIPT_NAME where the application is mounted."""
    document = call(api.app, METADATA).json
    assert (document["resource"], document["authorization_servers"]) == (RESOURCE, [ISSUER])
    challenge = call(api.app, SCRIPT_NAME="/caf\xc3\xa9").headers["www-authenticate"]
    assert f'resource_metadata="{RESOURCE}/caf%C3%A9{METADATA}"' in challenge
    assert call(api.app, METADATA, REQUEST_METHOD="HEAD").body == b""


def test_readiness_needs_no_token_and_gets_the_keys() -> None:
    """A probe alone has the keys fetched; without them the answer is 503."""
    api = ProtectedWsgi(readiness_path="/readyz")
    answers = [call(api.app, "/readyz")]
    assert api.middleware.protection.warm()
    answers.append(call(api.app, "/readyz"))
    api.close()
    assert [answer.status for answer in answers] == [503, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["1", None]
    assert len(api.issuer.asked) == 1


def test_a_probe_that_gets_no_answer_is_503(
    api: ProtectedWsgi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as where the server lets no thread run."""

    def fail(_: object) -> None:
        raise KeysUnavailable(1)

    api.middleware._readiness_path = "/public"
    monkeypatch.setattr(SyncProtection, "readiness", fail)
    assert call(api.app, "/public").status == 503


def test_without_keys_requests_are_503(api: ProtectedWsgi) -> None:
    """Nothing can be judged, which is not the caller's fault."""
    api.issuer.fails = OSError()
    answer = call(api.app, token=READER)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "www-authenticate" not in answer.headers


def test_one_protection_or_the_settings_of_one() -> None:
    """Both would leave open which of them holds."""
    protection = SyncProtection(issuer=ISSUER, resource=RESOURCE)
    assert BearerWsgiMiddleware(greet, protection=protection).protection is protection
    with pytest.raises(TypeError, match=r"give protection, or .*: resource"):
        BearerWsgiMiddleware(greet, protection=protection, resource=RESOURCE)
    with pytest.raises(TypeError, match=r"give protection, or .*: resource"):
        SyncProtection(protection.protection, resource=RESOURCE)
