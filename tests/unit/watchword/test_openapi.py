"""`watchword.provider.openapi`: all that is served is described, and the other way round."""

import io
import json
import re
from functools import cache

import httpx
import pytest

from issuer.administration.http import BASE
from issuer.administration.http.route import parse_if_match
from issuer.administration.http.routes import ROUTES
from resource_api.demo.app import demo_routes
from resource_api.demo.values import MemoryValue
from tests.support.keys import key_file, write_key_file
from watchword.logging import Events
from watchword.metrics import Metrics
from watchword.provider import openapi
from watchword.provider.app import Provider
from watchword.provider.openapi import build_openapi
from watchword.settings import load_settings

METHODS = ("get", "put", "post", "delete", "patch")
# Takes half a second, and depends on no setting: once for all tests.
_schemas = cache(openapi.describe_schemas)


@pytest.fixture(autouse=True)
def _one_description_of_shapes(monkeypatch):
    monkeypatch.setattr(openapi, "describe_schemas", _schemas)


@pytest.fixture(params=["http://localhost:8080", "http://localhost:8080/tenant"])
def settings(request, tmp_path, monkeypatch):
    """Give settings with a key to sign with, for an issuer without and with a path."""
    monkeypatch.chdir(tmp_path)
    loaded = load_settings(issuer=request.param, authorization_endpoint=True)
    write_key_file(loaded.data_dir / "keys", key_file())
    return loaded


@pytest.fixture
async def provider(settings):
    """Give the provider, as it is before its first request."""
    events = Events(form="json", stream=io.StringIO())
    made = Provider(settings, Metrics(events), value=MemoryValue(), started=0)
    yield made
    for endpoint in made._lazy:
        await endpoint.stop()
    await made._issuer.stop()


@pytest.fixture
def described(settings):
    """Give the description of all that can be served."""
    return json.loads(build_openapi(settings, issuer=True, api=True, inspector=True))


def operations(document):
    """Yield path, method and operation of a document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def references(part):
    """Yield every `$ref` in a part of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


async def test_every_path_that_is_served_is_described(provider, settings, described):
    """At the place where the issuer's own documents say that it is."""
    prefix = provider._issuer.config.path
    for path in provider._routes:
        canonical = path
        if prefix and not path.startswith(prefix) and prefix + path in provider._routes:
            canonical = prefix + path  # served at the root as well, for proxies that cut the path
        if path.endswith("/") and path != "/":
            assert any(each.startswith(canonical) for each in described["paths"]), path
        else:
            assert canonical in described["paths"]
    for route in demo_routes(MemoryValue()):
        methods = {method.lower() for method in route.methods} - {"head"}
        assert described["paths"][prefix + route.path].keys() == methods


async def test_every_path_that_is_described_is_served(provider, described):
    """No 404 and no 405; and 405 for the methods that are not there."""
    transport = httpx.ASGITransport(app=provider)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        for path, item in described["paths"].items():
            if BASE in path and "well-known" not in path:
                continue  # behind a gate that answers first: held to its table below
            url = re.sub(r"\{[^}]*\}", "x", path)
            for method in METHODS:
                status = (await client.request(method, url)).status_code
                if method in item:
                    assert status not in (404, 405), (method, path)
                else:
                    assert status in (401, 405), (method, path)


def test_the_administration_is_described_as_its_table_has_it(settings, described):
    """Each route with its scopes, and no other."""
    prefix = settings.issuer.partition(":8080")[2]
    found = {
        (method.upper(), path): operation
        for path, method, operation in operations(described)
        if operation.get("tags") == ["administration"]
    }
    assert found.keys() == {(route.method, prefix + BASE + route.path) for route in ROUTES}
    for route in ROUTES:
        operation = found[route.method, prefix + BASE + route.path]
        assert operation["security"] == [{"administration": list(route.scopes)}]
        assert str(route.status) in operation["responses"]


