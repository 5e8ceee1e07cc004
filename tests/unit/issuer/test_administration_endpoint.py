"""Unit tests of `issuer.administration.http.endpoint`: what it serves, without the token check."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from issuer.administration.http import BASE
from issuer.administration.http.answers import ANSWERS
from issuer.administration.http.openapi import Problem
from issuer.administration.http.routes import ROUTES
from issuer.registry.schema import read
from tests.support.administration_api import PREFIX, Api, opened_api, refused
from tests.support.registry import RESOURCE


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Give the API over a new registry."""
    async with opened_api(tmp_path) as opened:
        yield opened


# ---- what is made, shown, changed and deleted ----


async def test_a_client_is_made_where_its_location_says(api: Api) -> None:
    """RFC 9110 §15.3.2, §8.8.3: `Location`, and the tag of what is there."""
    created = await api.create("a/b%?")
    assert created.headers["location"] == BASE + "/clients/a%2Fb%25%3F"
    assert created.headers["cache-control"] == "no-store"
    assert "client_secret" in created.json()
    found = await api.client.get(created.headers["location"])
    assert found.json()["client_id"] == "a/b%?"
    assert found.headers["etag"] == created.headers["etag"]


async def test_under_the_issuers_path_links_stay_under_it(api: Api) -> None:
    """Links lead below the base that the request used."""
    await api.create("a")
    for client_id in ("b", "c"):
        created = await api.client.post(PREFIX + BASE + "/clients", json={"client_id": client_id})
        assert created.headers["location"] == f"{PREFIX}{BASE}/clients/{client_id}"
    page = await api.client.get(PREFIX + BASE + "/clients", params={"limit": 1})
    assert page.links["next"]["url"].startswith(PREFIX + BASE + "/clients?")


async def test_a_patch_answers_with_the_new_document_and_its_tag(api: Api) -> None:
    """Both media types; RFC 5789 §2.1, RFC 7396 §4."""
    created = await api.create()
    body = json.dumps({"client_name": "Kasse"})
    for media_type in ("application/merge-patch+json", "application/json; charset=utf-8"):
        changed = await api.ask(
            "PATCH", "/clients/till", content=body, headers={"content-type": media_type}
        )
        assert (changed.status_code, changed.json()["client_name"]) == (200, "Kasse")
        assert changed.headers["etag"] != created.headers["etag"]


async def test_what_is_deleted_is_gone(api: Api) -> None:
    """204 without a body, then 404."""
    await api.create()
    deleted = await api.ask("DELETE", "/clients/till")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert "content-length" not in deleted.headers
    refused(await api.ask("GET", "/clients/till"), 404, "unknown-client")
    refused(await api.ask("DELETE", "/clients/till"), 404, "unknown-client")


async def test_secrets_are_added_without_a_body_and_revoked(api: Api) -> None:
    """The body has nothing that must be there."""
    await api.create()
    added = await api.ask("POST", "/clients/till/secrets")
    assert added.status_code == 201
    assert "etag" not in added.headers
    listed = (await api.ask("GET", "/clients/till/secrets")).json()["secrets"]
    assert added.json()["secret_id"] in {each["secret_id"] for each in listed}
    assert (await api.client.delete(added.headers["location"])).status_code == 204
    refused(await api.client.delete(added.headers["location"]), 404, "unknown-secret")


async def test_a_resource_is_addressed_by_its_encoded_identifier(api: Api) -> None:
    """An identifier is a URI, slashes and all (RFC 8707 §2)."""
    identifier = "https://bills.example/v1?x=%2F"
    created = await api.ask("POST", "/resources", json={"resource": identifier, "scopes": ["pay"]})
    assert created.status_code == 201
    path = created.headers["location"]
    assert (await api.client.get(path)).json()["resource"] == identifier
    changed = await api.client.patch(path, json={"scopes": ["pay", "read"]})
    assert changed.json()["scopes"] == ["pay", "read"]
    assert (await api.client.delete(path)).status_code == 204
    refused(await api.client.get(path), 404, "unknown-resource")


