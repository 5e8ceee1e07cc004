"""`watchword.provider.app`: which paths are served, and what the others are answered."""

import io
import json
import shutil
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx
import pytest
from opentelemetry.trace import SpanKind

from resource_api.demo.values import MemoryValue
from tests.support.telemetry import Telemetry
from watchword.ambient import wall_clock
from watchword.key_store import open_key_store
from watchword.logging import Events
from watchword.metrics import Metrics
from watchword.provider import app
from watchword.provider.app import Provider
from watchword.provider.key_ring import ring_policy
from watchword.provider.pacing import Pace
from watchword.settings import load_settings

PUBLIC_ISSUER = "https://auth.example"
DEMO_PATHS = (
    "/public",
    "/read-resource",
    "/write-resource",
    "/.well-known/oauth-protected-resource",
)


@pytest.fixture(scope="module")
def made_keys(tmp_path_factory):
    """Make a key to sign with once, for making it takes long."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("made") / "data")
    open_key_store(settings).generate(
        alg="RS256", bits=2048, now=wall_clock(), policy=ring_policy(settings)
    )
    return settings.data_dir


@pytest.fixture(autouse=True)
def _folder_with_a_key(made_keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made_keys, "watchword-data")


@asynccontextmanager
async def serving(*, only=None, log=None, **settings):
    """Yield a client of a provider with these settings."""
    loaded = load_settings(**settings)
    provider = Provider(
        loaded,
        Metrics(Events(form="json", stream=log or io.StringIO())),
        value=MemoryValue(),
        started=wall_clock(),
        only=only,
    )
    transport = httpx.ASGITransport(app=provider)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            yield client
    finally:
        for part in (provider._issuer, *provider._lazy, provider._api):
            if part is not None:
                await part.stop()


def assert_not_found(answer):
    """As the product's errors are: JSON, never stored, no challenge."""
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("issuer", "demo_api", "served"),
    [
        ("http://localhost:8080", "auto", True),
        ("http://127.0.0.1:8080", "auto", True),
        ("https://[::1]", "auto", True),
        ("http://localhost:8080", "off", False),
        (PUBLIC_ISSUER, "auto", False),
        ("https://localhost.example", "auto", False),
        (PUBLIC_ISSUER, "on", True),
        (PUBLIC_ISSUER, "off", False),
    ],
)
async def test_the_demo_api_is_served_where_it_belongs(issuer, demo_api, served):
    """All of its paths or none, and the documents say which."""
    async with serving(issuer=issuer, demo_api=demo_api) as client:
        described = (await client.get("/openapi.json")).json()
        index = (await client.get("/")).json()
        answers = {path: await client.get(path) for path in DEMO_PATHS}
        ready = (await client.get("/readyz")).json()
    for path, answer in answers.items():
        assert (path in described["paths"]) == served
        if served:
            assert answer.status_code != 404
        else:
            assert_not_found(answer)
    assert ("/public" in index["links"].values()) == served
    assert ("api" in described["components"]["securitySchemes"]) == served
    assert "jwks" not in ready.get("failing", ()) or served


async def test_the_demo_api_alone_is_served_as_asked():
    """`--only api` asks for it, whatever the setting says; the issuer's links lead there."""
    async with serving(issuer=PUBLIC_ISSUER, demo_api="off", only="api") as client:
        assert (await client.get("/public")).text == "moo"
        assert_not_found(await client.post("/token"))
        links = (await client.get("/")).json()["links"]
    assert links["token"] == f"{PUBLIC_ISSUER}/token"
    assert links["public"] == "/public"


async def test_the_issuer_alone_has_no_demo_api():
    """On loopback neither."""
    async with serving(only="issuer") as client:
        for path in DEMO_PATHS:
            assert_not_found(await client.get(path))


@pytest.mark.parametrize("path", ["/nothing", "/token/", "/public/x", "//", "/admin/api/v1", "/t1"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}])
async def test_a_path_that_nothing_serves_is_not_found(path, headers):
    """With and without a token, whatever the method."""
    async with serving() as client:
        for method in ("GET", "POST", "OPTIONS"):
            assert_not_found(await client.request(method, f"http://here{path}", headers=headers))


async def test_a_metadata_document_has_one_path():
    """A resource that ends in a slash has nothing below its document."""
    orders, admin = "https://api.example/orders/", "https://api.example/admin/"
    async with serving(api_resource=orders, admin_resource=admin) as client:
        for resource in (orders, admin):
            path = resource.replace("https://api.example", "/.well-known/oauth-protected-resource")
            assert (await client.get(path)).json()["resource"] == resource
            assert_not_found(await client.get(f"{path}x"))


