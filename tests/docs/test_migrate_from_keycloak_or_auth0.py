"""What the page on a move says is run: exports become a registry, an API trusts both issuers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.command import run_shell
from watchword.testing import Issuer

PAGE = (
    Path(__file__).parents[2] / "docs" / "how-to" / "migrate-from-keycloak-or-auth0.md"
).read_text()
KEYCLOAK, AUTH0, SERVICE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
APPLY = re.findall(r"```sh\n(mkdir .*?)```", PAGE, flags=re.DOTALL)[0]
ORDERS = "https://orders.example.com"


def client_of_keycloak(name: str, scopes: list[str], **changes: object) -> dict[str, object]:
    """Write what Keycloak exports of a client, as far as a registry needs it."""
    return {
        "clientId": name,
        "enabled": True,
        "serviceAccountsEnabled": True,
        "secret": "dPqbZ2mQ3vXo8sT1yU6wR4kLcN7hJ5fA",
        "defaultClientScopes": ["profile", "roles", *scopes],
        "optionalClientScopes": ["offline_access"],
    } | changes


def grant_of_auth0(name: str, api: str, scopes: list[str]) -> dict[str, object]:
    """Write what Auth0 exports of a grant."""
    return {"id": "cgr_1", "client_id": name, "audience": api, "scope": scopes}


@pytest.mark.parametrize(
    ("script", "file", "exported"),
    [
        (
            KEYCLOAK,
            "clients.json",
            [
                client_of_keycloak("billing", ["orders:read"]),
                client_of_keycloak("account-console", [], serviceAccountsEnabled=False),
                client_of_keycloak("reports", []),
            ],
        ),
        (
            AUTH0,
            "grants.json",
            [
                grant_of_auth0("billing", ORDERS, ["orders:read"]),
                grant_of_auth0("billing", "https://stock.example.com", ["stock:read"]),
                grant_of_auth0("billing", "https://example.eu.auth0.com/api/v2/", ["read:users"]),
            ],
        ),
    ],
    ids=["keycloak", "auth0"],
)
def test_an_export_becomes_a_registry(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    file: str,
    exported: list[dict[str, object]],
) -> None:
    """The clients of the API are there under their ids, each with a secret in a file."""
    monkeypatch.chdir(tmp_path)
    Path(file).write_text(json.dumps(exported))
    exec(script, {})
    done = run_shell(tmp_path, "set -e\n" + APPLY + "watchword clients list --json\n")
    assert done.returncode == 0, done.stderr
    assert '"client_id": "billing"' in done.stdout
    assert "reports" not in done.stdout
    assert "api/v2" not in done.stdout
    assert Path("secrets/billing.secret").exists()


def test_the_api_trusts_both_issuers() -> None:
    """And neither of them for what the other writes."""
    new = Issuer("https://auth.example.com", audience=ORDERS)
    old = Issuer("https://sso.example.com/realms/demo", audience="orders-api", profile="keycloak")
    names: dict[str, Any] = {}
    exec(SERVICE, names)
    with new.serving(), old.serving(), TestClient(names["app"]) as client:
        for issuer in (new, old):
            headers = issuer.headers(scope="orders:read", client_id="billing")
            assert client.get("/orders", headers=headers).json() == {"for": "billing"}
            assert client.get("/orders", headers=issuer.headers()).status_code == 403
        shaped = new.headers(scope="orders:read", profile="keycloak")
        assert client.get("/orders", headers=shaped).status_code == 401