async def test_a_scope_is_withdrawn_when_the_query_says_so(api: Api) -> None:
    """Else it is in use."""
    await api.create(all_scopes=True)
    path = "/resources/" + "https%3A%2F%2Forders.example"
    patch = {"scopes": ["read"]}
    refused(await api.ask("PATCH", path, json=patch), 409, "scope-in-use")
    assert (await api.ask("PATCH", path + "?withdraw", json=patch)).status_code == 200
    assert (await api.ask("GET", "/clients/till")).json()["scope"] == "read"


async def test_registration_tokens_are_made_listed_and_revoked(api: Api) -> None:
    """Shown once, then by what they allow."""
    document = {"grants": [{"resource": RESOURCE, "scope": "read"}]}
    made = await api.ask("POST", "/registration-tokens", json=document)
    assert made.status_code == 201
    listed = await api.ask("GET", "/registration-tokens")
    assert made.json()["token"] not in listed.text
    assert (await api.client.delete(made.headers["location"])).status_code == 204
    refused(await api.client.delete(made.headers["location"]), 404, "unknown-registration-token")


async def test_a_declaration_is_tried_and_applied(api: Api) -> None:
    """By query parameters."""
    document = {"clients": [{"client_id": "till"}]}
    tried = await api.ask("POST", "/apply?dry_run=true", json=document)
    assert (tried.status_code, tried.json()["applied"]) == (200, False)
    refused(await api.ask("GET", "/clients/till"), 404, "unknown-client")
    assert (await api.ask("POST", "/apply", json=document)).json()["applied"]
    grants = [{"resource": "urn:nowhere", "scope": "read"}]
    document = {"clients": [{"client_id": "till", "grants": grants}]}
    problem = refused(await api.ask("POST", "/apply", json=document), 409, "declaration-refused")
    assert problem["errors"][0].keys() == {"detail"}


# ---- pages ----


async def test_next_leads_through_all_pages(api: Api) -> None:
    """RFC 8288 §3: as a link, with the same narrowing."""
    for name in ("a", "b/b", "c"):
        await api.create(name)
    found, url = [], BASE + "/clients?limit=2"
    while url:
        page = await api.client.get(url)
        found += [each["client_id"] for each in page.json()["clients"]]
        url = page.links.get("next", {}).get("url", "")
    assert found == ["a", "b/b", "c"]
    assert page.json()["next"] is None
    trail = await api.ask("GET", "/audit?target=b/b&limit=1")
    assert len(trail.json()["entries"]) == 1
    following = (await api.client.get(trail.links["next"]["url"])).json()
    assert {each["target"] for each in following["entries"]} == {"b/b"}


@pytest.mark.parametrize("path", ["/clients", "/resources", "/registration-tokens", "/audit"])
async def test_what_is_listed_comes_in_pages(api: Api, path: str) -> None:
    """With the same parameters everywhere."""
    for limit in ("0", "1001", "many"):
        refused(await api.ask("GET", f"{path}?limit={limit}"), 400, "malformed-request")
    assert (await api.ask("GET", f"{path}?limit=1000")).json()["next"] is None


async def test_resources_come_by_identifier(api: Api) -> None:
    """Page by page."""
    await api.ask("POST", "/resources", json={"resource": "urn:z", "scopes": ["z"]})
    first = await api.ask("GET", "/resources?limit=1")
    assert first.json()["next"] == RESOURCE
    last = await api.client.get(first.links["next"]["url"])
    assert [each["resource"] for each in last.json()["resources"]] == ["urn:z"]


# ---- preconditions ----


