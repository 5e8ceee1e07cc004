"""What the page on calling an API shows is run, against a real API on loopback."""

import asyncio
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import grpc
import pytest

from watchword.testing import Issuer

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "call-an-api.md").read_text()
HTTPX, REQUESTS, AIOHTTP, GRPC = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def names(issuer: Issuer, orders_api: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give the namespace of a program; nothing on loopback goes through a proxy."""
    monkeypatch.setenv("NO_PROXY", "*")
    return {"secret": "SECRET", "ISSUER": issuer.url, "API": orders_api}


def run(snippet: str, names: dict[str, Any]) -> None:
    """Run a snippet with the addresses of the servers that are there."""
    source = snippet.replace("https://auth.example.com", names["ISSUER"])
    exec(source.replace("https://orders.example.com", names["API"]), names)


def test_httpx(names: dict[str, Any]) -> None:
    """The client of the page goes on with its token."""
    run(HTTPX, names)
    assert names["api"].get("/orders").json() == {"orders": []}
    names["api"].close()


def test_requests_and_aiohttp(names: dict[str, Any]) -> None:
    """The second has the source of the first."""
    run(REQUESTS, names)
    assert names["session"].get(f"{names['API']}/orders").json() == {"orders": []}
    names["session"].close()
    imports, calls = AIOHTTP.split("\nmiddleware", 1)
    assigned = f"middleware{calls}".replace("await session.get", "answer = await session.get")
    body = indent(assigned + "    return await answer.json()\n", "    ")
    run(f"{imports}\nasync def main():\n{body}", names)
    assert asyncio.run(names["main"]()) == {"orders": []}


def test_grpc(names: dict[str, Any]) -> None:
    """A channel connects when it is used; a call over one is in `test_consumer_adapters.py`."""
    run(REQUESTS, names)
    run(GRPC, names)
    assert isinstance(names["channel"], grpc.Channel)
    names["channel"].close()
