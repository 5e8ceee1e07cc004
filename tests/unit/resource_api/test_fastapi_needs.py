"""What the routes of a FastAPI application can need of a token, and how needs add up."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security
from fastapi.security import SecurityScopes
from fastapi.testclient import TestClient

from resource_api import AccessToken
from resource_api.fastapi import Bearer
from resource_api.requirements import Need, all_of, any_of, claim, details
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
API = ProtectedApi(FORGE)
BEARER = Bearer(protection=API.app.protection)
TENANT = claim("tenant", "acme")
PAY = details("payment", actions=["initiate"])
PAYMENT = {"type": "payment", "actions": ["initiate"]}


def header(**claims: Any) -> dict[str, str]:
    """Send a token that differs in these claims."""
    return {"authorization": f"Bearer {FORGE.token(**claims).decode()}"}


READER, STRANGER = header(scope="read"), header(scope="write")


def test_scopes_of_all_dependencies_of_a_request_count() -> None:
    """FastAPI remembers results within a request, by the scopes; and hands scopes down."""
    app = FastAPI()
    Any_ = Annotated[AccessToken, Depends(BEARER)]

    async def both(token: Any_, needed: SecurityScopes) -> AccessToken:
        return token

    @app.get("/twice")
    async def twice(
        first: Any_,
        second: Annotated[AccessToken, BEARER.protected("read")],
        third: Annotated[AccessToken, BEARER.protected("write")],
    ) -> bool:
        return first == second == third

    @app.get("/down")
    async def down(token: Annotated[AccessToken, Security(both, scopes=["write"])]) -> bool:
        return "write" in token.scopes

    client = TestClient(app)
    assert client.get("/twice", headers=header(scope="read write")).json() is True
    assert client.get("/twice", headers=READER).status_code == 403
    assert client.get("/twice", headers=STRANGER).status_code == 403
    assert client.get("/down", headers=STRANGER).json() is True
    assert client.get("/down", headers=READER).status_code == 403


@pytest.mark.parametrize(
    ("needs", "good", "bad"),
    [
        ((any_of("admin", "read"),), {"scope": "read"}, {"scope": "write"}),
        ((TENANT,), {"tenant": "acme"}, {"tenant": "globex"}),
        (("read", TENANT), {"tenant": "acme"}, {"scope": "write", "tenant": "acme"}),
        (("read", TENANT), {"tenant": "acme"}, {}),
        ((PAY,), {"authorization_details": [PAYMENT]}, {}),
        ((all_of("read", any_of(PAY, TENANT)),), {"tenant": "acme"}, {"scope": "read"}),
    ],
    ids=str,
)
def test_needs_beyond_scopes(needs: tuple[Need, ...], good: Any, bad: Any) -> None:
    """Alternatives, claims and authorization details, as values that other routes share."""
    app = FastAPI()

    @app.get("/")
    async def route(token: Annotated[AccessToken, BEARER.protected(*needs)]) -> str:
        return token.client_id

    client = TestClient(app)
    assert client.get("/", headers=header(**good)).status_code == 200
    assert client.get("/", headers=header(**bad)).status_code == 403


def test_needs_that_read_alike_are_kept_apart() -> None:
    """The text of a need has no values; two routes may need other values of one claim."""
    app = FastAPI()
    for tenant in ("acme", "globex"):
        app.get(f"/{tenant}", dependencies=[BEARER.protected(claim("tenant", tenant))])(lambda: 1)
    client = TestClient(app)
    for route in ("acme", "globex"):
        for tenant in ("acme", "globex"):
            status = client.get(f"/{route}", headers=header(tenant=tenant)).status_code
            assert status == (200 if route == tenant else 403)


def test_a_need_that_depends_on_the_request() -> None:
    """A check in the route is answered as one of the dependency, and reported."""
    app = FastAPI()

    @app.get("/accounts/{account}")
    def account(account: str, token: Annotated[AccessToken, Depends(BEARER)]) -> str:
        details("account", identifier=account).check(token)
        return account

    client = TestClient(app)
    held = header(authorization_details=[{"type": "account", "identifier": "a1"}])
    assert client.get("/accounts/a1", headers=held).json() == "a1"
    refused = client.get("/accounts/a2", headers=held)
    assert (refused.status_code, API.reason) == (403, "insufficient_authorization_details")
    assert API.events[-1][1]["client_id"] == "svc-a"


def test_a_scope_that_cannot_be_is_no_open_route() -> None:
    """It is found where `protected` is called, else by the first request."""
    with pytest.raises(ValueError, match="not a scope"):
        BEARER.protected("read write")
    app = FastAPI()
    app.get("/", dependencies=[Security(BEARER, scopes=["read write"])])(lambda: 1)
    with pytest.raises(ValueError, match="not a scope"):
        TestClient(app).get("/", headers=READER)


@pytest.mark.parametrize("wanted", [BEARER.protected("read"), Depends(BEARER)])
def test_tests_can_put_another_dependency_in_its_place(wanted: Any) -> None:
    """`dependency_overrides` works by the instance, for all of its routes."""
    app = FastAPI()

    @app.get("/")
    async def route(token: Annotated[Any, wanted]) -> str:
        return str(token)

    client = TestClient(app)
    assert client.get("/").status_code == 401
    app.dependency_overrides[BEARER] = lambda: "another"
    assert client.get("/").json() == "another"
    app.dependency_overrides.clear()
    assert client.get("/").status_code == 401
