"""Mount the administration API; what it needs is loaded with the first request to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from issuer.administration.http import BASE
from issuer.endpoints.document import Document
from issuer.storage.registry import Registry
from resource_api.metadata import metadata_path
from watchword.logging import Events
from watchword.provider.lazy_endpoint import LazyEndpoint
from watchword.settings import Settings

if TYPE_CHECKING:
    from watchword.provider.protected_admin import AdminGate


class AdminApp:
    """The administration API, ready to be mounted; it is served with the issuer.

    Args:
        settings: all settings, checked.
        events: where log events go.
        registry: what is administered.
        published: gives the issuer's key set.
        prefix: the issuer's own path, under which the API answers too.
    """

    def __init__(
        self,
        settings: Settings,
        events: Events,
        *,
        registry: Registry,
        published: Callable[[], Document],
        prefix: str,
    ) -> None:
        bases = tuple(dict.fromkeys((BASE, prefix + BASE)))

        def load() -> "AdminGate":
            from watchword.provider.protected_admin import AdminGate

            return AdminGate(settings, events, registry=registry, published=published, bases=bases)

        self._settings = settings
        self._bases = bases
        self._endpoint = LazyEndpoint(load)

    def routes(self) -> dict[str, "LazyEndpoint[AdminGate]"]:
        """Return the endpoint by path: below each base, and at its metadata (RFC 9728 §3.1)."""
        routes = {base + "/": self._endpoint for base in self._bases}
        path = metadata_path(self._settings.administration)
        if path is not None:
            routes[path] = self._endpoint
        return routes

    async def stop(self) -> None:
        """Finish what is under way."""
        if self._endpoint.loaded is not None:
            await self._endpoint.loaded.stop()
