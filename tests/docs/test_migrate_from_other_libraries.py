"""Each change on the page on migration is run: the program before it and the one after it."""

import json
import re
from pathlib import Path
from typing import Any

import jwt
import pytest
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from fastapi.testclient import TestClient

from resource_api import ResourceError
from watchword.testing import DROP, Issuer

PAGE = (
    Path(__file__).parents[2] / "docs" / "how-to" / "migrate-from-other-libraries.md"
).read_text()
DIFFS = dict(re.findall(r"^## (.+?)\n\n```diff\n(.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL))
AUTH, ORDERS = "https://auth.example.com", "https://orders.example.com"
SIDES = pytest.mark.parametrize("side", ["-", "+"], ids=["before", "after"])


def program(name: str, side: str, *, issuer: str = AUTH, api: str = ORDERS) -> str:
    """Give one side of a change, with other addresses in place of those of the page."""
    lines = (line for line in DIFFS[name].splitlines() if line[:1] in ("", " ", side))
    source = "\n".join(line[1:] for line in lines).replace(AUTH, issuer)
    # In an API the address is its identifier, which stays.
    return source.replace(ORDERS, api)


@pytest.mark.parametrize("name", DIFFS)
def test_a_change_is_small(name: str) -> None:
    """Of under ten lines, those that go and those that come together."""
    assert 0 < sum(line[:1] in ("-", "+") for line in DIFFS[name].splitlines()) < 10


@SIDES
def test_pyjwkclient(issuer: Issuer, side: str) -> None:
    """A token names its client, and an expired one is refused."""
    names: dict[str, Any] = {}
    exec(program("PyJWKClient", side, issuer=issuer.url), names)
    assert names["client_of"](issuer.headers(client_id="billing")["Authorization"]) == "billing"
    with pytest.raises((jwt.ExpiredSignatureError, ResourceError)):
        names["client_of"](issuer.headers(expired=True)["Authorization"])
    if side == "+":
        names["api"].close()


@SIDES
def test_fastapi_azure_auth(side: str) -> None:
    """A token of a tenant, with its scope and without."""
    tenant = "9d1c3f80-2b7e-4a55-8c66-7e8f90a1b2c3"
    url = f"https://login.microsoftonline.com/{tenant}/v2.0"
    issuer = Issuer(url, audience="5f1d2e6c-8a4b-4c3d-9e7f-0a1b2c3d4e5f", profile="entra")
    # As Entra ID has it, and that library wants it.
    metadata = {"issuer": url, "jwks_uri": f"{url}/jwks", "token_endpoint": f"{url}/token"}
    metadata["authorization_endpoint"] = f"{url}/authorize"
    issuer.fail("metadata", body=json.dumps(metadata), times=9)
    names: dict[str, Any] = {"API_ID": issuer.audience, "TENANT_ID": tenant}
    exec(program("fastapi-azure-auth", side), names)
    with issuer.serving(), TestClient(names["app"]) as client:
        for scope, status in (("orders:read", 200), ("orders:write", 403)):
            claims = {"scp": scope, "roles": DROP}
            headers = issuer.headers(client_id="billing", claims=claims)
            answer = client.get("/orders", headers=headers)
            assert answer.status_code == status
            assert status == 403 or answer.json() == {"for": "billing"}


@SIDES
@pytest.mark.filterwarnings("ignore::authlib.deprecate.AuthlibDeprecationWarning")
def test_authlibs_resource_protector(
    issuer: Issuer, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token with the scope, without it, and none."""
    monkeypatch.setattr(JWTBearerTokenValidator, "get_jwks", None)  # put back afterwards
    names: dict[str, Any] = {"__name__": "shop"}
    exec(program("Authlib's ResourceProtector", side, issuer=issuer.url), names)
    client = names["app"].test_client()
    for headers, status in (
        (issuer.headers(scope="orders:read"), 200),
        (issuer.headers(scope="orders:write"), 403),
        ({}, 401),
    ):
        assert client.get("/orders", headers=headers).status_code == status


@SIDES
@pytest.mark.parametrize("name", ["httpx-auth", "requests-oauthlib"])
def test_callers(
    issuer: Issuer,
    orders_api: str,
    name: str,
    side: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each gets a token and what the API answers to it."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "*")
    exec(program(name, side, issuer=issuer.url, api=orders_api), {})
    assert capsys.readouterr().out == "{'orders': []}\n"