@pytest.mark.parametrize(
    ("demo_api", "resource"), [("on", "http://localhost:8080"), ("off", "https://admin.example")]
)
async def test_two_resources_may_lead_to_one_metadata_path(demo_api, resource):
    """The document there is the demo API's if that is served, else the administration's."""
    async with serving(admin_resource="https://admin.example", demo_api=demo_api) as client:
        answer = await client.get("/.well-known/oauth-protected-resource")
        assert answer.json()["resource"] == resource


async def test_the_index_links_to_what_is_served():
    """Issuer, version and links, for anybody; each link leads somewhere."""
    async with serving(issuer="http://localhost:8080/t1") as client:
        answer = await client.get("/")
        index = answer.json()
        assert index["issuer"] == "http://localhost:8080/t1"
        assert index["version"] == version("watchword")
        assert index["links"] == {
            "metadata": "http://localhost:8080/.well-known/oauth-authorization-server/t1",
            "jwks": "http://localhost:8080/t1/jwks",
            "token": "http://localhost:8080/t1/token",
            "openapi": "/openapi.json",
            "inspector": "http://localhost:8080/t1/inspect",
            "public": "/t1/public",
            "read_resource": "/t1/read-resource",
            "write_resource": "/t1/write-resource",
        }
        for link in index["links"].values():
            assert (await client.get(link)).status_code != 404
    assert answer.headers["cache-control"] == "public, max-age=300"


@pytest.mark.rfc("roll-4")
async def test_the_key_set_says_how_often_to_look():
    """`WATCHWORD_STATUS_LIST_TTL` is shared by caches and validators; max-age is for the others."""
    async with serving(status_list_ttl=9) as client:
        jwks = await client.get("/jwks")
        metadata = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert jwks.headers["cache-control"] == "public, max-age=300, s-maxage=4"
    assert metadata["jwks_revalidation_seconds"] == 5


async def test_the_index_is_read_only():
    """HEAD is GET without a body; every other method is refused with those two."""
    async with serving(only="issuer") as client:
        whole = await client.get("/")
        head = await client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        again = await client.get("/", headers={"if-none-match": whole.headers["etag"]})
        assert again.status_code == 304
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            refused = await client.request(method, "/")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("is_on", [True, False])
async def test_requests_are_logged_if_asked_for(is_on):
    """Neither a query nor a path that may hold a token is in the log."""
    log = io.StringIO()
    async with serving(request_log=is_on, log=log, console=True) as client:
        await client.get("/healthz?access_token=SECRET")
        await client.get("/SECRET")
        await client.get("/admin/api/v1/tokens/SECRET")
        await client.get("/register/SECRET")
        await client.get("/console/sign-in/SECRET")
        await client.get("/console/SECRET", headers={"hx-request": "true"})
        await client.put("/console/SECRET")
        await client.post("/register/SECRET")
        await client.get("/admin/api/v1/SECRET", headers={"authorization": "Bearer a b"})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    asked = [line for line in lines if line["event"] == "request.answered"]
    told = [(line["method"], line.get("path"), line["status"]) for line in asked]
    expected = [
        ("GET", "/healthz", 200),
        ("GET", None, 404),
        ("GET", "/admin/api/v1/", 401),
        ("GET", "/register/", 401),
        ("GET", "/console/", 303),
        ("GET", "/console/", 200),
        ("PUT", "/console/", 405),
        ("POST", "/register/", 405),
        ("GET", "/admin/api/v1/", 400),
    ]
    assert told == (expected if is_on else [])
    assert all(line["address"] == "127.0.0.1" and 0 <= line["duration"] < 60 for line in asked)
    assert "SECRET" not in log.getvalue()


async def test_whatever_is_logged_of_a_request_says_where_it_came_from_and_went():
    """With the route in place of a path below it, which a peer may have put anything into."""
    log = io.StringIO()
    async with serving(log=log) as client:
        await client.post("/token", data={"grant_type": "client_credentials"})
        await client.get("/read-resource")
        await client.get("/admin/api/v1/clients/SECRET")
        await client.get("/register/SECRET")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [(line["event"], line["method"], line["path"]) for line in lines if "path" in line]
    assert told == [
        ("token.refused", "POST", "/token"),
        ("request.refused", "GET", "/read-resource"),
        ("request.refused", "GET", "/admin/api/v1/"),
        ("registration.refused", "GET", "/register/"),
    ]
    assert all(line["address"] == "127.0.0.1" for line in lines if "path" in line)
    assert "SECRET" not in log.getvalue()


