"""Fetch an issuer's JWK set: one fetch at a time, ahead of need, over HTTP or any other way.

RFC 9111 says how long a set serves; `jwks_cache` decides, this carries out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from keys.errors import FetchFailed, InvalidJwkSet, NoKeySet, UnknownKey
from keys.events import EventSink, KeyEvent, LogEvents
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set
from keys.remote.answer import FETCH_TIMEOUT, Fetched, check_json
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    Refuse,
    after_failure,
    after_success,
    decide,
    lifetime_of,
)

FetchJwks = Callable[[str | None], Awaitable[Fetched]]
"""Fetch the key set, given the entity tag of the one at hand; may raise anything."""


class JwksClient:
    """Keep an issuer's key set at hand, for one event loop at a time.

    A request with a known kid never waits; one that needs a fetch shares it with all others.
    """

    def __init__(
        self,
        fetch: FetchJwks,
        *,
        policy: CachePolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_event: EventSink | None = None,
        timeout: float = FETCH_TIMEOUT,
    ) -> None:
        """Prepare; nothing is fetched before `warm`, `current` or `key` asks for it.

        Args:
            fetch: the way to the key set, `HttpJwks` for one over HTTP.
            policy: lifetimes and cool-downs.
            clock: monotonic seconds.
            on_event: gets `jwks.refreshed` (kids) and `jwks.stale` (reason, failures); by default
                they go to the logger `watchword.resource_api`.
            timeout: seconds after which a fetch counts as failed.
        """
        self._fetch = fetch
        self._policy = policy or CachePolicy()
        self._clock = clock
        self._on_event = on_event or LogEvents(clock=clock)
        self._timeout = timeout
        self._state = CacheState()
        self._fetching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Say whether tokens can be judged now: what a readiness probe asks."""
        return self._state.usable(self._clock()) is not None

    async def warm(self) -> bool:
        """Get a key set if there is none and the cool-down allows; say whether there is one."""
        now = self._clock()
        if self._state.usable(now) is None and now >= self._state.retry_at:
            await self._refresh()
        return self.ready

    async def refresh(self) -> bool:
        """Ask the issuer now, whatever the cool-down; say whether there is a usable set after."""
        await self._refresh()
        return self.ready

    def current(self) -> JwkSet | None:
        """Give the usable set, if any, and start a refresh in the background when one is due."""
        now = self._clock()
        state = self._state
        if now < state.refresh_at:
            return state.keys
        if state.refresh_due(now):
            self._start()
        return state.usable(now)

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give the key of this kid and algorithm, fetching if that may help.

        Raises:
            UnknownKey: the issuer's set has no such key, and may not be asked for again yet.
            NoKeySet: there is no usable set.
        """
        decision = decide(self._state, kid, alg, self._clock())
        if isinstance(decision, Fetch):
            await self._refresh()
            decision = decide(self._state, kid, alg, self._clock())
        match decision:
            case PublicJwk():
                return decision
            case Refuse(retry_after=int(seconds)):
                raise NoKeySet(seconds)
            case _:
                raise UnknownKey(kid)

    async def aclose(self) -> None:
        """Stop a refresh that is under way."""
        task = self._running_fetch()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _refresh(self) -> None:
        # Shielded: the first of many waiting requests may be cancelled without hurting the rest.
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        task = self._running_fetch()
        if task is None:
            task = self._fetching = asyncio.get_running_loop().create_task(self._fetch_once())
        return task

    def _running_fetch(self) -> asyncio.Task[None] | None:
        # A fetch of another event loop cannot be waited for, and one whose loop was closed never
        # ends: neither must keep this loop from fetching.
        task = self._fetching
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return None
        return task

    async def _fetch_once(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._fetch(self._state.etag if self._state.keys else None)
            keys = self._parse(answer)
        except Exception as error:
            # A fetch port may raise anything, and none of it may reach a request: the last good
            # set serves on, and the failure counts.
            now = self._clock()
            self._state = after_failure(self._state, self._policy, now=now)
            self._on_event(
                KeyEvent.JWKS_STALE, reason=_reason_of(error), failures=self._state.failures
            )
            return
        before = self._state.keys
        self._state = after_success(
            self._state,
            self._policy,
            now=self._clock(),
            keys=keys,
            etag=answer.headers.get("etag"),
            lifetime=lifetime_of(answer.headers, self._policy),
        )
        current = self._state.keys
        if current is not None and current is not before:
            self._on_event(KeyEvent.JWKS_REFRESHED, kids=[key.kid for key in current.keys])

    def _parse(self, answer: Fetched) -> JwkSet | None:
        if answer.status == 304 and self._state.keys is not None:
            return None
        if answer.status != 200:
            raise FetchFailed(f"status {answer.status}")
        check_json(answer)
        return parse_jwk_set(answer.body)


def _reason_of(error: Exception) -> str:
    """Name a failure without repeating foreign text in the logs."""
    if isinstance(error, FetchFailed | InvalidJwkSet):
        return str(error)
    return type(error).__name__
