"""The administration console of a provider in this process, visited as a browser would."""

import io
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from html import unescape
from typing import Any

import httpx

from issuer.administration.local import Administration
from issuer.registry.audit import Actor, Via
from issuer.storage.registry import Registry
from issuer.storage.shared_keys import CONSOLE_KEY, find_shared_key
from resource_api.demo.values import MemoryValue
from tests.support.keys import key_file, write_key_file
from watchword.ambient import wall_clock
from watchword.console.sessions import Link, SessionSeal
from watchword.key_store import open_key_store
from watchword.logging import Events
from watchword.metrics import Metrics
from watchword.provider.app import Provider
from watchword.provider.key_ring import ring_policy
from watchword.registry import open_registry
from watchword.settings import Settings, load_settings

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class Browser:
    """A visitor of the console, with cookies of its own.

    Args:
        provider: serves it.
        origin: of the console.
        base: its path.
    """

    def __init__(self, provider: Provider, origin: str, base: str = "/console") -> None:
        self.origin = origin
        self.base = base
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=provider), base_url=origin, timeout=60
        )
        self.csrf = ""

    async def get(self, path: str = "", **headers: str) -> httpx.Response:
        """Open a page, and take what its forms carry."""
        answer = await self.client.get(self.base + path, headers=headers)
        if found := _CSRF.search(answer.text):
            self.csrf = found[1]
        return answer

    async def post(
        self, path: str, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Send a form of the console's own."""
        sent = {"origin": self.origin, "sec-fetch-site": "same-origin", **(headers or {})}
        form = {"csrf": self.csrf, **fields}
        return await self.client.post(self.base + path, data=form, headers=sent)

    async def sign_in(self, client_id: str, secret: str, **fields: Any) -> httpx.Response:
        """Sign in as a client."""
        await self.get("/sign-in")
        return await self.post("/sign-in", client_id=client_id, client_secret=secret, **fields)

    async def use_code(self, code: str, **fields: Any) -> httpx.Response:
        """Sign in by the code of a link."""
        await self.get("/sign-in")
        return await self.post("/sign-in/code", code=code, **fields)

    def copy_cookies(self, other: "Browser") -> None:
        """Take the cookies of another visitor, as a thief would."""
        self.client.cookies.update(dict(other.client.cookies))
        self.csrf = other.csrf

    def fields(self, answer: httpx.Response) -> dict[str, str]:
        """Return the hidden fields of a page."""
        return {name: unescape(value) for name, value in _HIDDEN.findall(answer.text)}


class Console:
    """A provider with the console, and its registry.

    Args:
        settings: of the provider.
        registry: of the provider, opened once more.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        self._log = io.StringIO()
        self._events = Events(form="json", stream=self._log)
        self.provider = self.make_worker()
        self.operations = Administration(
            registry,
            by=Actor(name="tester", via=Via.CLI),
            now=wall_clock,
            random_bytes=secrets.token_bytes,
            default_resource=settings.default_resource,
        )

    def make_worker(self) -> Provider:
        """Make one more worker of the same provider."""
        return Provider(
            self.settings,
            Metrics(self._events),
            value=MemoryValue(),
            started=wall_clock(),
        )

    def visit(self, provider: Provider | None = None) -> Browser:
        """Begin a visit; every answer comes from one worker."""
        config = self.settings.issuer_config
        return Browser(provider or self.provider, config.origin, config.path + "/console")

    def register(self, client_id: str, *scopes: str, **members: Any) -> dict[str, Any]:
        """Register a client that holds these scopes on the administration."""
        grants = [{"resource": self.settings.administration, "scope": " ".join(scopes)}]
        document = {"client_id": client_id, "grants": grants if scopes else [], **members}
        return self.operations.create_client(document).document

    async def as_client(self, *scopes: str, client_id: str = "anna") -> Browser:
        """Sign in as a client that was registered with these scopes."""
        made = self.register(client_id, *scopes)
        visit = self.visit()
        answer = await visit.sign_in(client_id, made["client_secret"])
        assert answer.status_code == 303, answer.text
        await visit.get()
        return visit

    async def as_user(self, name: str = "root") -> Browser:
        """Sign in as a user of the machine."""
        visit = self.visit()
        answer = await visit.use_code(self.make_code(name))
        assert answer.status_code == 303, answer.text
        await visit.get()
        return visit

    def make_code(self, name: str = "root", *, now: int | None = None) -> str:
        """Make the code of a link, as `watchword console` does."""
        at = wall_clock() if now is None else now
        root = find_shared_key(self.registry, CONSOLE_KEY)
        seal = SessionSeal(
            root, self.settings.issuer_config.origin, random_bytes=secrets.token_bytes
        )
        return seal.seal(Link.make(name, now=at, random_bytes=secrets.token_bytes), at)

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Return the events logged so far, or those of one name."""
        self._events.flush()
        lines = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event or not event]

    def audit(self) -> list[tuple[str, str, str, str]]:
        """Return actor, interface, action and target of what was changed, the latest first."""
        entries = self.operations.list_audit(limit=100).items
        return [(each["actor"], each["via"], each["action"], each["target"]) for each in entries]


@asynccontextmanager
async def opened_console(**settings: Any) -> AsyncIterator[Console]:
    """Open the console of a provider, with a data folder and a key of its own."""
    loaded = load_settings(console=True, **settings)
    loaded.data_dir.mkdir(mode=0o700, exist_ok=True)
    if loaded.signing_alg == "RS256":
        write_key_file(loaded.keys_folder, key_file())
    else:
        open_key_store(loaded).generate(
            alg=loaded.signing_alg, bits=None, now=wall_clock(), policy=ring_policy(loaded)
        )
    with closing(open_registry(loaded, now=wall_clock)) as registry:
        yield Console(loaded, registry)
