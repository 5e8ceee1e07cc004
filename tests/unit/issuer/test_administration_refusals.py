"""Unit tests of `issuer.administration.http.endpoint`: what it refuses, and how."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from issuer.administration.http import BASE
from issuer.registry.errors import CallerNotActive, StoreUnavailable
from tests.support.administration_api import Api, opened_api, refused
from tests.support.registry import RESOURCE


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Give the API over a new registry."""
    async with opened_api(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{} {}",
        b'{"client_id":"a","client_id":"b"}',
        b"\xff",
        b'{"token_ttl":NaN}',
        b'{"metadata":' + b"[" * 100 + b"]" * 100 + b"}",
    ],
)
async def test_a_body_that_means_nothing_or_two_things_is_refused(api: Api, body: bytes) -> None:
    """RFC 7493 §2.3: two parsers must not read it differently."""
    headers = {"content-type": "application/json"}
    answer = await api.ask("POST", "/clients", content=body, headers=headers)
    refused(answer, 400, "malformed-json")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_another_media_type_is_told_which_one_is_read(
    api: Api, media_type: str | None
) -> None:
    """RFC 9110 §15.5.16; for a patch RFC 5789 §3.1 has a field of its own."""
    await api.create()
    headers = {} if media_type is None else {"content-type": media_type}
    answer = await api.ask("POST", "/clients", content=b"{}", headers=headers)
    refused(answer, 415, "unsupported-media-type")
    assert answer.headers["accept"] == "application/json"
    answer = await api.ask("PATCH", "/clients/till", content=b"{}", headers=headers)
    refused(answer, 415, "unsupported-media-type")
    assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"


async def test_a_body_is_bounded(api: Api) -> None:
    """1 MiB; only a declaration may be larger."""
    headers = {"content-type": "application/json"}
    body = b'{"client_id":"till"' + b" " * 1_048_576 + b"}"
    answer = await api.ask("POST", "/clients", content=body, headers=headers)
    refused(answer, 413, "body-too-large")


async def test_all_mistakes_of_a_document_are_listed(api: Api) -> None:
    """RFC 9457 §3: each with its pointer, none with what was sent."""
    document = {"client_id": "<script>", "token_ttl": "<b>", "grants": [{"scope": "<i>"}]}
    problem = refused(await api.ask("POST", "/clients", json=document), 422, "invalid-document")
    assert {each["pointer"] for each in problem["errors"]} == {
        "#/token_ttl",
        "#/grants/0/resource",
    }
    assert "<" not in str(problem)


async def test_what_a_document_names_and_is_not_there_is_its_mistake(api: Api) -> None:
    """404 is for what the path names."""
    document = {"client_id": "till", "resources": ["urn:nowhere"]}
    refused(await api.ask("POST", "/clients", json=document), 422, "unknown-resource")
    document = {"client_id": "till", "scope": "fly"}
    refused(await api.ask("POST", "/clients", json=document), 422, "unknown-scope")


async def test_what_is_there_already_is_a_conflict(api: Api) -> None:
    """409 for clients and for resources, and for what is in use."""
    await api.create()
    refused(await api.ask("POST", "/clients", json={"client_id": "till"}), 409, "duplicate-client")
    document = {"resource": RESOURCE, "scopes": ["read"]}
    refused(await api.ask("POST", "/resources", json=document), 409, "duplicate-resource")
    path = "/resources/https%3A%2F%2Forders.example"
    refused(await api.ask("DELETE", path), 409, "resource-in-use")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/nothing",
        "/clients/",
        "/clients/a/b",
        "/clients/%zz",
        "/clients/a%0Ab",
        "//clients",
    ],
)
async def test_there_is_nothing_elsewhere(api: Api, path: str) -> None:
    """404, and no route is asked whether one may."""
    refused(await api.ask("GET", path), 404, "not-found")
    assert api.guarded == []


