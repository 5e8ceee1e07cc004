"""Wire the demo API, which knows of the issuer only what the issuer publishes."""

from collections.abc import Callable, Iterator

from issuer.endpoints.asgi import Message, Receive, Scope, Send
from issuer.endpoints.document import Document
from issuer.events import EventSink
from keys.remote.jwks_client import JwksClient
from keys.replay import ReplayStore
from resource_api.demo.app import create_demo_api
from resource_api.demo.values import ResourceValue
from resource_api.possession import Binding
from resource_api.status_lists import StatusListClient
from resource_api.validator import StatusSource
from watchword.metrics import Series
from watchword.provider.published_keys import PublishedKeys
from watchword.provider.replay_store import SharedReplays
from watchword.settings import Settings


class DemoApiApp:
    """The demo API, ready to be mounted.

    Args:
        settings: all settings, checked.
        events: where log events go.
        published: gives the issuer's key set where it is served by this very process; None to get
            it over HTTP like any other API.
        statuses: gives its status lists, likewise.
        claims: where the issuer claims what counts once, likewise; None to remember used proofs in
            this process alone.
        value: where the demo resource is kept.
        prefix: a path under which the API answers too.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventSink,
        *,
        published: Callable[[], Document] | None,
        statuses: StatusSource | None,
        claims: ReplayStore | None,
        value: ResourceValue,
        prefix: str = "",
    ) -> None:
        self._prefix = prefix
        self._api = create_demo_api(
            issuer=settings.issuer,
            resource=settings.default_resource,
            allow_insecure_http=settings.allow_insecure_http,
            jwks=None if published is None else PublishedKeys(published),
            status_lists=statuses,
            value=value,
            # The prefix is the issuer's path, and is taken off before.
            binding=Binding(
                base_url=settings.issuer_config.base if prefix else "",
                replays=None if claims is None else SharedReplays(claims),
            ),
            on_event=events,
        )

    def measure(self) -> Iterator[tuple[Series, float]]:
        """Measure the age of what is fetched over HTTP."""
        for issuer in self._api.protection.issuers:
            if (
                isinstance(issuer.keys, JwksClient)
                and (age := issuer.keys.status().age) is not None
            ):
                yield ("watchword_jwks_age_seconds",), age
            if isinstance(issuer.statuses, StatusListClient) and issuer.statuses.ages:
                yield ("watchword_status_list_age_seconds",), max(issuer.statuses.ages)

    def ready(self) -> bool:
        """Tell whether there is a key set to judge tokens by."""
        return self._api.ready

    async def start(self) -> None:
        """Get the key set, if it is to be had; serving starts either way."""
        await self._api.warm()

    async def stop(self) -> None:
        """Stop what is being fetched."""
        await self._api.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, at the root or under the prefix."""
        if self._prefix and scope["path"].startswith(self._prefix + "/"):
            scope = _without_prefix(scope, self._prefix)
        await self._api(scope, receive, send)


def _without_prefix(scope: Scope, prefix: str) -> Scope:
    # The issuer's path is plain segments, so that it is the same bytes encoded and decoded.
    shortened: Message = {**scope, "path": scope["path"].removeprefix(prefix)}
    raw_path: bytes | None = scope.get("raw_path")
    if raw_path is not None:
        shortened["raw_path"] = raw_path.removeprefix(prefix.encode("ascii"))
    return shortened
