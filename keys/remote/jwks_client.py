"""Fetch an issuer's JWK set: one fetch at a time, ahead of need, over HTTP or any other way.

The only file of this package that knows httpx, imported when it is first used. RFC 8414 §3 finds
the key set, RFC 9111 says how long it serves; `jwks_cache` decides, this carries out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keys.encoding import inflate, is_gzip, parse_json_object
from keys.errors import FetchFailed, InvalidJwkSet, NoKeySet, UnknownKey
from keys.events import EventSink, KeyEvent, LogEvents
from keys.identifiers import (
    check_issuer,
    is_absent,
    is_loopback,
    metadata_urls,
    split_server_url,
)
from keys.jwk import PublicJwk
from keys.jwks import MAXIMUM_BYTES, JwkSet, parse_jwk_set
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

if TYPE_CHECKING:
    import httpx

FETCH_TIMEOUT = 5.0
"""Seconds for one fetch, discovery included, from connecting to the last byte."""

# File servers and object stores call a document by the last two; it is parsed strictly anyway.
_JSON_TYPES = frozenset(
    {"application/json", "application/jwk-set+json", "text/plain", "application/octet-stream"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer to the request for the key set."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; `cache-control`, `age`, `etag` and `content-type` are read."""
    body: bytes = b""


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
        _check_json(answer)
        return parse_jwk_set(answer.body)


def _check_json(answer: Fetched) -> None:
    media_type = answer.headers.get("content-type", "application/json").partition(";")[0]
    if media_type.strip().lower() not in _JSON_TYPES:
        raise FetchFailed("not JSON")


def _reason_of(error: Exception) -> str:
    """Name a failure without repeating foreign text in the logs."""
    if isinstance(error, FetchFailed | InvalidJwkSet):
        return str(error)
    return type(error).__name__


class HttpJwks:
    """Fetch an issuer's key set over HTTP, finding its address in the issuer's metadata.

    No redirect is followed, no answer above 64 KB is read, and certificates are checked.
    """

    def __init__(
        self,
        issuer: str,
        *,
        jwks_uri: str | None = None,
        client: "httpx.AsyncClient | None" = None,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: the configured issuer identifier.
            jwks_uri: its key set, for an issuer that publishes no metadata.
            client: an httpx client of the caller's, which then also closes it. What it gets for a
                loopback address counts only if no proxy was in between.

        Raises:
            ValueError: a URI that is neither https nor on a loopback host.
        """
        self._issuer = issuer
        self._may_be_local = is_loopback(split_server_url(check_issuer(issuer)).host)
        if jwks_uri is not None:
            _secure_host(jwks_uri)
        self._configured = self._jwks_uri = jwks_uri
        self._client = client

    async def __call__(self, etag: str | None) -> Fetched:
        """Fetch the key set, or learn that the one with this entity tag is current.

        Raises:
            FetchFailed: the metadata is not this issuer's, or an answer is not what it must be.
        """
        if self._jwks_uri is None:
            self._jwks_uri = await self._discover()
        answer = await self._get(self._jwks_uri, etag)
        if answer.status not in (200, 304):
            # The issuer may have moved its key set: look the address up again next time.
            self._jwks_uri = self._configured
        return answer

    async def _discover(self) -> str:
        answer = await self._get_metadata()
        if answer.status != 200:
            raise FetchFailed(f"metadata status {answer.status}")
        _check_json(answer)
        try:
            metadata = parse_json_object(answer.body)
            jwks_uri = metadata.get("jwks_uri")
            # RFC 8414 §3.3: the issuer must be identical, without any normalising.
            if metadata.get("issuer") != self._issuer:
                raise FetchFailed("metadata of another issuer")
            if not isinstance(jwks_uri, str):
                raise FetchFailed("metadata without jwks_uri")
            host = _secure_host(jwks_uri)
        except ValueError:
            raise FetchFailed("metadata that is malformed or names an unsafe jwks_uri") from None
        # RFC 8725 §3.10: metadata from elsewhere must not make us call our own machine.
        if is_loopback(host) and not self._may_be_local:
            raise FetchFailed("metadata that names an unsafe jwks_uri")
        return jwks_uri

    async def _get_metadata(self) -> Fetched:
        first, *others = metadata_urls(self._issuer)
        answer = await self._get(first, None)
        for url in others:
            if not is_absent(answer.status):
                break
            other = await self._get(url, None)
            # What the first address said is what an operator reads if nothing is found.
            answer = answer if is_absent(other.status) else other
        return answer

    async def _get(self, url: str, etag: str | None) -> Fetched:
        import httpx

        # Asked for uncompressed; should it come as gzip all the same, it is bounded both ways.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if etag is not None:
            headers["if-none-match"] = etag
        if self._client is not None:
            return await _read(self._client, url, headers)
        # A client for each of a few fetches an hour: no idle connection, no tie to an event loop.
        # Only this machine may answer for loopback: a proxy could name keys of its own.
        may_be_proxied = not is_loopback(urlsplit(url).hostname or "")
        async with httpx.AsyncClient(
            timeout=FETCH_TIMEOUT, verify=httpx.create_ssl_context(), trust_env=may_be_proxied
        ) as client:
            return await _read(client, url, headers)


def _secure_host(jwks_uri: str) -> str:
    url = split_server_url(jwks_uri)
    if not url.is_secure:
        raise ValueError("jwks_uri must be https unless its host is loopback")
    return url.host


async def _read(client: "httpx.AsyncClient", url: str, headers: Mapping[str, str]) -> Fetched:
    async with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        _check_directness(response)
        return Fetched(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=await _read_body(response),
        )


async def _read_body(response: "httpx.Response") -> bytes:
    try:
        packed = is_gzip(response.headers.get("content-encoding", ""))
    except ValueError as error:
        raise FetchFailed(str(error)) from None
    body = bytearray()
    # httpx would inflate a whole chunk at once, however much comes of it.
    async for chunk in response.aiter_raw() if packed else response.aiter_bytes():
        body += chunk
        if len(body) > MAXIMUM_BYTES:
            raise FetchFailed(f"more than {MAXIMUM_BYTES} bytes")
    if not packed:
        return bytes(body)
    try:
        return inflate(bytes(body), maximum=MAXIMUM_BYTES)
    except ValueError as error:
        raise FetchFailed(f"a gzip body that cannot be read: {error}") from None


def _check_directness(response: "httpx.Response") -> None:
    """Refuse an answer for loopback that came through a proxy of the caller's client."""
    url, stream = response.url, response.extensions.get("network_stream")
    if stream is None or not is_loopback(url.host):
        return
    peer = stream.get_extra_info("server_addr")
    if not isinstance(peer, tuple):  # a Unix socket, which is on this machine as well
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    if not is_loopback(peer[0]) or peer[1] != port:
        raise FetchFailed("loopback was asked through a proxy; give the client trust_env=False")
