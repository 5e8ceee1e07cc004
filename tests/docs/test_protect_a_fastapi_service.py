"""What the page on FastAPI says is run, with Swagger UI's own requests to a real issuer."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.docs.test_first_steps import Desk, check, code
from tests.support.provider import eventually, make_place, running
from watchword.testing import Issuer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "protect-a-fastapi-service.md"
SERVICE, ACCOUNTS, TWO_ISSUERS, TEST = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL
)
ORDERS = "https://orders.example.com"


def service() -> dict[str, Any]:
    """Run the snippets one after the other."""
    names: dict[str, Any] = {}
    exec(SERVICE, names)
    exec(ACCOUNTS, names)
    return names


def test_the_service_of_the_page() -> None:
    """Its routes are closed, its documents open, and the checks in the route count."""
    held = [{"type": "account", "identifier": "a1"}]
    issuer = Issuer("https://auth.example.com", audience=ORDERS)
    with issuer.serving(), TestClient(service()["app"]) as client:
        reader = issuer.headers(
            scope="orders:read", client_id="billing", claims={"authorization_details": held}
        )
        assert client.get("/orders/7", headers=reader).json() == {"order": 7, "for": "billing"}
        assert client.get("/orders/7").status_code == 401
        assert client.delete("/orders/7", headers=reader).status_code == 403
        assert client.get("/accounts/a1", headers=reader).json() == "a1"
        assert client.get("/accounts/a2", headers=reader).status_code == 403
        for path in ("/docs", "/openapi.json", "/readyz"):
            assert client.get(path).status_code == 200
        document = client.get("/.well-known/oauth-protected-resource").json()
        assert document["scopes_supported"] == ["orders:read", "orders:write"]


def test_the_service_is_started_and_called(tmp_path: Path) -> None:
    """As the page types it, with a client of a real issuer; its packages are installed already."""
    desk = Desk(tmp_path)
    place = desk.place
    place.add_key()
    place.run("resources", "create", ORDERS, "--scope", "orders:read")
    client = place.json("clients", "create", "billing", "--resource", ORDERS, "--all-scopes")
    install, start = code(PAGE, "sh")
    assert install == "pip install . fastapi uvicorn\n"
    (tmp_path / "orders.py").write_text(SERVICE.replace("https://auth.example.com", place.url))
    page = PAGE.read_text().replace("https://auth.example.com", place.url)
    typed = tmp_path / "page.md"
    typed.write_text(page.replace("=SECRET", f"={client['client_secret']}"))
    with running(place), desk.serving_api(start):
        check(desk, typed, "")


def test_a_service_with_two_issuers_and_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement that makes `bearer` is replaced, as the page says."""
    orders = ModuleType("orders")
    one_issuer = re.findall(r"^bearer = .*\n", SERVICE, flags=re.MULTILINE)[0]
    exec(SERVICE.replace(one_issuer, TWO_ISSUERS), vars(orders))
    monkeypatch.setitem(sys.modules, "orders", orders)
    names: dict[str, Any] = {}
    exec(TEST, names)
    names["test_readers_of_both_issuers_get_orders"]()


def test_the_authorize_button_of_swagger_ui(tmp_path: Path) -> None:
    """Preflight and token request as Swagger UI 5 sends them, by what the OpenAPI document says."""
    page = {"origin": "http://localhost:8000"}
    place = make_place(tmp_path, WATCHWORD_TOKEN_CORS_ORIGINS=page["origin"])
    place.add_key()
    place.run("resources", "create", ORDERS, "--scope", "orders:read")
    client = place.json("clients", "create", "billing", "--resource", ORDERS, "--all-scopes")
    source = SERVICE.replace("https://auth.example.com", place.url)
    names: dict[str, Any] = {}
    exec(source, names)
    with (
        running(place),
        TestClient(names["app"]) as api,
    ):
        schemes = api.get("/openapi.json").json()["components"]["securitySchemes"]
        flow = schemes["Bearer"]["flows"]["clientCredentials"]
        assert "orders:read" in flow["scopes"]
        asked = "authorization,x-requested-with"
        preflight = httpx.options(
            flow["tokenUrl"],
            headers=page
            | {"access-control-request-method": "POST", "access-control-request-headers": asked},
        )
        allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
        assert set(asked.split(",")) <= {*allowed}
        answer = httpx.post(
            flow["tokenUrl"],
            auth=(client["client_id"], client["client_secret"]),
            headers=page | {"x-requested-with": "XMLHttpRequest"},
            data={"grant_type": "client_credentials", "scope": "orders:read"},
        )
        assert answer.headers["access-control-allow-origin"] == page["origin"]
        token = answer.json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        eventually(lambda: api.get("/readyz").status_code == 200)
        assert api.get("/orders/7", headers=headers).json()["for"] == "billing"