async def test_a_change_is_for_the_document_that_was_read(api: Api) -> None:
    """RFC 9110 §13.1.1, §15.5.13: 412, and nothing is changed."""
    tag = (await api.create()).headers["etag"]
    for method in ("PATCH", "DELETE"):
        body = {"json": {"client_name": "x"}} if method == "PATCH" else {}
        for sent in ('"0"', f"W/{tag}", '"x"', f'"0", W/{tag}'):
            answer = await api.ask(method, "/clients/till", headers={"if-match": sent}, **body)
            refused(answer, 412, "revision-conflict")
    assert (await api.ask("GET", "/clients/till")).headers["etag"] == tag
    several = {"if-match": f'"0", {tag}'}
    changed = await api.ask("PATCH", "/clients/till", json={"client_name": "x"}, headers=several)
    assert changed.status_code == 200
    for sent in ("*", changed.headers["etag"]):
        answer = await api.ask("PATCH", "/clients/till", json={}, headers={"if-match": sent})
        assert answer.status_code == 200


async def test_what_is_not_there_is_not_found_whatever_the_condition(api: Api) -> None:
    """RFC 9110 §13.2.1: a precondition does not hide a 404."""
    answer = await api.ask("DELETE", "/clients/till", headers={"if-match": '"1"'})
    refused(answer, 404, "unknown-client")


async def test_a_condition_on_what_has_no_tag_does_not_hold(api: Api) -> None:
    """RFC 9110 §13.1.1: ignored, it would do what was not to be done."""
    secret = (await api.create()).json()["secret_id"]
    path = f"/clients/till/secrets/{secret}"
    for method, where in (("DELETE", path), ("POST", "/clients"), ("POST", "/apply")):
        body = {"json": {}} if method == "POST" else {}
        answer = await api.ask(method, where, headers={"if-match": '"1"'}, **body)
        refused(answer, 412, "revision-conflict")
    answer = await api.ask("DELETE", path, headers={"if-match": "*"})
    assert answer.status_code == 204


async def test_a_condition_that_cannot_be_read_is_refused(api: Api) -> None:
    """It was meant to protect something."""
    await api.create()
    answer = await api.ask("DELETE", "/clients/till", headers={"if-match": "17"})
    refused(answer, 400, "malformed-request")


# ---- retries ----


async def test_a_retry_is_told_that_it_is_one(api: Api) -> None:
    """The same answer less the secret; another request under the key is refused."""
    ask = {"json": {"client_id": "till"}, "headers": {"idempotency-key": "k"}}
    first, again = [await api.ask("POST", "/clients", **ask) for _ in range(2)]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert first.json().keys() - again.json().keys() == {"client_secret"}
    other = ask | {"json": {"client_id": "other"}}
    refused(await api.ask("POST", "/clients", **other), 422, "idempotency-key-reused")
    twice = [("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await api.ask("POST", "/clients/till/secrets", headers=twice)
    refused(answer, 400, "malformed-request")


# ---- the guard and the description ----


async def test_every_request_to_a_route_passes_its_gate(api: Api) -> None:
    """With the scopes of that very route, before anything is read."""
    for route in ROUTES:
        api.guarded.clear()
        await api.ask(route.method, route.path.replace("{", "").replace("}", ""))
        assert api.guarded == [route.scopes]


async def test_answers_are_as_they_are_described(api: Api) -> None:
    """OpenAPI is written from these models, so the real answers must fit them."""
    created = await api.create()
    read(ANSWERS["CreatedClient"], created.json())
    added = await api.ask("POST", "/clients/till/secrets")
    read(ANSWERS["AddedSecret"], added.json())
    token = {"grants": [{"resource": RESOURCE, "scope": "read"}]}
    made = await api.ask("POST", "/registration-tokens", json=token)
    read(ANSWERS["CreatedRegistrationToken"], made.json())
    resource = {"resource": "urn:z", "scopes": ["z"]}
    read(ANSWERS["RegisteredResource"], (await api.ask("POST", "/resources", json=resource)).json())
    names = {"{client_id}": "till", "{resource}": "urn:z"}
    for route in ROUTES:
        if route.method == "GET" and route.answers not in (None, "Health"):
            path = route.path
            for name, value in names.items():
                path = path.replace(name, value)
            document = (await api.ask("GET", path)).json()
            for each in document[route.member] if route.is_list else [document]:
                read(ANSWERS[route.answers], each)
    problem = await api.ask("POST", "/clients", json={})
    read(Problem, problem.json())
