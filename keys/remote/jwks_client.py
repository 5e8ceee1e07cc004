"""Keep an issuer's JWK set at hand: one fetch at a time, ahead of need, over HTTP or another way.

`jwks_cache` decides, this carries out. Each event loop that a client is used in has its own timer
and its own fetch, since neither outlives its loop.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from keys.errors import CopyRefused, FetchFailed, InvalidJwkSet, NoKeySet, UnknownKey
from keys.events import EventSink, KeyEvent, LogEvents
from keys.jwk import PublicJwk
from keys.jwks import JwkSet, parse_jwk_set
from keys.remote.answer import FETCH_TIMEOUT, Fetched, check_json
from keys.remote.jwks_cache import (
    CachePolicy,
    CacheState,
    Fetch,
    KeySetStatus,
    Refuse,
    after_failure,
    after_restoring,
    after_success,
    decide,
    freshness_of,
    status_of,
    while_asking_for_kid,
)
from keys.remote.per_loop import on_this_loop

if TYPE_CHECKING:
    from keys.remote.key_set_copy import KeySetCopy

FetchJwks = Callable[[str | None], Awaitable[Fetched]]
"""Fetch the key set, given the entity tag of the one at hand; may raise anything."""

MAXIMUM_WAITING = 256
"""Requests that may wait for a fetch at once; those beyond are refused as if there were none."""

random_fraction: Callable[[], float] = random.SystemRandom().random
"""Gives numbers from 0 to 1, and takes none from the generator that a program may have seeded."""


@dataclass(slots=True)
class _OnLoop:
    """What of a client belongs to one event loop."""

    fetching: asyncio.Task[None] | None = None
    saving: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None


class JwksClient:
    """Keep an issuer's key set at hand.

    The first use inside an event loop starts a schedule there, which asks the issuer again before
    the set is older than the issuer wants, until `aclose`. No request waits for it. A request with
    a known kid never waits; one that needs a fetch shares it with all others.
    """

    def __init__(
        self,
        fetch: FetchJwks,
        *,
        policy: CachePolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_event: EventSink | None = None,
        timeout: float = FETCH_TIMEOUT,
        copy: "KeySetCopy | None" = None,
        jitter: Callable[[], float] = random_fraction,
        algorithms: Collection[str] = (),
    ) -> None:
        """Prepare; nothing is fetched before `warm`, `current` or `key` asks for it.

        Args:
            fetch: the way to the key set, `HttpJwks` for one over HTTP.
            policy: lifetimes and cool-downs.
            clock: monotonic seconds.
            on_event: gets `jwks.refreshed` (kids), `jwks.stale` (reason, failures), `jwks.restored`
                (kids, age in seconds) and `jwks.copy_refused` (reason); by default they go to the
                logger `watchword.resource_api`.
            timeout: seconds after which a fetch counts as failed.
            copy: keeps the last good set on disk, for a start while the issuer is away; the
                issuer's status lists have their copies beside it.
            jitter: gives numbers from 0 to 1, by which the processes of an API ask at different
                times.
            algorithms: of keys without `alg`, as `parse_jwk_set` takes them.
        """
        self._fetch = fetch
        self._policy = policy or CachePolicy()
        self._clock = clock
        self._on_event = on_event or LogEvents(clock=clock)
        self._timeout = timeout
        self.copy = copy
        """Keeps the last good set on disk; None without one."""
        self._jitter = jitter
        self._algorithms = algorithms
        self._state = CacheState()
        self._waiting = 0
        self._loops: dict[asyncio.AbstractEventLoop, _OnLoop] = {}

    @property
    def ready(self) -> bool:
        """Say whether tokens can be judged now: what a readiness probe asks."""
        return self._state.usable(self._clock()) is not None

    def status(self) -> KeySetStatus:
        """Say how old the set is, what it holds and when the issuer is asked next, for gauges."""
        return status_of(self._state, self._clock())

    async def warm(self) -> bool:
        """Get a key set if there is none and one may be asked for; say whether there is one."""
        now = self._clock()
        if self._state.usable(now) is None and now >= self._state.refresh_at:
            await self.refresh()
        return self.ready

    async def refresh(self) -> bool:
        """Ask the issuer now, whatever the schedule; say whether there is a usable set after."""
        await self._wait_for(self._start())
        return self.ready

    def current(self) -> JwkSet | None:
        """Give the usable set, if any, and have the issuer asked in the background when due.

        Raises:
            RuntimeError: the issuer is to be asked, and no event loop runs on this thread.
        """
        now = self._clock()
        state = self._state
        if now < state.refresh_at:
            return state.keys
        self._start()
        return state.usable(now)

    async def key(self, kid: str, alg: str) -> PublicJwk:
        """Give the key of this kid and algorithm, fetching if that may help.

        Raises:
            UnknownKey: the issuer's set has no such key, and may not be asked for again yet.
            NoKeySet: there is no usable set.
        """
        since = self._clock()
        decision = decide(self._state, kid, alg, since)
        # Twice: a fetch that was under way may have begun before the key was published.
        for _ in range(2):
            if isinstance(decision, PublicJwk) or self._waiting >= MAXIMUM_WAITING:
                break
            flight = self._here().fetching
            if flight is None and not isinstance(decision, Fetch):
                break
            await self._wait_for(flight or self._start(kid))
            decision = decide(self._state, kid, alg, self._clock(), since=since)
        if isinstance(decision, PublicJwk):
            return decision
        if self.ready:
            raise UnknownKey(kid)
        raise NoKeySet((isinstance(decision, Refuse) and decision.retry_after) or 1)

    async def renew(self) -> None:
        """Fetch the set again as for an unknown kid, and as seldom: it lacks a key without one."""
        with suppress(UnknownKey, NoKeySet):
            await self.key("", "")

    async def aclose(self) -> None:
        """End the schedule of this event loop, and a fetch that is under way."""
        here = self._here()
        if here.timer is not None:
            here.timer.cancel()
        if here.fetching is not None:
            here.fetching.cancel()
            await asyncio.wait([here.fetching])
            here.fetching = None  # one that had not begun does not say so itself
        if here.saving is not None:
            await asyncio.wait([here.saving], timeout=self._timeout)

    def _here(self) -> _OnLoop:
        return on_this_loop(self._loops, _OnLoop)

    async def _wait_for(self, fetching: asyncio.Task[None]) -> None:
        self._waiting += 1
        try:
            # Shielded: the first of many waiting requests may be cancelled without hurting the
            # rest.
            await asyncio.shield(fetching)
        finally:
            self._waiting -= 1

    def _start(self, kid: str | None = None) -> asyncio.Task[None]:
        """Ask the issuer, unless that is under way; `kid` is the unknown one that is the cause."""
        here = self._here()
        if here.fetching is None:
            if kid is not None:
                self._state = while_asking_for_kid(self._state, self._policy, now=self._clock())
            here.fetching = asyncio.get_running_loop().create_task(self._fetch_once(here, kid))
        return here.fetching

    async def _fetch_once(self, here: _OnLoop, kid: str | None) -> None:
        started = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._fetch(self._state.etag)
            keys = self._parse(answer)
        except Exception as error:
            # A fetch port may raise anything, and none of it may reach a request: the last good
            # set serves on, and the failure counts.
            await self._note_failure(error)
        else:
            self._note_success(here, answer, keys, started, kid)
        finally:
            here.fetching = None
        self._schedule(here)

    def _note_success(
        self, here: _OnLoop, answer: Fetched, keys: JwkSet | None, started: float, kid: str | None
    ) -> None:
        before, now = self._state.keys, self._clock()
        freshness = freshness_of(answer, self._policy)
        self._state = after_success(
            self._state,
            self._policy,
            started=started,
            now=now,
            keys=keys,
            etag=answer.headers.get("etag"),
            freshness=freshness,
            kid=kid,
            jitter=self._jitter(),
        )
        current = self._state.keys
        if current is not None and current is not before:
            self._on_event(KeyEvent.JWKS_REFRESHED, kids=[key.kid for key in current.keys])
        copy = self.copy
        if copy is not None and copy.is_due(answer.body, freshness) and here.saving is None:
            save = partial(copy.save, answer.body, freshness, age=now - started)
            here.saving = asyncio.get_running_loop().create_task(self._save(here, save))

    async def _note_failure(self, error: Exception) -> None:
        now = self._clock()
        self._state = after_failure(self._state, self._policy, now=now, jitter=self._jitter())
        self._on_event(KeyEvent.JWKS_STALE, reason=_reason_of(error), failures=self._state.failures)
        if self.copy is not None and self._state.keys is None:
            await self._restore(self.copy)

    async def _restore(self, copy: "KeySetCopy") -> None:
        """Take the set that was kept on disk, if it may still serve."""
        try:
            async with asyncio.timeout(self._timeout):  # a request may be waiting for this
                kept = await asyncio.to_thread(copy.load)
        except (CopyRefused, TimeoutError) as error:
            self._on_event(KeyEvent.JWKS_COPY_REFUSED, reason=_reason_of(error))
            return
        now = self._clock()
        if kept is None or self._state.keys is not None:
            return
        self._state = after_restoring(
            self._state,
            self._policy,
            now=now,
            keys=kept.keys,
            age=kept.age,
            good_for=kept.good_for,
        )
        if self.ready:
            kids = [key.kid for key in kept.keys.keys]
            self._on_event(KeyEvent.JWKS_RESTORED, kids=kids, age=round(kept.age))

    async def _save(self, here: _OnLoop, save: Callable[[], None]) -> None:
        """Keep an answer on disk; a disk that fails or is slow keeps no request waiting."""
        try:
            await asyncio.to_thread(save)
        except CopyRefused as error:
            self._on_event(KeyEvent.JWKS_COPY_REFUSED, reason=str(error))
        finally:
            here.saving = None

    def _schedule(self, here: _OnLoop) -> None:
        """Have the issuer asked again when it is time, as long as the client is in use."""
        if here.timer is not None:
            here.timer.cancel()
        wait = max(0.0, self._state.refresh_at - self._clock())
        here.timer = asyncio.get_running_loop().call_later(wait, _tick, ref(self), here)

    def _parse(self, answer: Fetched) -> JwkSet | None:
        if answer.status == 304 and self._state.etag is not None:  # it was asked with that tag
            return None
        if answer.status != 200:
            raise FetchFailed(f"status {answer.status}")
        check_json(answer)
        return parse_jwk_set(answer.body, algorithms=self._algorithms)


def _tick(client: "ref[JwksClient]", here: _OnLoop) -> None:
    # Weak: a client that the application dropped asks no more.
    alive = client()
    if alive is not None:
        alive.current()
        if here.fetching is None:  # the clock says that it is not yet time
            alive._schedule(here)


def _reason_of(error: Exception) -> str:
    """Name a failure without repeating foreign text in the logs."""
    if isinstance(error, FetchFailed | InvalidJwkSet | CopyRefused):
        return str(error)
    return type(error).__name__
