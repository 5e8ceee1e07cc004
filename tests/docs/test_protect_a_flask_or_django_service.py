"""The snippets of the page on WSGI applications are run."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.test import override_settings
from django.urls import path

from watchword.testing import Issuer

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "protect-a-flask-or-django-service.md"
FLASK, TEST, WSGI, VIEW, REFUSALS, PLAIN = map(
    dedent, re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
)
URL, AUDIENCE = "https://auth.example.com", "https://orders.example.com"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """The issuer of the page."""
    with Issuer(URL, audience=AUDIENCE).serving() as issuer:
        yield issuer


def test_the_flask_application_and_its_test(issuer: Issuer) -> None:
    """The test of the page passes over the application of the page."""
    names: dict[str, Any] = {"__name__": "shop"}
    exec(FLASK + TEST, names)
    names["test_a_reader_gets_orders"](issuer)
    headers = issuer.headers(scope="orders:write")
    assert names["app"].test_client().get("/orders", headers=headers).status_code == 403
    names["app"].wsgi_app.protection.close()


def test_the_django_project(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its three files make a protected service, which is tested as the page says."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    exec(VIEW + REFUSALS, vars(shop))

    class Urls:
        urlpatterns = (path("orders", shop.orders),)

    with override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=["shop.Refusals"]):
        exec(WSGI, vars(shop))
        transport = httpx.WSGITransport(app=shop.application)
        with httpx.Client(transport=transport, base_url="http://testserver") as client:
            good = client.get("/orders", headers=issuer.headers(scope="orders:read", client_id="x"))
            lacking = client.get("/orders", headers=issuer.headers(scope="orders:write"))
            answers = [good, lacking, client.get("/orders"), client.get("/static/a.css")]
    shop.application.protection.close()
    assert [answer.status_code for answer in answers] == [200, 403, 401, 404]
    assert good.json() == {"for": "x"}


def test_without_a_middleware(issuer: Issuer) -> None:
    """The last snippet gives the token's client, or the answer of a refusal."""
    names: dict[str, Any] = {}
    exec(PLAIN, names)
    assert names["handle"](f"Bearer {issuer.token(client_id='x')}") == (200, [], b"x")
    status, headers, _ = names["handle"](None)
    assert (status, dict(headers)[b"cache-control"]) == (401, b"no-store")
    names["protection"].close()
