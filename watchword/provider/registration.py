"""Dynamic registration (RFC 7591, RFC 7592), loaded with the first request."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from issuer.config import IssuerConfig
from issuer.endpoints.asgi import Receive, Scope, Send
from issuer.events import EventSink
from issuer.limits import Limits
from issuer.metadata import REGISTRATION_PATH
from issuer.registration.endpoint import RegistrationEndpoint
from issuer.registration.ip_ranges import is_public
from issuer.registration.service import Registrar
from issuer.storage.registry import Registry
from watchword.ambient import wall_clock
from watchword.logging import request_id
from watchword.settings import Settings

RESOLVE_SECONDS = 5.0
"""Seconds to wait for the addresses of a name, the wait for a free thread included."""

_THREADS = 2

Resolve = Callable[[str], Iterable[str]]


def resolve(host: str) -> list[str]:
    """Ask the system for all addresses of a host.

    Raises:
        OSError: there is none, or no name server answers.
    """
    # As bytes, so that Python does not bring an encoding of its own into the name.
    found = socket.getaddrinfo(host.encode("ascii"), 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class SsrfGuard:
    """SSRF guard: allow a host only if all its addresses are public (RFC 8725 §3.10).

    Resolving takes as long as a resolver likes, so it has threads of its own and a time limit. Look
    again before each fetch: names change their addresses.

    Args:
        allowed: hosts whose addresses may be private, in lower case.
        resolve: gives the addresses of a host, or raises OSError.
        timeout: seconds after which a name counts as unknown.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        resolve: Resolve = resolve,
        timeout: float = RESOLVE_SECONDS,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._resolve = resolve
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def is_public(self, host: str) -> bool:
        """Tell whether every address of a host is public; an unknown name is not.

        Args:
            host: a host name in lower case.
        """
        if host in self._allowed:
            return True
        looking = asyncio.get_running_loop().run_in_executor(self._threads, self._addresses, host)
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await looking
        except TimeoutError:
            return False
        return bool(addresses) and all(is_public(address) for address in addresses)

    def close(self) -> None:
        """Let the threads end once their work is done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _addresses(self, host: str) -> list[str]:
        try:
            return list(self._resolve(host))
        except (OSError, UnicodeError):
            return []


class RegistrationApp:
    """`/register` and all below it.

    Args:
        settings: all settings, checked.
        events: where log events go.
        registry: where clients are registered.
        config: the issuer.
        limits: of attempts with wrong tokens.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventSink,
        *,
        registry: Registry,
        config: IssuerConfig,
        limits: Limits,
    ) -> None:
        self._registrar = Registrar(registry, now=wall_clock, random_bytes=secrets.token_bytes)
        self._addresses = SsrfGuard(settings.private_jwks_hosts)
        self._endpoint = RegistrationEndpoint(
            self._registrar,
            base=config.base,
            is_public=self._addresses.is_public,
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
        self._addresses.close()
