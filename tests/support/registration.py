"""`/register` with a real registry behind it, asked without a network."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from issuer.limits import Limits
from issuer.profile import OPEN, SecurityProfile
from issuer.registration.endpoint import RegistrationEndpoint
from issuer.registration.service import Registrar
from issuer.registry.initial_access_token import (
    InitialAccessToken,
    RegistrationTokenDocument,
    make_registration_token,
)
from issuer.registry.schema import read
from issuer.storage.registry import Registry
from tests.support.issuer import Answer, call
from tests.support.registry import NOW, RESOURCE, TESTER, RegistryHarness, orders
from watchword.testing.clock import Clock

BASE = "https://auth.example/t1"
BILLING = "urn:example:billing"
REQUEST_ID = "req-1"
GRANTS = [
    {"resource": RESOURCE, "scope": "read write"},
    {"resource": BILLING, "scope": "read bill"},
]
JSON = (b"content-type", b"application/json")


def bearer(token: str) -> tuple[bytes, bytes]:
    """Write the header line that carries a token."""
    return (b"authorization", b"Bearer " + token.encode())


def make_token(registry: Any, *, now: int = NOW, **document: Any) -> tuple[str, InitialAccessToken]:
    """Have an operator make an initial access token; on both resources unless told otherwise."""
    wanted = read(RegistrationTokenDocument, {"grants": GRANTS} | document)
    text, token = make_registration_token(wanted, now=now, random_bytes=secrets.token_bytes)
    registry.change(lambda edit: edit.create_registration_token(token), by=TESTER)
    return text, token


@dataclass
class BoundedBody:
    """The endpoint with everything behind it, and what it looked at and told.

    `public` answers for every host that a `jwks_uri` names; `looked_at` lists them; `meanwhile` is
    what others do while one is looked at.
    """

    registry: Any
    clock: Clock
    path: Path
    public: bool = True
    looked_at: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[object]] | None = None
    limits: Limits = field(default_factory=Limits)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registrar = Registrar(
            self.registry, now=lambda: int(self.clock()), random_bytes=secrets.token_bytes
        )
        self.endpoint = RegistrationEndpoint(
            self.registrar,
            base=BASE,
            is_public=self._look,
            request_id=lambda: REQUEST_ID,
            limits=self.limits,
            clock=lambda: int(self.clock()),
            events=self.record,
        )

    async def _look(self, host: str) -> bool:
        self.looked_at.append(host)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.public

    def record(self, event: str, /, **fields: object) -> None:
        """Take an event."""
        self.events.append((event, fields))

    def token(self, **document: Any) -> str:
        """Have an operator make an initial access token."""
        return make_token(self.registry, now=int(self.clock()), **document)[0]

    async def send(
        self, *lines: tuple[bytes, bytes], body: bytes = b"{}", method: str = "POST"
    ) -> Answer:
        """Send raw bytes to `/register`."""
        return await call(self.endpoint.registrations, method, "/register", list(lines), body)

    async def register(self, token: str | None = None, **metadata: Any) -> Answer:
        """Register a client, with a new token unless one is given."""
        line = bearer(token or self.token())
        return await self.send(line, JSON, body=json.dumps(metadata).encode())

    async def manage(
        self,
        method: str,
        registered: Answer,
        *,
        token: str | None = None,
        client_id: str | None = None,
        body: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> Answer:
        """Send a request of a registered client about itself, changed as named."""
        known = registered.json
        path = "/t1/register/" + (known["client_id"] if client_id is None else client_id)
        lines = [bearer(token or known["registration_access_token"]), JSON]
        return await call(
            self.endpoint.client, method, path, lines if headers is None else headers, body
        )

    async def update(self, registered: Answer, **metadata: Any) -> Answer:
        """Replace a client's metadata; `client_id` comes by itself."""
        document = {"client_id": registered.json["client_id"]} | metadata
        return await self.manage("PUT", registered, body=json.dumps(document).encode())

    def close(self) -> None:
        """End the registrar's thread."""
        self.registrar.close()


@contextmanager
def open_reception(
    folder: Path, *, limits: Limits | None = None, profile: SecurityProfile = OPEN
) -> Iterator[BoundedBody]:
    """Open `/register` over a new registry in a SQLite file."""
    clock = Clock(NOW)
    events: list[tuple[str, dict[str, object]]] = []

    def announce(event: str, /, **fields: object) -> None:
        events.append((event, fields))

    path = folder / "registry.db"
    registry = Registry.open(f"sqlite:///{path}", now=lambda: int(clock()), announce=announce)
    registry.profile = profile
    registry.ensure_resources(orders(), orders("read", "bill", identifier=BILLING))
    harness = RegistryHarness(registry)
    reception = BoundedBody(harness, clock, path, events=events, limits=limits or Limits())
    try:
        yield reception
    finally:
        reception.close()
        registry.close()


def assert_refused(answer: Answer, status: int, error: str) -> None:
    """A refusal is JSON that nobody stores, in the characters of RFC 6749 §5.2."""
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    description = answer.json.get("error_description", "")
    assert bool(description) is (status < 500), "a fault of ours tells nothing"
    assert all(" " <= each <= "~" and each not in '"\\' for each in description)