def test_the_document_holds_together(described):
    """References lead somewhere, names are unique, what is in a path is a parameter."""
    assert described["openapi"].startswith("3.1.")
    for reference in references(described):
        target = described
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
    names = [each["operationId"] for *_, each in operations(described) if "operationId" in each]
    assert len(set(names)) == len(names)
    schemes = described["components"]["securitySchemes"]
    for path, _, operation in operations(described):
        assert operation["responses"]
        given = [*operation.get("parameters", ()), *described["paths"][path].get("parameters", ())]
        named = {each["name"] for each in given if each["in"] == "path"}
        assert named == set(re.findall(r"\{([^}]*)\}", path))
        for requirement in operation["security"]:
            for scheme, scopes in requirement.items():
                known = schemes[scheme].get("flows", {}).get("clientCredentials", {}).get("scopes")
                assert set(scopes) <= set(known or scopes)


def test_links_lead_from_what_is_made_to_what_it_can_be_used_for(described):
    """OpenAPI 3.1 §4.8.20: each parameter in a path of the other operation has a value."""
    by_name = {each.get("operationId"): (path, each) for path, _, each in operations(described)}
    found = set()
    for _, _, operation in operations(described):
        for status, response in operation["responses"].items():
            for link in response.get("links", {}).values():
                path, target = by_name[link["operationId"]]
                assert link["parameters"].keys() == set(re.findall(r"\{([^}]*)\}", path))
                found.add((operation["operationId"], status, target["operationId"]))
    assert ("create_client", "201", "show_client") in found
    assert ("create_client", "201", "add_secret") in found
    assert ("add_secret", "201", "revoke_secret") in found
    assert ("create_resource", "201", "delete_resource") in found
    assert ("register", "201", "read_registration") in found
    given = by_name["add_secret"][1]["responses"]["201"]["links"]["revoke_secret"]["parameters"]
    assert given == {
        "client_id": "$request.path.client_id",
        "secret_id": "$response.body#/secret_id",
    }


def test_what_a_value_may_be_is_described(settings, described):
    """What is beyond it is refused as the document says, such as 422 for a time that is none."""
    prefix = settings.issuer.partition(":8080")[2] + BASE
    audit = described["paths"][prefix + "/audit"]["get"]
    assert {"400", "422"} <= audit["responses"].keys()
    forms = {each["name"]: each["schema"].get("format") for each in audit["parameters"]}
    assert forms["since"] == forms["until"] == "date-time"
    delete = described["paths"][prefix + "/clients/{client_id}"]["delete"]
    patterns = {each["name"]: each["schema"].get("pattern") for each in delete["parameters"]}
    for sent in ("*", '"17"', 'W/"a", "17"'):
        assert re.fullmatch(patterns["If-Match"], sent)
        parse_if_match(sent)
    assert not re.fullmatch(patterns["If-Match"], "17")
    assert re.fullmatch(patterns["client_id"], "till/1")
    schemas = described["components"]["schemas"]
    secret = schemas["NewSecretDocument"]["properties"]["client_secret"]["anyOf"][0]["pattern"]
    assert re.fullmatch(secret, "x" * 8)
    assert not re.fullmatch(secret, "x" * 7)
    assert schemas["Resource"]["properties"]["scopes"]["uniqueItems"] is True
    assert schemas["ClientPatch"]["additionalProperties"] is False


def test_a_patch_may_leave_out_and_unset_every_member(described):
    """RFC 7396: null removes; what must be there on creation need not be in a patch."""
    patch = described["components"]["schemas"]["ClientPatch"]
    assert "required" not in patch
    assert all({"type": "null"} in each["anyOf"] for each in patch["properties"].values())


def test_a_secret_that_is_written_is_marked_nowhere_as_an_example(described):
    """The document is public."""
    assert "wws_" not in json.dumps(described)


async def test_it_is_served_as_json_to_anybody(provider):
    """With an entity tag, to be cached for a while."""
    transport = httpx.ASGITransport(app=provider)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        answer = await client.get("/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert "max-age" in answer.headers["cache-control"]
        again = await client.get("/openapi.json", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize(("issuer", "api"), [(True, False), (False, True)])
def test_half_a_provider_describes_its_half(settings, issuer, api):
    """What is served elsewhere is not described here."""
    document = json.loads(build_openapi(settings, issuer=issuer, api=api, inspector=True))
    paths = document["paths"]
    assert any(path.endswith("/token") for path in paths) == issuer
    assert any(path.endswith("/public") for path in paths) == api
    assert {"/", "/healthz", "/readyz", "/openapi.json"} <= paths.keys()
    for reference in references(document):
        assert reference.split("/")[3] in document["components"][reference.split("/")[2]]
