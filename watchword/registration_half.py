"""Mount dynamic registration; what it needs is loaded with the first request to it."""

import secrets
from threading import Lock
from typing import TYPE_CHECKING

from issuer.config import IssuerConfig
from issuer.metadata import REGISTRATION_PATH
from issuer.storage.registry import Registry
from watchword.clock import wall_clock
from watchword.late_endpoint import LateEndpoint
from watchword.logging import Events, request_id
from watchword.settings import Settings

if TYPE_CHECKING:
    from issuer.endpoints.asgi import Endpoint
    from issuer.endpoints.registration import RegistrationEndpoint
    from issuer.storage.registrar import Registrar
    from watchword.address_guard import AddressGuard


class RegistrationHalf:
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
        self._addresses: AddressGuard | None = None
        self._endpoint: RegistrationEndpoint | None = None

    def routes(self) -> "dict[str, LateEndpoint[Endpoint]]":
        """Return the endpoints by path, at the root and under the issuer's own path."""
        registrations = LateEndpoint["Endpoint"](lambda: self._load().registrations)
        client = LateEndpoint["Endpoint"](lambda: self._load().client)
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
        from issuer.endpoints.registration import RegistrationEndpoint
        from issuer.storage.registrar import Registrar
        from watchword.address_guard import AddressGuard

        with self._lock:  # the two routes may be asked for at once, on two threads
            if self._endpoint is None:
                self._registrar = Registrar(
                    self._registry, now=wall_clock, random_bytes=secrets.token_bytes
                )
                self._addresses = AddressGuard(self._settings.private_jwks_hosts)
                self._endpoint = RegistrationEndpoint(
                    self._registrar,
                    base=self._config.base,
                    is_public=self._addresses.is_public,
                    request_id=request_id.get,
                    events=self._events,
                )
            return self._endpoint
