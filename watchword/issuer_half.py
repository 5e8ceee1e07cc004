"""Wire the issuer: registry, keys, pipeline and endpoints, with real clock and randomness."""

import asyncio
import json
import secrets
from contextlib import suppress

from issuer.client_auth import ClientAuthenticator
from issuer.config import IssuerConfig
from issuer.endpoints.asgi import Endpoint
from issuer.endpoints.document import Document, DocumentEndpoint
from issuer.endpoints.token import TokenEndpoint
from issuer.metadata import JWKS_PATH, TOKEN_PATH, build_metadata, metadata_paths
from issuer.registry.errors import RegistryError
from issuer.registry.usage import UsageLog
from issuer.registry.view import ClientView
from issuer.service import TokenService
from issuer.storage.follow import follow
from issuer.storage.source import ThreadedSource
from keys.errors import KeysError, NoSigningKey
from watchword.clock import wall_clock
from watchword.key_ring import KeyRing, open_key_store, refresh_quietly, ring_policy
from watchword.logging import Events
from watchword.registration_half import RegistrationHalf
from watchword.registry import open_registry
from watchword.settings import Settings
from watchword.slow_lane import SlowLane

FOLLOW_SECONDS = 0.25
"""Between two looks for registry changes; a change by another process counts within a second."""

PATIENCE_SECONDS = 2.0
"""For an answer of the registry, while a request waits for it."""

UPKEEP_SECONDS = 10.0
"""Between two writings of what was used, and two looks for secrets that end soon."""

DOCUMENT_POLL_SECONDS = 1.0
_JTI_BYTES = 16


class IssuerHalf:
    """Everything that issues tokens, ready to be mounted.

    Raises:
        ProviderError, RegistryError, KeysError: a part cannot be opened, or there is no key yet.
    """

    def __init__(self, settings: Settings, events: Events) -> None:
        self._events = events
        self.keys = _open_keys(settings)
        self.config = IssuerConfig(
            issuer=settings.issuer,
            token_ttl=settings.token_ttl,
            document_max_age=settings.jwks_max_age,
        )
        self._settings = settings
        self.registry = open_registry(
            settings, now=wall_clock, announce=events, patience=PATIENCE_SECONDS
        )
        self._source = ThreadedSource(self.registry, patience=PATIENCE_SECONDS)
        self.view = ClientView(self._source, bound=settings.view_size)
        self._slow_lane = SlowLane()
        self._registration = RegistrationHalf(
            settings, events, registry=self.registry, config=self.config
        )
        self._usage = UsageLog()
        self._metadata_version = self.registry.version()
        self._metadata = self._build_metadata()
        self._store_answers = True
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Open everything once and close it again, so that faults show before workers are forked.

        Raises:
            ProviderError, RegistryError, KeysError: as from the constructor.
        """
        _open_keys(settings)
        open_registry(settings, now=wall_clock).close()

    def routes(self) -> dict[str, Endpoint]:
        """Return the endpoints by path, at the root and under the issuer's own path."""
        authenticator = ClientAuthenticator(
            self.view, self._slow_lane, memo_key=secrets.token_bytes(32)
        )
        token = TokenEndpoint(
            TokenService(self.config, authenticator, self.keys, self._usage),
            clock=wall_clock,
            new_jti=lambda: secrets.token_urlsafe(_JTI_BYTES),
            events=self._events,
        )
        jwks = DocumentEndpoint(self.jwks)
        metadata = DocumentEndpoint(lambda: self._metadata)
        routes: dict[str, Endpoint] = dict.fromkeys(metadata_paths(self.config), metadata)
        for base in {"", self.config.path}:
            routes[base + TOKEN_PATH] = token
            routes[base + JWKS_PATH] = routes[base + "/.well-known/jwks.json"] = jwks
        return routes | self._registration.routes()

    def jwks(self) -> Document:
        """Return the published JWK set as it is now."""
        return self.keys.document(wall_clock())

    def has_key(self) -> bool:
        """Tell whether there is a key to sign with."""
        try:
            self.keys.signer(wall_clock())
        except NoSigningKey:
            return False
        return True

    def store_answers(self) -> bool:
        """Tell whether the registry answered when it was last asked."""
        return self._store_answers

    def start(self) -> None:
        """Start following the registry and the key store."""
        self._tasks = [
            asyncio.create_task(self._follow_registry()),
            asyncio.create_task(self._follow_documents()),
            asyncio.create_task(self._keep_up()),
        ]

    async def stop(self) -> None:
        """Stop following and close what was opened."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._slow_lane.close()
        self._registration.stop()
        self._source.close()
        await asyncio.to_thread(self._write_usage)
        self.registry.close()

    async def _follow_registry(self) -> None:
        wake, loop = asyncio.Event(), asyncio.get_running_loop()

        def told() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(wake.set)

        self.registry.watch(told)
        await follow(
            self.view,
            wake=wake,
            interval=FOLLOW_SECONDS,
            outage=self._settings.registry_outage_seconds,
            on_error=self._store_failed,
            on_answer=self._store_answered,
        )

    def _store_answered(self) -> None:
        if not self._store_answers:
            self._events("registry.available")
        self._store_answers = True

    def _store_failed(self, error: Exception) -> None:
        # Told once, not four times a second; `/readyz` says so all the while.
        if self._store_answers:
            self._events("registry.unavailable", exception=error)
        self._store_answers = False

    async def _follow_documents(self) -> None:
        while True:
            await asyncio.sleep(DOCUMENT_POLL_SECONDS)
            await asyncio.to_thread(self._refresh_documents)

    def _refresh_documents(self) -> None:
        refresh_quietly(self.keys, wall_clock(), self._report_keys)
        # A registry that is away is told of by who follows it; the old document still serves.
        with suppress(RegistryError):
            version = self.registry.version()
            if version != self._metadata_version:
                self._metadata, self._metadata_version = self._build_metadata(), version

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            await asyncio.to_thread(self._write_usage)
            await asyncio.to_thread(self._announce_expiring)

    def _write_usage(self) -> None:
        batch = self._usage.take()
        try:
            self.registry.record_usage(batch)
        except RegistryError:
            self._usage.put_back(batch)  # who follows the registry tells that it is away

    def _announce_expiring(self) -> None:
        with suppress(RegistryError):
            self.registry.announce_expiring(within=self._settings.secret_notice_seconds)

    def _report_keys(self, error: KeysError) -> None:
        self._events("keys.unavailable", reason=str(error))

    def _build_metadata(self) -> Document:
        scopes = {
            scope for each in self.registry.list_resources() for scope in each.resource.scopes
        }
        document = build_metadata(self.config, scopes=scopes)
        return Document(json.dumps(document).encode(), self.config.document_max_age)


def _open_keys(settings: Settings) -> KeyRing:
    ring = KeyRing(open_key_store(settings), ring_policy(settings), alg=settings.signing_alg)
    ring.refresh(wall_clock())
    ring.signer(wall_clock())  # without a key there is nothing to serve
    return ring
