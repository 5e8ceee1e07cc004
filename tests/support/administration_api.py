"""The administration API over a registry in a file, without a network or a token check."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx

from issuer.administration.http import BASE
from issuer.administration.http.endpoint import AdministrationEndpoint
from issuer.administration.local import Administration
from issuer.storage.registry import Registry
from tests.support.registry import NOW, RESOURCE, TESTER, orders

PREFIX = "/tenant"


class Api:
    """The endpoint over a registry in a file, asked without a network and without a token check."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.guarded: list[tuple[str, ...]] = []
        self.needed: list[tuple[str, ...]] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.fault: Exception | None = None
        self.endpoint = AdministrationEndpoint(
            (BASE, PREFIX + BASE), administer=self._administer, guard=self._guard, events=self._take
        )
        transport = httpx.ASGITransport(app=self.endpoint)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://auth.example")

    def _administer(self, scope: Any, needed: tuple[str, ...]) -> Administration:
        if self.fault is not None:
            raise self.fault
        self.needed.append(needed)
        return Administration(
            self.registry,
            by=TESTER,
            now=lambda: NOW,
            random_bytes=secrets.token_bytes,
            default_resource=RESOURCE,
        )

    def _guard(self, scopes: tuple[str, ...], app: Any) -> Any:
        self.guarded.append(scopes)
        return app

    def _take(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request below the base."""
        return await self.client.request(method, BASE + path, **options)

    async def create(self, client_id: str = "till", **members: Any) -> httpx.Response:
        """Register a client."""
        answer = await self.ask("POST", "/clients", json={"client_id": client_id} | members)
        assert answer.status_code == 201, answer.text
        return answer


@asynccontextmanager
async def opened_api(folder: Path) -> AsyncIterator[Api]:
    """Open the API over a new registry with one resource."""
    with closing(Registry.open(f"sqlite:///{folder}/registry.db", now=lambda: NOW)) as registry:
        registry.ensure_resources(orders())
        api = Api(registry)
        async with api.client:
            yield api
        api.endpoint.close()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem of this kind; return its document."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"]) == (status, status), answer.text
    assert document["type"] == f"urn:watchword:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return document
