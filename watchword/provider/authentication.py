"""Wire client authentication: the verifiers, the keys of clients, and what counts once."""

import secrets
from collections.abc import Callable
from functools import partial
from time import monotonic

from issuer.client_auth.client_keys import ASSERTION_ALGORITHMS, ClientKeys
from issuer.client_auth.methods import ClientAuthenticator, KnownClients
from issuer.client_auth.private_key import PrivateKeyVerifier
from issuer.client_auth.secret import SecretVerifier
from issuer.events import EventSink
from issuer.limits import Limits
from issuer.replay import Replays
from keys.jwks import MAXIMUM_BYTES
from keys.remote.http_get import HttpGet
from keys.remote.http_jwks import get_json
from keys.remote.jwks_cache import CachePolicy
from keys.remote.jwks_client import JwksClient
from keys.replay import ReplayStore
from watchword.provider.slow_hash_worker import SlowHashWorker
from watchword.provider.ssrf_guard import SsrfGuard
from watchword.settings import Settings

CLIENT_KEYS = CachePolicy(maximum_lifetime=300)
"""How long a key set that a client publishes serves: one that was withdrawn is not believed longer
than five minutes, whatever the client's server says."""


class Authentication:
    """All that says which client a request comes from.

    Args:
        settings: all settings, checked.
        clients: the registry as this process knows it.
        claims: where all nodes claim what counts once.
        limits: of failed authentications.
        events: where log events go.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
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
        self.replays = Replays(claims)
        self.authenticator = ClientAuthenticator(
            clients,
            SecretVerifier(self._slow_hashes, memo_key=secrets.token_bytes(32)),
            PrivateKeyVerifier(settings.issuer, ClientKeys(self._open_set)),
            limits=limits,
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
