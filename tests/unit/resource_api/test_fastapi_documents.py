"""What `Bearer` publishes of a FastAPI application, and how it starts and stops with one."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient

from keys.dpop import PROOF_ALGORITHMS
from resource_api import AccessToken, Fetched, JwksClient, ResourcePolicy
from resource_api.fastapi import Bearer
from resource_api.requirements import any_of, claim, details
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import ISSUER, RESOURCE, TokenForge

FORGE = TokenForge()
DOCUMENT = "/.well-known/oauth-protected-resource"


def build_app(bearer: Bearer) -> FastAPI:
    """Write routes with every kind of need, some of them before the application is described."""
    app, router = FastAPI(), APIRouter()
    app.get("/open")(lambda: 1)
    app.get("/read", dependencies=[bearer.protected("read")])(lambda: 1)
    bearer.publish(app, readiness_path="/readyz")
    app.get("/any", dependencies=[Depends(bearer)])(lambda: 1)

    @app.get("/either")
    async def either(
        token: Annotated[AccessToken, bearer.protected(any_of("admin", "write"), "read")],
    ) -> None: ...

    @app.post("/claim", responses={403: {"description": "Not yours"}})
    async def with_claim(
        token: Annotated[AccessToken, bearer.protected(claim("tenant", "acme"), details("pay"))],
    ) -> None: ...

    @router.delete("/later", dependencies=[Security(bearer, scopes=["delete"])])
    async def later() -> None: ...

    app.get("/key", dependencies=[Depends(APIKeyHeader(name="x-key"))])(lambda: 1)
    app.include_router(router, prefix="/v1")
    return app


def bearer_of(api: ProtectedApi | None = None, **options: Any) -> Bearer:
    """Make a dependency whose keys are in memory."""
    return Bearer(protection=(api or ProtectedApi(FORGE)).app.protection, **options)


def test_openapi_names_what_each_route_needs() -> None:
    """Alternatives are entries of their own, any of which suffices; no claim and no value."""
    app = build_app(bearer_of())
    for _ in range(2):  # written once, and asked for again and again
        document = TestClient(app).get("/openapi.json").json()
        assert {
            path: operation.get("security")
            for path, operations in document["paths"].items()
            for operation in operations.values()
        } == {
            "/open": None,
            "/read": [{"Bearer": ["read"]}],
            "/any": [{"Bearer": []}],
            "/either": [{"Bearer": ["read", "admin"]}, {"Bearer": ["read", "write"]}],
            "/claim": [{"Bearer": []}],
            "/v1/later": [{"Bearer": ["delete"]}],
            "/key": [{"APIKeyHeader": []}],
        }
    assert "acme" not in str(document)
    assert "tenant" not in str(document)


def test_openapi_has_the_refusals_of_protected_routes() -> None:
    """Unless the route describes them itself."""
    paths = TestClient(build_app(bearer_of())).get("/openapi.json").json()["paths"]
    assert paths["/open"]["get"]["responses"].keys() == {"200"}
    assert paths["/read"]["get"]["responses"].keys() == {"200", "401", "403", "503"}
    assert paths["/claim"]["post"]["responses"]["403"]["description"] == "Not yours"


def test_the_scheme_is_the_client_credentials_grant() -> None:
    """With every scope that a route names, which is what Swagger UI offers."""
    schemes = build_app(bearer_of()).openapi()["components"]["securitySchemes"]
    scopes = dict.fromkeys(("read", "admin", "write", "delete"), "")
    flow = {"tokenUrl": f"{ISSUER}/token", "scopes": scopes}
    assert schemes["Bearer"] == {"type": "oauth2", "flows": {"clientCredentials": flow}}
    elsewhere = build_app(bearer_of(token_url="https://as.example/oauth2/token"))
    flow = elsewhere.openapi()["components"]["securitySchemes"]["Bearer"]["flows"]
    assert flow["clientCredentials"]["tokenUrl"] == "https://as.example/oauth2/token"


def test_the_metadata_name_the_scopes_of_the_routes() -> None:
    """RFC 9728 §2, §3.1: at the well-known path, open, with those of the policy first."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, scopes_supported=("hidden", "read"))
    app = build_app(bearer_of(ProtectedApi(FORGE, policy=policy)))
    answer = TestClient(app).get(DOCUMENT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json() == {
        "resource": RESOURCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["hidden", "read", "admin", "write", "delete"],
        "dpop_signing_alg_values_supported": [*PROOF_ALGORITHMS],
    }


def test_an_application_without_protected_routes() -> None:
    """There is nothing to describe but the API itself."""
    app = FastAPI(openapi_url=None)
    bearer_of().publish(app)
    client = TestClient(app)
    assert client.get(DOCUMENT).json()["resource"] == RESOURCE
    assert client.get("/readyz").status_code == 404


def test_a_resource_that_has_no_metadata() -> None:
    """RFC 9728 §1.2: an https URL only; the rest is published all the same."""
    bearer = Bearer(issuer="http://localhost:8080", resource="urn:example:orders")
    app = FastAPI()
    bearer.publish(app)
    app.get("/", dependencies=[bearer.protected("read")])(lambda: 1)
    assert TestClient(app).get(DOCUMENT).status_code == 404
    assert app.openapi()["paths"]["/"]["get"]["security"] == [{"Bearer": ["read"]}]


def test_keys_are_fetched_when_the_application_starts() -> None:
    """Twice, as tests start one application again and again."""
    api = ProtectedApi(FORGE)
    bearer = bearer_of(api)
    app = FastAPI(lifespan=bearer.lifespan)
    bearer.publish(app, readiness_path="/readyz")

    @app.get("/settled")
    async def settled() -> bool:
        return await bearer.protection.warm()

    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/settled").json() is True
            assert client.get("/readyz").json() == {"status": "ok"}
            assert api.issuer.asked == [None]


def test_readiness_without_keys() -> None:
    """503 until there are some; asking has them fetched."""
    api = ProtectedApi(FORGE)
    app = build_app(bearer_of(api))
    api.issuer.fails = ConnectionError()
    answer = TestClient(app).get("/readyz")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["jwks"])
    assert answer.headers["retry-after"] == "1"


async def test_what_is_being_fetched_ends_with_the_application() -> None:
    """As it does under the middleware."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(etag: str | None) -> Fetched:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    bearer = Bearer(issuer=ISSUER, resource=RESOURCE, jwks=JwksClient(hang))
    async with bearer.lifespan(FastAPI()):
        await asyncio.wait_for(begun.wait(), 5)
    assert ended.is_set()


def test_two_of_one_application_have_a_name_each() -> None:
    """Under one name the document would have the token endpoint of one of them alone."""
    app = FastAPI()
    orders = bearer_of()
    orders.publish(app)
    with pytest.raises(ValueError, match="give one another scheme_name"):
        bearer_of().publish(app)
    partners = bearer_of(token_url="https://partners.example/token", scheme_name="Partners")
    partners.publish(app)
    app.get("/orders", dependencies=[orders.protected("read")])(lambda: 1)
    app.get("/partners", dependencies=[partners.protected("write")])(lambda: 1)
    document = app.openapi()
    flows = {
        name: scheme["flows"]["clientCredentials"]
        for name, scheme in document["components"]["securitySchemes"].items()
    }
    assert flows == {
        "Bearer": {"tokenUrl": f"{ISSUER}/token", "scopes": {"read": ""}},
        "Partners": {"tokenUrl": "https://partners.example/token", "scopes": {"write": ""}},
    }
    assert document["paths"]["/partners"]["get"]["security"] == [{"Partners": ["write"]}]
