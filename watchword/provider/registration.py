"""Dynamic registration (RFC 7591, RFC 7592), loaded with the first request."""

import secrets

from issuer.config import IssuerConfig
from issuer.endpoints.asgi import Receive, Scope, Send
from issuer.events import EventSink
from issuer.limits import Limits
from issuer.metadata import REGISTRATION_PATH
from issuer.registration.endpoint import RegistrationEndpoint
from issuer.registration.service import Registrar
from issuer.storage.registry import Registry
from watchword.ambient import wall_clock
from watchword.logging import request_id
from watchword.provider.ssrf_guard import SsrfGuard
from watchword.settings import Settings


class RegistrationApp:
    """`/register` and all below it.

    Args:
        settings: all settings, checked.
        events: where log events go.
        registry: where clients are registered.
        config: the issuer.
        limits: of attempts with wrong tokens.
        guard: looks up the hosts that clients name.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventSink,
        *,
        registry: Registry,
        config: IssuerConfig,
        limits: Limits,
        guard: SsrfGuard,
    ) -> None:
        self._registrar = Registrar(registry, now=wall_clock, random_bytes=secrets.token_bytes)
        self._endpoint = RegistrationEndpoint(
            self._registrar,
            base=config.base,
            is_public=guard.is_public,
            request_id=request_id,
            limits=limits,
            clock=wall_clock,
            events=events,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: a new registration, or one client's own."""
        is_new = scope["path"].endswith(REGISTRATION_PATH)
        endpoint = self._endpoint.registrations if is_new else self._endpoint.client
        await endpoint(scope, receive, send)

    async def stop(self) -> None:
        """End the threads."""
        self._registrar.close()
