"""Mount dynamic registration; what it needs is loaded with the first request to it."""

import secrets
from threading import Lock
from typing import TYPE_CHECKING

from issuer.config import IssuerConfig
from issuer.metadata import REGISTRATION_PATH
from issuer.storage.registry import Registry
from watchword.clock import wall_clock
from watchword.logging import Events, request_id
from watchword.provider.lazy_endpoint import LazyEndpoint
from watchword.settings import Settings

if TYPE_CHECKING:
    from issuer.endpoints.asgi import Endpoint
    from issuer.registration.endpoint import RegistrationEndpoint
    from issuer.registration.service import Registrar
    from watchword.provider.ssrf_guard import SsrfGuard


class RegistrationApp:
    """`/register` and what lies below it, ready to be mounted (RFC 7591, RFC 7592).

    Args:
        settings: all settings, checked.
        events: where log events go.
        registry: where clients are registered.
        config: the issuer.
    """

    def __init__(
        self, settings: Settings, events: Events, *, registry: Registry, config: IssuerConfig
    ) -> None:
        self._settings = settings
        self._events = events
        self._registry = registry
        self._config = config
        self._lock = Lock()
        self._registrar: Registrar | None = None
        self._addresses: SsrfGuard | None = None
        self._endpoint: RegistrationEndpoint | None = None

    def routes(self) -> "dict[str, LazyEndpoint[Endpoint]]":
        """Return the endpoints by path, at the root and under the issuer's own path."""
        registrations = LazyEndpoint["Endpoint"](lambda: self._load().registrations)
        client = LazyEndpoint["Endpoint"](lambda: self._load().client)
        routes = {}
        for base in {"", self._config.path}:
            routes[base + REGISTRATION_PATH] = registrations
            routes[base + REGISTRATION_PATH + "/"] = client
        return routes

    def stop(self) -> None:
        """Finish what is under way."""
        if self._registrar is not None:
            self._registrar.close()
        if self._addresses is not None:
            self._addresses.close()

    def _load(self) -> "RegistrationEndpoint":
        from issuer.registration.endpoint import RegistrationEndpoint
        from issuer.registration.service import Registrar
        from watchword.provider.ssrf_guard import SsrfGuard

        with self._lock:  # the two routes may be asked for at once, on two threads
            if self._endpoint is None:
                self._registrar = Registrar(
                    self._registry, now=wall_clock, random_bytes=secrets.token_bytes
                )
                self._addresses = SsrfGuard(self._settings.private_jwks_hosts)
                self._endpoint = RegistrationEndpoint(
                    self._registrar,
                    base=self._config.base,
                    is_public=self._addresses.is_public,
                    request_id=request_id.get,
                    events=self._events,
                )
            return self._endpoint
