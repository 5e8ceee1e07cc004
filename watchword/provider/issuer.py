"""Wire the issuer: registry, keys, pipeline and endpoints, with real clock and randomness."""

import asyncio
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from issuer.endpoints.asgi import Endpoint
from issuer.endpoints.cross_origin import readable_everywhere
from issuer.endpoints.document import Document, DocumentEndpoint
from issuer.events import EventSink
from issuer.limits import Limits
from issuer.metadata import JWKS_PATH, metadata_paths
from issuer.registry.errors import RegistryError, StoreUnavailable
from issuer.registry.usage import UsageLog
from issuer.registry.view import ClientView
from issuer.status.positions import LISTS_PATH
from issuer.storage.registry import Registry
from issuer.storage.source import Follower, ThreadedSource
from keys.errors import KeysError, NoSigningKey
from watchword.ambient import wall_clock
from watchword.claim_hooks import find_hooks
from watchword.errors import ClientSealError
from watchword.key_store import open_key_store
from watchword.logging import Events
from watchword.provider.authentication import Authentication
from watchword.provider.client_endpoints import client_endpoints
from watchword.provider.jobs import Job, Jobs, JobsApart
from watchword.provider.key_ring import check_rotation, open_key_ring, ring_policy
from watchword.provider.key_upkeep import KeyUpkeep
from watchword.provider.operators import Operators
from watchword.provider.published_metadata import PublishedMetadata
from watchword.provider.replay_store import check_redis, follow_redis, open_redis
from watchword.provider.shared_limits import SHARE_SECONDS, SharedLimits
from watchword.provider.token_status import PRUNE_SECONDS, TokenStatus
from watchword.registry import is_missing, open_registry
from watchword.settings import Settings

if TYPE_CHECKING:
    from issuer.administration.provider import SigningKeys

FOLLOW_SECONDS = 0.25
"""Between two looks for registry changes; a change by another process counts within a second."""

TIMEOUT_SECONDS = 2.0
"""For an answer of the registry, while a request waits for it."""

UPKEEP_SECONDS = 10.0
"""Between two writings of what was used, and two looks for secrets that end soon."""

KEEP_UP_SECONDS = 1.0
"""Between two looks whether tokens of the time to come have places on status lists."""

DOCUMENT_POLL_SECONDS = 1.0

ENDING_SECONDS = 30 * 86_400
"""How soon a secret ends that `secrets_ending` counts."""