async def test_a_base_that_is_not_written_as_it_is_leads_nowhere(api: Api) -> None:
    """What was sent is routed, not what a server made of it."""
    refused(await api.client.get("/%61dmin/api/v1/clients"), 404, "not-found")


async def test_a_method_that_is_not_there_is_told_which_are(api: Api) -> None:
    """RFC 9110 §15.5.6."""
    answer = await api.ask("PUT", "/clients/till", json={})
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, PATCH, DELETE, HEAD"


async def test_a_query_that_is_not_known_is_refused_before_anything_is_done(api: Api) -> None:
    """`?dry_rn` must not be done in earnest."""
    document = {"clients": [{"client_id": "till"}]}
    refused(await api.ask("POST", "/apply?dry_rn", json=document), 400, "malformed-request")
    refused(await api.ask("GET", "/clients/till"), 404, "unknown-client")


async def test_head_is_get_without_the_body(api: Api) -> None:
    """RFC 9110 §9.3.2: the same fields."""
    await api.create()
    got, head = [await api.ask(method, "/clients/till") for method in ("GET", "HEAD")]
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == got.headers[name]


async def test_a_registry_that_is_away_is_worth_another_try(api: Api) -> None:
    """RFC 9110 §10.2.3: `Retry-After`; where the database is stays with us."""
    api.fault = StoreUnavailable("the registry database postgresql://db.internal is away")
    answer = await api.ask("GET", "/clients")
    refused(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "db.internal" not in answer.text
    document = {"action": "revoke", "client_id": "till"}
    problem = refused(
        await api.ask("POST", "/token-revocations", json=document), 503, "unavailable"
    )
    assert problem["detail"] == "not done yet; try again soon"
    event = ("request.refused", {"reason": "unavailable", "status": 503})
    assert api.events == [event, event]


async def test_a_caller_that_is_not_active_gets_a_challenge(api: Api) -> None:
    """RFC 6750 §3.1: its token is invalid, and RFC 9110 §15.5.2 asks for a challenge."""
    api.fault = CallerNotActive("the client is disabled")
    answer = await api.ask("GET", "/clients")
    refused(answer, 401, "caller-not-active")
    challenge = 'Bearer realm="administration", error="invalid_token"'
    assert answer.headers["www-authenticate"] == challenge
    assert api.events == [("request.refused", {"reason": "caller_not_active", "status": 401})]


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ("", ("watchword:resources:write",)),
        ("?withdraw=false", ("watchword:resources:write",)),
        ("?withdraw", ("watchword:resources:write", "watchword:clients:write")),
        ("?withdraw=true", ("watchword:resources:write", "watchword:clients:write")),
    ],
)
async def test_what_changes_clients_needs_the_scope_that_changes_clients(
    api: Api, query: str, needed: tuple[str, ...]
) -> None:
    """By the token before the operation, and by the client's grants in the transaction."""
    path = "/resources/https%3A%2F%2Forders.example" + query
    answer = await api.ask("PATCH", path, json={"scopes": ["read"]})
    assert answer.status_code == 200
    assert (api.guarded, api.needed) == ([needed], [needed])


@pytest.mark.parametrize("fault", [RuntimeError, ConnectionResetError])
async def test_a_fault_of_ours_is_logged_and_not_told(api: Api, fault: type[Exception]) -> None:
    """No trace on the wire; a connection of ours that is lost is no caller that left."""
    api.fault = fault("secret details")
    answer = await api.ask("GET", "/clients")
    refused(answer, 500, "internal")
    assert "secret details" not in answer.text
    ((event, fields),) = api.events
    assert (event, fields["reason"], fields["exception"]) == (
        "request.refused",
        "internal",
        api.fault,
    )


async def test_a_client_that_leaves_gets_no_answer_and_no_event(api: Api) -> None:
    """The caller is gone."""
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    path = BASE + "/clients"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    await api.endpoint(scope, receive, send)  # type: ignore[arg-type]
    assert (sent, api.events) == ([], [])