async def test_nothing_but_http_is_served():
    """A WebSocket is closed, not left hanging."""
    sent = []

    async def send(message):
        sent.append(message)

    provider = Provider(
        load_settings(),
        Metrics(Events(form="json", stream=io.StringIO())),
        value=MemoryValue(),
        started=wall_clock(),
        only="api",
    )
    await provider({"type": "websocket", "path": "/public", "headers": []}, None, send)
    assert json.dumps(sent) == '[{"type": "websocket.close", "code": 1008}]'
    await provider._api.stop()


async def test_pages_of_any_origin_read_the_documents_and_of_named_ones_ask_for_tokens():
    """What Swagger UI on an API's origin needs; by default no page may ask for tokens."""
    documents = (
        "/jwks",
        "/.well-known/oauth-authorization-server",
        "/status-lists",
        "/openapi.json",
    )
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    async with serving(token_cors_origins="https://app.example") as client:
        for path in documents:
            assert (await client.get(path)).headers["access-control-allow-origin"] == "*"
        preflight = await client.options("/token", headers=asked)
        assert preflight.headers["access-control-allow-methods"] == "POST"
        wrong = await client.post("/token", auth=("x", "y"), data={}, headers=asked)
        assert wrong.headers["access-control-allow-origin"] == "https://app.example"
    async with serving() as client:
        assert (await client.options("/token", headers=asked)).status_code == 405
        assert_not_found(await client.get("/authorize"))
    async with serving(authorization_endpoint=True) as client:
        assert (await client.get("/authorize")).status_code == 400


@pytest.mark.parametrize("only", [None, "api"])
async def test_an_issuer_on_plain_http_inside_a_network_is_served_whole(only):
    """Each part that names the issuer takes it, where the setting does."""
    options = {"issuer": "http://watchword:8080", "allow_insecure_http": "true", "demo_api": "on"}
    async with serving(only=only, **options) as client:
        assert (await client.get("/read-resource")).status_code == 401
        if only is None:
            assert (await client.get("/admin/api/v1/clients")).status_code == 401
            metadata = (await client.get("/.well-known/oauth-authorization-server")).json()
            assert metadata["token_endpoint"] == "http://watchword:8080/token"


async def test_a_token_request_has_a_span_of_kind_server(monkeypatch):
    """Below the one that it names; a client's refusal is no error, and nothing it sent is told."""
    telemetry = Telemetry(monkeypatch)
    named = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with serving(issuer="http://localhost:8080/t1") as client:
        for path in ("/token", "/t1/token", "/healthz"):
            form = {"grant_type": "client_credentials", "client_secret": "s3cret"}
            await client.post(f"{path}?q=s3cret", data=form, auth=("id", "s3cret"), headers=named)
    assert [span.name for span in telemetry.spans] == ["POST /token", "POST /t1/token"]
    for span in telemetry.spans:
        assert (span.kind, span.parent.span_id) == (SpanKind.SERVER, 0xB7AD6B7169203331)
        assert (span.attributes["url.scheme"], span.status.is_ok) == ("http", True)
        assert span.attributes["http.response.status_code"] == 400
        assert "s3cret" not in span.to_json()


async def test_without_a_tracer_provider_nothing_is_between_server_and_endpoint(monkeypatch):
    """Not even a look whether there is one: it was taken when the provider was made."""
    monkeypatch.setattr(app, "traced_request", None)
    async with serving() as client:
        assert (await client.post("/token")).status_code == 400


@pytest.mark.attack("T20")
async def test_answers_to_failed_authentications_are_held_back(monkeypatch):
    """Below the limit and beyond it; no other answer is, and nothing while the server stops."""
    held = []

    class Held(Pace):
        async def wait(self):
            held.append(self)
            return 0.0

    monkeypatch.setattr(app, "Pace", Held)
    async with serving(failed_auth_limit=1) as client:

        async def guess():
            form = {"grant_type": "client_credentials"}
            return (await client.post("/token", auth=("invented", "x" * 40), data=form)).status_code

        statuses = [await guess() for _ in range(9)]
        assert (await client.get("/healthz")).status_code == 200
        assert (set(statuses), len(held)) == ({401, 429}, len(statuses))
        client._transport.app.leave()
        assert {await guess() for _ in range(2)} >= {429}
        assert len(held) == len(statuses)