class IssuerApp:
    """Everything that issues tokens, ready to be mounted.

    Args:
        settings: all settings, checked.
        events: where log events go.
        started: when the server was started, in seconds since the epoch; a worker that replaces
            one which has ended is given the same.
        checked: `check` found everything in order under these settings, so a registry or a signer
            that is unavailable now is an outage like any other: the rest is served, and the
            registry is opened as soon as it answers.

    Raises:
        ProviderError, RegistryError, KeysError: a part cannot be opened, or there is no key yet.
    """

    _refusal = ""
    secrets_ending: int | None = None
    """How many end within `ENDING_SECONDS`, when last counted."""

    def __init__(
        self, settings: Settings, events: EventSink, *, started: int, checked: bool = False
    ) -> None:
        self._events = events
        self._started = started
        self._checked = checked
        self.config = settings.issuer_config
        self._settings = settings
        if not checked:
            check_redis(settings)
        # Without a key there is nothing to serve, nor to make a database for.
        if settings.key_store == "files":
            self._key_store = open_key_store(settings, events)
            self.keys = open_key_ring(settings, self._key_store, check=not checked)
        self.registry = self._open_or_await_registry()
        if settings.key_store == "database":
            self._key_store = open_key_store(settings, events, registry=self.registry)
            try:
                self.keys = open_key_ring(settings, self._key_store, check=not checked)
            except BaseException:
                self.registry.close()
                raise
        self._source = ThreadedSource(self.registry, timeout=TIMEOUT_SECONDS)
        self.view = ClientView(self._source, bound=settings.view_size)
        self.follower = Follower(self.view, outage=settings.registry_outage_seconds)
        self.writes = self.registry.open_hot_store(timeout=TIMEOUT_SECONDS)
        self._redis = open_redis(settings)
        self._operators = Operators(settings, self.registry)
        self.statuses = TokenStatus(
            self.config, self.registry, self._source, self.writes, clock=wall_clock, events=events
        )
        self.usage = UsageLog()
        self.limits = _open_limits(settings)
        self.shared_limits = SharedLimits(self.limits, self.writes, clock=wall_clock, events=events)
        self.claims = self._redis or self.writes
        self.authentication = Authentication(
            settings, self.registry, self.view, self.claims, limits=self.limits, events=events
        )
        self._metadata = PublishedMetadata(
            self.config,
            methods=self.authentication.authenticator.methods,
            profile=self.authentication.profile,
            signing_alg=settings.signing_alg,
            registry=self.registry,
            published_algorithms=lambda: self.keys.algorithms(wall_clock()),
        )
        self._upkeep = KeyUpkeep(
            self.keys,
            self._key_store,
            ring_policy(settings),
            algorithms=lambda: {settings.signing_alg, *self._metadata.resource_algorithms},
            registry=self.registry,
            events=events,
            monotonic=monotonic,
        )
        self._jobs = Jobs(*self._list_jobs(), events=events)
        self._following = self._follow_all()

    @classmethod
    def check(cls, settings: Settings, events: Events) -> None:
        """Open everything once and close it again, so that faults show before workers are forked.

        Raises:
            ProviderError, RegistryError, KeysError: as from the constructor.
        """
        in_files = settings.key_store == "files"
        check_redis(settings)
        if in_files:
            open_key_ring(settings, open_key_store(settings, events), check=True)
        opened = open_registry(settings, now=wall_clock, announce=events, serving=True)
        with closing(opened) as registry:
            check_rotation(settings, registry)
            if not in_files:
                store = open_key_store(settings, events, registry=registry)
                open_key_ring(settings, store, check=True)
        events.flush()

    def routes(self) -> dict[str, Endpoint]:
        """Return the endpoints by path, at the root and under the issuer's own path."""
        of_clients = client_endpoints(
            self.config,
            self.authentication,
            keys=self.keys,
            usage=self.usage,
            statuses=self.statuses,
            writes=self.writes,
            operators=self._operators,
            hooks=find_hooks(self._settings.claim_hooks, self._events),
            events=self._events,
        )
        jwks = readable_everywhere(DocumentEndpoint(self.jwks))
        metadata = readable_everywhere(DocumentEndpoint(lambda: self._metadata.document))
        lists = readable_everywhere(self.statuses.endpoint(self.keys))
        routes: dict[str, Endpoint] = dict.fromkeys(metadata_paths(self.config), metadata)
        for base in {"", self.config.path}:
            routes |= {base + path: endpoint for path, endpoint in of_clients.items()}
            routes[base + JWKS_PATH] = routes[base + "/.well-known/jwks.json"] = jwks
            routes[base + LISTS_PATH] = routes[base + LISTS_PATH + "/"] = lists
        return routes

    def jwks(self) -> Document:
        """Return the published JWK set as it is now."""
        document = self.keys.document(wall_clock())
        return replace(document, shared_max_age=self.config.jwks_shared_max_age)

    def has_key(self) -> bool:
        """Tell whether there is a key to sign with, and the key store can be read."""
        try:
            self.keys.signer(wall_clock())
        except NoSigningKey:
            return False
        return self._following.succeeds("keys")

    def signing_keys(self) -> "SigningKeys":
        """Return the keys as administrators list and change them."""
        from watchword.provider.signing_keys import StoredSigningKeys

        return StoredSigningKeys(
            self._key_store,
            ring_policy(self._settings),
            alg=self._settings.signing_alg,
            withdrawal_seconds=self.config.withdrawal_seconds,
            clock=wall_clock,
            on_change=lambda: self._following.wake("keys"),
        )

    def store_answers(self) -> bool:
        """Tell whether the registry answered when last asked, also about the status of tokens."""
        answers = self.registry.is_open and self._following.succeeds("registry")
        return answers and self.statuses.ready

    def start(self) -> None:
        """Start following the registry and the key store."""
        self.statuses.start()
        self._following.start()
        if self.registry.is_open:
            self._watch_registry()
        self._wake_followers()
        self._jobs.start()

    async def stop(self) -> None:
        """Stop following and close what was opened, whatever any part of it raises."""
        with ExitStack() as closing:
            # The last one first.
            closing.callback(self.registry.close)
            closing.callback(self._source.close)
            closing.callback(self.authentication.close)
            closing.callback(self._operators.close)
            closing.callback(self.keys.close)
            try:
                await self._following.stop()
            finally:
                await self._jobs.stop()
                await self.statuses.stop()
                await self.writes.close()
                if self._redis is not None:
                    await self._redis.close()
            await asyncio.to_thread(self._write_usage)

    def _follow_all(self) -> JobsApart:
        # A flood of requests must not delay the news that a client is disabled, or a key withdrawn.
        followers = self._follow_registry(), self._follow_statuses(), self._follow_keys()
        return JobsApart(Jobs(*followers, events=self._events))

    def _follow_registry(self) -> Job:
        async def look() -> None:
            if not self.registry.is_open:
                await self._source.follow(self._attach_registry)
            await self.follower.look()

        return Job(
            name="registry",
            every=FOLLOW_SECONDS,
            run=look,
            longest=FOLLOW_SECONDS,  # a change counts within a second after an outage too
            failed="registry.unavailable",
            recovered="registry.available",
            expected=(RegistryError,),
        )

    def _follow_statuses(self) -> Job:
        async def look() -> None:
            with suppress(StoreUnavailable):  # the job "registry" reports the outage
                await self.statuses.look()

        return Job(name="statuses", every=FOLLOW_SECONDS, run=look, longest=FOLLOW_SECONDS)

    def _follow_keys(self) -> Job:
        return Job(
            name="keys",
            every=FOLLOW_SECONDS,
            # On a further thread: a look may load or make a key, and the registry is followed here.
            run=lambda: asyncio.to_thread(self._upkeep.look, wall_clock()),
            longest=FOLLOW_SECONDS,
            failed="keys.unavailable",
            recovered="keys.available",
            expected=(KeysError,),
        )

    def _open_registry(self) -> Registry:
        if self._checked and is_missing(self._settings):
            # It was there; an empty one in its place would be taken for the registry.
            raise StoreUnavailable("the file of the registry database was deleted or moved")
        return open_registry(
            self._settings,
            now=wall_clock,
            announce=self._events,
            timeout=TIMEOUT_SECONDS,
            serving=True,
        )

    def _open_or_await_registry(self) -> Registry:
        try:
            return self._open_registry()
        except StoreUnavailable:
            if not self._checked:
                raise
        return Registry(None, now=wall_clock, announce=self._events)

    def _attach_registry(self) -> None:
        """Open the registry that was unavailable at the start, on the thread that follows it."""
        if self.registry.is_open:
            return  # by a try that had been given up
        try:
            opened = self._open_registry()
        except StoreUnavailable:
            raise
        except (RegistryError, ClientSealError) as error:
            # It answers, but waiting does not help: the log has to say so, once.
            if self._refusal != str(error):
                self._refusal = str(error)
                self._events("registry.refused", reason=self._refusal)
            raise
        self.authentication.nonces.load(opened)
        self.registry.attach(opened)
        self._watch_registry()

    def _watch_registry(self) -> None:
        self.registry.watch(self._wake_followers)

    def _wake_followers(self) -> None:
        self._following.wake("registry")
        self._following.wake("statuses")

    def _list_jobs(self) -> tuple[Job, ...]:
        return (
            Job(
                name="metadata",
                every=DOCUMENT_POLL_SECONDS,
                run=lambda: asyncio.to_thread(self._metadata.refresh),
            ),
            self.authentication.follow_authorities(),
            Job(
                name="key trail",
                every=DOCUMENT_POLL_SECONDS,
                run=lambda: asyncio.to_thread(self._upkeep.record),
            ),
            Job(
                name="usage",
                every=UPKEEP_SECONDS,
                run=lambda: asyncio.to_thread(self._write_usage),
            ),
            Job(
                name="limits",
                every=SHARE_SECONDS,
                run=self.shared_limits.share,
                longest=SHARE_SECONDS,
            ),
            Job(
                name="status indexes",
                every=KEEP_UP_SECONDS,
                run=self.statuses.keep_up,
                longest=KEEP_UP_SECONDS,
            ),
            Job(
                name="status pruning",
                every=PRUNE_SECONDS,
                run=self.statuses.prune,
                expected=(RegistryError,),
            ),
            Job(
                name="expiring",
                every=UPKEEP_SECONDS,
                run=lambda: asyncio.to_thread(self._announce_expiring),
            ),
            *follow_redis(self._redis),
        )

    def _write_usage(self) -> None:
        batch = self.usage.take()
        try:
            self.registry.record_usage(batch)
        except Exception as error:
            self.usage.put_back(batch)
            if not isinstance(error, RegistryError):  # the job "registry" reports the outage
                raise

    def _announce_expiring(self) -> None:
        with suppress(RegistryError):
            self.registry.announce_expiring(
                within=self._settings.secret_notice_seconds, started=self._started
            )
            self.secrets_ending = self.registry.count_ending(within=ENDING_SECONDS)


def _open_limits(settings: Settings) -> Limits:
    return Limits(
        failed_auth=settings.failed_auth_limit,
        token_quota=settings.token_quota,
        quota_refuses=settings.token_quota_mode == "refuse",  # noqa: S105 - a mode
    )
