"""The administration API over a registry in a file, without a network or a token check."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx

from issuer.administration.http import BASE
from issuer.administration.http.endpoint import AdministrationEndpoint
from issuer.administration.http.route import Operations
from issuer.administration.local import Administration
from issuer.administration.provider import ProviderAdministration
from issuer.storage.registry import Registry
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from tests.support.registry import NOW, RESOURCE, TESTER, orders
from watchword.provider.signing_keys import StoredSigningKeys

PREFIX = "/tenant"


class Api:
    """The endpoint over a registry in a file, asked without a network and without a token check."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self.guarded: list[tuple[str, ...]] = []
        self.needed: list[tuple[str, ...]] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.fault: Exception | None = None
        self.folder = folder
        self.key_store = KeyStore(KeyFolder(folder / "keys"))
        self.keys = StoredSigningKeys(
            self.key_store,
            RingPolicy(),
            alg="RS256",
            withdrawal_seconds=15,
            clock=lambda: NOW,
            on_change=lambda: None,
        )
        self.endpoint = AdministrationEndpoint(
            (BASE, PREFIX + BASE), administer=self._administer, guard=self._guard, events=self._take
        )
        transport = httpx.ASGITransport(app=self.endpoint)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://auth.example")

    async def _administer(self, scope: Any, needed: tuple[str, ...]) -> Operations:
        if self.fault is not None:
            raise self.fault
        self.needed.append(needed)
        return Operations(
            registry=Administration(
                self.registry,
                by=TESTER,
                now=lambda: NOW,
                random_bytes=secrets.token_bytes,
                default_resource=RESOURCE,
            ),
            provider=ProviderAdministration(
                self.registry,
                by=TESTER,
                now=lambda: NOW,
                authority=None,
                keys=self.keys,
                measure=lambda reading: {"answers": reading is not None},
                events=self._take,
            ),
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
        api = Api(registry, folder)
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
