"""Wire client authentication: the verifiers, the keys of clients, and what counts once."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from issuer.client_auth.certificate import AuthorityVerifier, SelfSignedVerifier
from issuer.client_auth.client_keys import ClientKeys
from issuer.client_auth.federated import FederatedVerifier
from issuer.client_auth.methods import ClientAuthenticator, KnownClients, Verifier
from issuer.client_auth.private_key import PrivateKeyVerifier
from issuer.client_auth.secret import SecretVerifier
from issuer.client_auth.secret_jwt import SecretJwtVerifier
from issuer.client_auth.trusted_issuers import KeySource, TrustedIssuers
from issuer.events import EventSink
from issuer.limits import Limits
from issuer.profile import PROFILES
from issuer.registry.auth_methods import ASSERTION_ALGORITHMS
from issuer.registry.federated_identity import is_trust_domain, jwt_keys
from issuer.replay import Replays
from issuer.storage.registry import Registry
from keys.encoding import parse_json_object
from keys.errors import FetchFailed
from keys.identifiers import split_server_url
from keys.jwks import MAXIMUM_BYTES
from keys.remote.answer import Fetched
from keys.remote.http_get import HttpGet
from keys.remote.http_jwks import HttpJwks, get_json
from keys.remote.jwks_cache import CachePolicy
from keys.remote.jwks_client import FetchJwks, JwksClient
from keys.replay import ReplayStore
from watchword.client_authorities import ClientAuthorities
from watchword.provider.dpop_nonces import SharedNonces
from watchword.provider.jobs import Job
from watchword.provider.slow_hash_worker import SlowHashWorker
from watchword.provider.ssrf_guard import SsrfGuard
from watchword.settings import Settings

AUTHORITIES_SECONDS = 1.0
"""Between two looks for new authorities of clients' certificates."""

CLIENT_KEYS = CachePolicy(maximum_lifetime=300)
"""How long a key set that a client publishes serves: one that was withdrawn is not believed longer
than five minutes, whatever the client's server says."""


class Authentication:
    """All that says which client a request comes from.

    Args:
        settings: all settings, checked.
        registry: where all nodes have the key of nonces, and that of sealed secrets.
        clients: the registry as this process knows it.
        claims: where all nodes claim what counts once.
        limits: of failed authentications, and of tokens.
        events: where log events go.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        clients: KnownClients,
        claims: ReplayStore,
        *,
        limits: Limits,
        events: EventSink,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._events = events
        self._clock = clock
        self._slow_hashes = SlowHashWorker()
        self.guard = SsrfGuard(settings.private_jwks_hosts)
        self._http = HttpGet(
            maximum=MAXIMUM_BYTES, client=None, clock=clock, addresses=self.guard.addresses
        )
        self.limits = limits
        self.profile = PROFILES[settings.profile]
        self.nonces = SharedNonces(registry, wanted=settings.dpop_nonce == "required")
        self.replays = Replays(claims)
        self._authorities = ClientAuthorities(settings.client_ca_file, events)
        self.authenticator = ClientAuthenticator(
            clients,
            SecretVerifier(
                self._slow_hashes,
                any_slow=lambda: clients.has_slow_secrets,
                memo_key=secrets.token_bytes(32),
            ),
            *self._verifiers(settings, registry, ClientKeys(self._open_set)),
            limits=limits,
            profile=self.profile,
        )

    def _verifiers(
        self, settings: Settings, registry: Registry, keys: ClientKeys
    ) -> Iterator[Verifier[Any]]:
        """Yield what verifies each method without plain secrets that is switched on."""
        yield PrivateKeyVerifier(settings.issuer, keys, self.profile)
        trusted = TrustedIssuers(partial(open_trusted_issuer, settings, self._events))
        yield FederatedVerifier(settings.issuer, trusted)
        if settings.client_secret_jwt:
            yield SecretJwtVerifier(settings.issuer, lambda: registry.seal)
        if settings.tls_client_ca is not None:
            yield SelfSignedVerifier(keys, self._authorities)
        if settings.client_ca_file is not None:
            yield AuthorityVerifier(self._authorities)

    def follow_authorities(self) -> Job:
        """Return the work that loads new authorities of clients' certificates."""
        return Job(
            name="client authorities",
            every=AUTHORITIES_SECONDS,
            run=lambda: asyncio.to_thread(self._authorities.look),
        )

    def close(self) -> None:
        """End the threads."""
        self.guard.close()
        self._slow_hashes.close()

    def _open_set(self, uri: str) -> JwksClient:
        return JwksClient(
            partial(get_json, self._http, uri),
            policy=CLIENT_KEYS,
            clock=self._clock,
            on_event=partial(self._events, jwks_uri=uri),
            algorithms=ASSERTION_ALGORITHMS,
        )


def open_trusted_issuer(settings: Settings, events: EventSink, source: KeySource) -> JwksClient:
    """Return the key set of an issuer that federated identities name; nothing is fetched yet.

    An operator named it, so it may be in a private network; no other address is asked.

    Args:
        settings: say which hosts may be asked over plain http.
        events: where `jwks.refreshed` and `jwks.stale` go, with the issuer.
        source: the issuer, and where its keys are if its metadata do not say.
    """
    try:
        fetch = _way_to(source, settings)
    except ValueError as error:
        fetch = partial(_fail, FetchFailed(f"it may not be asked: {error}"))
    return JwksClient(fetch, on_event=partial(events, issuer=source.issuer))


def _way_to(source: KeySource, settings: Settings) -> FetchJwks:
    allowed = settings.allow_insecure_http
    if source.jwks_uri is None:
        return HttpJwks(source.issuer, allow_insecure_http=allowed)
    if not split_server_url(source.jwks_uri).may_be_asked(allowed):
        raise ValueError("jwks_uri must be https, unless plain http may lead to its host")
    http = HttpGet(maximum=MAXIMUM_BYTES, client=None, clock=monotonic)
    return partial(_fetch_jwt_keys, partial(get_json, http, source.jwks_uri), source.issuer)


async def _fetch_jwt_keys(fetch: FetchJwks, issuer: str, etag: str | None) -> Fetched:
    """Fetch a key set; of a trust domain's bundle, only the keys that verify JWT-SVIDs."""
    answer = await fetch(etag)
    if answer.status != 200 or not is_trust_domain(issuer):
        return answer
    keys = jwt_keys(issuer, parse_json_object(answer.body))
    return replace(answer, body=json.dumps(keys).encode())


async def _fail(failure: FetchFailed, etag: str | None) -> Fetched:
    raise failure
