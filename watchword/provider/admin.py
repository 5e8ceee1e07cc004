"""The administration API: the issuer's operations behind the middleware of `resource_api`.

It accepts the provider's own tokens, for the audience `Settings.administration`; which scopes a
route needs is in `issuer.administration.http.routes`. Loaded with the first request.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Self

from issuer.administration.authority import Authority
from issuer.administration.http import BASE as ADMIN_PATH
from issuer.administration.http.endpoint import AdministrationEndpoint, App
from issuer.administration.http.problems import ProblemKind, write_problem
from issuer.administration.http.route import Operations
from issuer.administration.local import Administration
from issuer.administration.provider import Measure, ProviderAdministration, SigningKeys
from issuer.endpoints.asgi import Receive, Scope, Send, respond
from issuer.endpoints.document import Document
from issuer.events import EventSink
from issuer.registry.audit import Actor, Via
from issuer.registry.errors import CallerNotActive, StoreUnavailable
from issuer.storage.registry import Registry
from keys.key_types import ALGORITHMS
from keys.replay import ReplayStore
from resource_api.access_token import AccessToken
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, ResourceError
from resource_api.guard import Guard, require
from resource_api.middleware import SCOPE_KEY, BearerMiddleware
from resource_api.possession import Binding
from resource_api.validator import StatusSource
from watchword.ambient import wall_clock
from watchword.logging import request_id
from watchword.provider.published_keys import PublishedKeys
from watchword.provider.replay_store import SharedReplays
from watchword.registry import ADMIN_SCOPES
from watchword.settings import Settings

_ADMINISTRATOR = "watchword.administrator"
"""In the scope of a request of this process: who makes it. No peer can set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """Who administers.

    Args:
        name: a client id; of `Via.CONSOLE`, a user of the machine, who has the database itself.
        via: the interface.
        scopes: what the administrator holds on the administration.
        since: seconds since the epoch, when that was proven.
    """

    name: str
    via: Via
    scopes: frozenset[str]
    since: float

    @classmethod
    def of_token(cls, token: AccessToken) -> Self:
        """Return who holds an access token."""
        return cls(name=token.client_id, via=Via.API, scopes=token.scopes, since=token.issued_at)


class AdminApp:
    """The administration API with its middleware.

    Args:
        settings: all settings, checked.
        events: where log events go.
        registry: what is administered.
        published: gives the issuer's key set.
        statuses: gives its status lists.
        claims: where the issuer claims what counts once.
        keys: the issuer's signing keys.
        measure: measures how the provider fares.
        bases: the paths that it is mounted at.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventSink,
        *,
        registry: Registry,
        published: Callable[[], Document],
        statuses: StatusSource,
        claims: ReplayStore,
        keys: SigningKeys,
        measure: Measure,
        bases: tuple[str, ...],
    ) -> None:
        self._settings = settings
        self._events = events
        self._registry = registry
        self._keys = keys
        self._measure = measure
        self._endpoint = AdministrationEndpoint(
            bases, administer=self._administer, guard=_guard, events=events
        )
        self._protected = BearerMiddleware(
            self._endpoint,
            issuer=settings.issuer,
            resource=settings.administration,
            jwks=PublishedKeys(published),
            status_lists=statuses,
            policy=ResourcePolicy(
                issuer=settings.issuer,
                resource=settings.administration,
                allow_insecure_http=settings.allow_insecure_http,
                # One key, one algorithm: a token of any of ours is as good.
                algorithms=tuple(ALGORITHMS),
                realm="administration",
                scopes_supported=ADMIN_SCOPES,
            ),
            binding=Binding(
                base_url=settings.issuer_config.base.removesuffix(settings.issuer_config.path),
                replays=SharedReplays(claims),
            ),
            on_event=events,
        )

    async def stop(self) -> None:
        """End the threads."""
        self._endpoint.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, whether a proxy took the issuer's path off or not."""
        path = self._settings.issuer_config.path
        if path and scope["path"].startswith(ADMIN_PATH + "/"):
            # DPoP proofs (RFC 9449 §4.3) and `Location` have the URL that the caller knows.
            raw: bytes | None = scope.get("raw_path")
            public = {} if raw is None else {"raw_path": path.encode("ascii") + raw}
            scope = {**scope, "path": path + scope["path"], **public}
        await self._protected(scope, receive, send)

    async def serve_within(
        self, administrator: Administrator, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request of this process, which has found out whose it is."""
        await self._endpoint({**scope, _ADMINISTRATOR: administrator}, receive, send)

    async def _administer(self, scope: Scope, needed: tuple[str, ...]) -> Operations:
        caller: Administrator | None = scope.get(_ADMINISTRATOR)
        if caller is None:
            caller = Administrator.of_token(await self._recheck(scope[SCOPE_KEY]))
        administration = self._settings.administration
        by = Actor(name=caller.name, via=caller.via, request_id=request_id())
        authority = None
        if caller.via is Via.API:
            authority = Authority(
                administration=administration,
                scopes=caller.scopes,
                needed=frozenset(needed),
                issued_at=caller.since,
            )
        return Operations(
            registry=Administration(
                self._registry,
                by=by,
                now=wall_clock,
                random_bytes=secrets.token_bytes,
                default_resource=self._settings.default_resource,
                kept_resources=(administration,),
                authority=authority,
            ),
            provider=ProviderAdministration(
                self._registry,
                by=by,
                now=wall_clock,
                authority=authority,
                keys=self._keys,
                measure=self._measure,
                events=self._events,
            ),
        )

    async def _recheck(self, token: AccessToken) -> AccessToken:
        """Return a token that still counts, now that the request has arrived whole.

        Raises:
            CallerNotActive: it does not.
            StoreUnavailable: that cannot be told now.
        """
        try:
            await self._protected.protection.recheck(token)
        except InvalidToken:
            told = "the access token was revoked, or has expired, while the request arrived"
            raise CallerNotActive(told) from None
        except ResourceError:
            raise StoreUnavailable("whether the access token still counts") from None
        return token


def _guard(scopes: tuple[str, ...], app: App) -> App:
    by_token = _demand(scopes).app(app)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        caller: Administrator | None = scope.get(_ADMINISTRATOR)
        if caller is None:
            await by_token(scope, receive, send)
        elif missing := set(scopes) - caller.scopes:
            await _refuse(send, missing)
        else:
            await app(scope, receive, send)

    return serve


async def _refuse(send: Send, missing: set[str]) -> None:
    kind = ProblemKind("insufficient-scope", 403, "The caller does not hold the scopes")
    document = write_problem(kind, f"this takes {' '.join(sorted(missing))}")
    headers = ((b"content-type", b"application/problem+json"), (b"cache-control", b"no-store"))
    await respond(send, kind.status, headers, json.dumps(document).encode())


@cache
def _demand(scopes: tuple[str, ...]) -> Guard:
    return require(*scopes)
