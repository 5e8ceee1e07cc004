"""Keep the status lists of an issuer at hand, fetched over HTTP ahead of need.

`status_list` reads them, this fetches. A list is asked for when a good token names it first, and
from then on in the background as long as tokens use it. Schedules are kept by a monotonic clock;
only what a list says of itself is compared with the time of day.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import ref

from keys.errors import CopyRefused, FetchFailed, NoKeySet, UnknownKey
from keys.events import EventSink
from keys.jwk import PublicJwk
from keys.remote.answer import FETCH_TIMEOUT
from keys.remote.http_get import HttpGet
from keys.remote.jwks_client import JwksClient, random_fraction
from keys.remote.per_loop import on_this_loop
from resource_api.errors import InvalidToken, Reason, StatusUnavailable
from resource_api.events import Event, log_events
from resource_api.status_list import (
    MAX_LIST_BYTES,
    MEDIA_TYPE,
    InvalidStatusList,
    StatusList,
    parse_list_token,
    verify_status_list,
)
from resource_api.status_list_copies import StatusListCopies
from resource_api.validator import KeySource

if TYPE_CHECKING:
    import httpx

MAXIMUM_LISTS = 64
MAXIMUM_BYTES = 32 * 2**20
"""The most memory that the lists of one issuer take; those used longest ago make room."""
MAXIMUM_WAITING = 256
"""Requests that may wait for lists at once; those beyond are refused as if there were none."""
UNUSED_FOR = 1800
"""Seconds after which a list that no token used is dropped."""
STALE_FOR = 86_400
LONGEST_PAUSE = 30
"""The most seconds between two tries while a list cannot be had."""


@dataclass(slots=True)
class _Held:
    """What is known of one list; times are monotonic seconds."""

    used_at: float
    statuses: StatusList | None = None
    etag: str | None = None
    key: PublicJwk | None = None
    refresh_at: float = -math.inf
    good_until: float = -math.inf
    failures: int = 0
    is_refused: bool = False
    """Whether the last answer was a list that is not to be believed, rather than none."""


@dataclass(slots=True)
class _OnLoop:
    """What belongs to one event loop, by the URI of the list."""

    fetching: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    unsaved: dict[str, bytes] = field(default_factory=dict)
    saving: asyncio.Task[None] | None = None


class StatusListClient:
    """The status lists of one issuer, over HTTP; a `StatusSource`.

    A request waits only for the first fetch of a list, which it shares with all others, and for
    one while no list is in force. What is at hand is asked for again by the list's `ttl` after it
    was fetched, and serves until its `exp` while it cannot be had. Where the keys have a copy on
    disk, the lists have copies in a folder beside it, for a start while the issuer is away.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        stale_for: float = STALE_FOR,
        client: "httpx.AsyncClient | None" = None,
        clock: Callable[[], float] = time.time,  # noqa: TID251  # the shell where the clock enters
        monotonic: Callable[[], float] = time.monotonic,
        on_event: EventSink | None = None,
        timeout: float = FETCH_TIMEOUT,
        jitter: Callable[[], float] = random_fraction,
    ) -> None:
        """Prepare; nothing is fetched before a token names a list.

        Args:
            keys: the issuer's, which sign its lists. The copies of a `JwksClient` with the copy
                `jwks.json` are in the folder `jwks.json.lists`.
            stale_for: seconds after which a list that could not be confirmed serves no longer, if
                that is before its `exp`.
            client: an httpx client of the caller's, which then also closes it. What it gets for a
                loopback address counts only if no proxy was in between.
            clock: seconds since the epoch.
            monotonic: monotonic seconds.
            on_event: gets `status_list.stale` (uri, reason, failures), `status_list.restored` (uri,
                age in seconds since it was issued) and `status_list.copy_refused` (uri, reason); by
                default they go to the logger `watchword.resource_api`.
            timeout: seconds after which a fetch counts as failed.
            jitter: gives numbers from 0 to 1, by which the processes of an API ask at different
                times.
        """
        self._keys = keys
        self._stale_for = stale_for
        self._http = HttpGet(maximum=MAX_LIST_BYTES, client=client, clock=monotonic)
        self._clock = clock
        self._monotonic = monotonic
        self._on_event = on_event or log_events(clock=monotonic)
        self._timeout = timeout
        self._jitter = jitter
        copy = keys.copy if isinstance(keys, JwksClient) else None
        self._copies: StatusListCopies | None = None
        if copy is not None:
            self._copies = StatusListCopies(copy.path.with_name(f"{copy.path.name}.lists"))
        self._held: dict[str, _Held] = {}
        self._waiting = 0
        self._loops: dict[asyncio.AbstractEventLoop, _OnLoop] = {}

    @property
    def ages(self) -> list[float]:
        """Seconds since each list at hand was issued, for gauges."""
        now = self._clock()
        issued = [held.statuses.issued_at for held in [*self._held.values()] if held.statuses]
        return [max(0.0, now - each) for each in issued]

    def current(self, uri: str) -> StatusList | None:
        """Give the list if it is in force, and have it asked for in the background when due.

        Raises:
            RuntimeError: it is to be asked for, and no event loop runs on this thread.
        """
        held = self._held.get(uri)
        if held is None:
            return None
        held.used_at = now = self._monotonic()
        if now >= held.refresh_at:
            self._start(uri, held)
        return held.statuses if now < held.good_until else None

    async def get(self, uri: str) -> StatusList:
        """Give the list, fetching it if that may help.

        Raises:
            StatusUnavailable: it cannot be had, and may not be asked for again yet.
            InvalidToken: what is served there is not a list of this issuer that is in force.
        """
        held = self._held.get(uri) or self._admit(uri)
        flight = self._here().fetching.get(uri)
        if flight is None and self._monotonic() >= held.refresh_at:
            flight = self._start(uri, held)
        if flight is not None and self._waiting < MAXIMUM_WAITING:
            await self._wait_for(flight)
        statuses = self.current(uri)
        if statuses is not None:
            return statuses
        if held.is_refused:
            raise InvalidToken(Reason.INVALID_STATUS)
        pause = held.refresh_at - self._monotonic()
        raise StatusUnavailable(max(1, math.ceil(pause)) if math.isfinite(pause) else 1)

    async def aclose(self) -> None:
        """End the schedules of this event loop, and the fetches that are under way."""
        here = self._here()
        for timer in here.timers.values():
            timer.cancel()
        here.timers.clear()
        fetches = [*here.fetching.values()]
        for fetch in fetches:
            fetch.cancel()
        if fetches:
            await asyncio.wait(fetches)
        here.fetching.clear()  # one that had not begun does not say so itself
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

    def _admit(self, uri: str) -> _Held:
        if len(self._held) >= MAXIMUM_LISTS and not self._drop_one(uri):
            raise StatusUnavailable(1)
        self._held[uri] = held = _Held(self._monotonic())
        return held

    def _drop_one(self, keep: str) -> bool:
        """Drop the list that was used longest ago, but none that is being fetched."""
        here = self._here()
        others = [uri for uri in [*self._held] if uri != keep and uri not in here.fetching]
        if others:
            oldest = min(others, key=lambda uri: self._held[uri].used_at)
            del self._held[oldest]
            if (timer := here.timers.pop(oldest, None)) is not None:
                timer.cancel()
        return bool(others)

    def _start(self, uri: str, held: _Held) -> asyncio.Task[None]:
        here = self._here()
        flight = here.fetching.get(uri)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fetch_once(here, uri, held))
            here.fetching[uri] = flight
        return flight

    async def _fetch_once(self, here: _OnLoop, uri: str, held: _Held) -> None:
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                statuses = await self._fetch(here, uri, held)
        except Exception as error:
            # Whatever it is, none of it may reach a request: the list at hand serves on.
            self._note_failure(uri, held, error)
            if self._copies is not None and held.statuses is None:
                await self._restore(self._copies, uri, held)
        else:
            self._note_success(held, statuses, started)
        finally:
            here.fetching.pop(uri, None)
        self._make_room(uri)
        self._schedule(here, uri, held)

    async def _fetch(self, here: _OnLoop, uri: str, held: _Held) -> StatusList:
        headers = {"accept": MEDIA_TYPE, "accept-encoding": "gzip"}
        # What a key signed that was withdrawn since is not to be confirmed.
        if held.etag is not None and self._is_published(held.key):
            headers["if-none-match"] = held.etag
        answer = await self._http(uri, headers)
        if answer.status == 304 and "if-none-match" in headers and held.statuses is not None:
            if self._clock() >= held.statuses.expires_at:
                held.etag = None
                raise InvalidStatusList("a list that expired")
            return held.statuses
        if answer.status != 200:
            raise FetchFailed(f"status {answer.status}")
        if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise FetchFailed(f"not {MEDIA_TYPE}")
        statuses = await self._judge(uri, held, answer.body)
        held.etag = answer.headers.get("etag")
        if self._copies is not None and len(here.unsaved) < MAXIMUM_LISTS:
            here.unsaved[uri] = answer.body
            if here.saving is None:
                here.saving = asyncio.create_task(self._save(here, self._copies))
        return statuses

    async def _judge(self, uri: str, held: _Held, body: bytes) -> StatusList:
        # On a thread: a list of a million tokens takes milliseconds.
        parsed = await asyncio.to_thread(parse_list_token, body)
        key = await self._keys.key(parsed.header.kid, parsed.header.alg)
        statuses = await asyncio.to_thread(
            verify_status_list, parsed, key, uri=uri, now=self._clock()
        )
        # Nor does it keep out the issuer's own list: a stolen key may have signed any number.
        known = held.statuses if self._is_published(held.key) else None
        if known is not None and statuses.is_older_than(known):
            raise InvalidStatusList("an older list than the one at hand")
        held.key = key
        return statuses

    def _is_published(self, key: PublicJwk | None) -> bool:
        published = self._keys.current()
        return published is not None and key in published.keys

    async def _save(self, here: _OnLoop, copies: StatusListCopies) -> None:
        """Keep lists on disk; a disk that fails or is slow keeps no request waiting."""
        try:
            while here.unsaved:
                uri = next(iter(here.unsaved))
                try:
                    await asyncio.to_thread(copies.save, uri, here.unsaved.pop(uri))
                except CopyRefused as error:
                    self._on_event(Event.STATUS_LIST_COPY_REFUSED, uri=uri, reason=str(error))
                    if uri in self._held:
                        self._held[uri].etag = None  # asked for in full, it is written next time
        finally:
            here.saving = None

    async def _restore(self, copies: StatusListCopies, uri: str, held: _Held) -> None:
        """Take the list that was kept on disk, if it may still serve."""
        try:
            async with asyncio.timeout(self._timeout):  # a request may be waiting for this
                body = await asyncio.to_thread(copies.load, uri)
                statuses = None if body is None else await self._judge(uri, held, body)
        except Exception as error:
            self._on_event(Event.STATUS_LIST_COPY_REFUSED, uri=uri, reason=_reason_of(error))
            return
        if statuses is None:
            return
        now = self._clock()
        age = now - statuses.issued_at
        held.statuses, held.is_refused = statuses, False
        # Nothing else that is signed says when it was good last.
        left = min(statuses.expires_at - now, self._stale_for - max(0.0, age))
        held.good_until = self._monotonic() + left
        if left > 0:
            self._on_event(Event.STATUS_LIST_RESTORED, uri=uri, age=round(age))

    def _note_success(self, held: _Held, statuses: StatusList, started: float) -> None:
        left = statuses.expires_at - self._clock()
        held.statuses = statuses
        # In time for another try before it ends; and by `ttl` at the latest, some earlier.
        wait = min(statuses.ttl, max(1, 0.8 * left)) * (0.95 - 0.05 * self._jitter())
        held.refresh_at = started + wait
        held.good_until = min(self._monotonic() + left, started + self._stale_for)
        held.failures, held.is_refused = 0, False

    def _note_failure(self, uri: str, held: _Held, error: Exception) -> None:
        now = self._monotonic()
        held.failures += 1
        held.is_refused = isinstance(error, InvalidStatusList | UnknownKey)
        # Not longer than `ttl` while a list serves, so that a server that is back is asked in time.
        serves = held.statuses is not None and now < held.good_until
        longest = held.statuses.ttl if serves and held.statuses is not None else LONGEST_PAUSE
        pause = min(longest, LONGEST_PAUSE, 2.0 ** min(held.failures - 1, 16))
        pause *= 1 - 0.1 * self._jitter()
        held.refresh_at = now + pause
        self._on_event(
            Event.STATUS_LIST_STALE, uri=uri, reason=_reason_of(error), failures=held.failures
        )

    def _make_room(self, keep: str) -> None:
        while sum(map(_size_of, [*self._held.values()])) > MAXIMUM_BYTES:
            if not self._drop_one(keep):
                break

    def _schedule(self, here: _OnLoop, uri: str, held: _Held) -> None:
        """Have a list asked for again when it is time, if there was one."""
        if held.statuses is None or self._held.get(uri) is not held:
            return
        timer = here.timers.pop(uri, None)
        if timer is not None:
            timer.cancel()
        wait = max(0.0, held.refresh_at - self._monotonic())
        loop = asyncio.get_running_loop()
        here.timers[uri] = loop.call_later(wait, _tick, ref(self), here, uri)

    def _look_at(self, here: _OnLoop, uri: str) -> None:
        here.timers.pop(uri, None)
        held = self._held.get(uri)
        if held is None:
            return
        now = self._monotonic()
        serves_an_outage = held.failures > 0 and now < held.good_until
        if now - held.used_at >= UNUSED_FOR and not serves_an_outage:
            del self._held[uri]
        elif now >= held.refresh_at:
            self._start(uri, held)
        else:  # the clock says that it is not yet time
            self._schedule(here, uri, held)


def _tick(client: "ref[StatusListClient]", here: _OnLoop, uri: str) -> None:
    # Weak: a client that the application dropped asks no more.
    alive = client()
    if alive is not None:
        alive._look_at(here, uri)


def _size_of(held: _Held) -> int:
    return 0 if held.statuses is None else held.statuses.size


def _reason_of(error: Exception) -> str:
    """Name a failure without repeating foreign text in the logs."""
    if isinstance(error, CopyRefused | FetchFailed | InvalidStatusList):
        return str(error)
    if isinstance(error, UnknownKey):
        return "a list that no key of the issuer signed"
    if isinstance(error, NoKeySet):
        return "the issuer's keys could not be had"
    return type(error).__name__
