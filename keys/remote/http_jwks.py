"""Fetch an issuer's key set over HTTP, found through its metadata (RFC 8414 §3)."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from keys.encoding import parse_json_object
from keys.errors import FetchFailed
from keys.identifiers import (
    InsecureHttp,
    check_issuer,
    is_absent,
    is_loopback,
    metadata_urls,
    split_server_url,
)
from keys.jwks import MAXIMUM_BYTES
from keys.remote.answer import Fetched, check_json
from keys.remote.http_get import HttpGet
from keys.remote.jwks_cache import CachePolicy, lifetime_of

if TYPE_CHECKING:
    import httpx


REVALIDATION = "jwks_revalidation_seconds"
"""The member of an issuer's metadata that says how long its key set may go without being checked.

It is ours. An issuer that does not state it is asked again as `max-age` of its key set says.
"""


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
        allow_insecure_http: InsecureHttp = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            issuer: the configured issuer identifier.
            jwks_uri: its key set, for an issuer that publishes no metadata.
            client: an httpx client of the caller's, which then also closes it. What it gets for a
                loopback address counts only if no proxy was in between.
            allow_insecure_http: which other machines may be asked over plain http. A machine on
                the way there can put its own keys in place of the issuer's.
            clock: monotonic seconds.

        Raises:
            ValueError: a URI that is neither https nor on a host that plain http may lead to.
        """
        self._issuer = issuer
        found = split_server_url(check_issuer(issuer, allow_insecure_http=allow_insecure_http))
        self._may_be_local = is_loopback(found.host)
        if jwks_uri is not None:
            _check_host(jwks_uri, allow_insecure_http)
        # What an issuer on https says must not lead to a less secure place than its own.
        self._insecure_http = allow_insecure_http if found.scheme == "http" else False
        self._configured = self._jwks_uri = jwks_uri
        self._http = HttpGet(maximum=MAXIMUM_BYTES, client=client, clock=clock)
        self._clock = clock
        self._interval: int | None = None
        self._discover_at = 0.0

    async def __call__(self, etag: str | None) -> Fetched:
        """Fetch the key set, or learn that the one with this entity tag is current.

        Raises:
            FetchFailed: the metadata is not this issuer's, or an answer is not what it must be.
        """
        answer = await self._get(await self._find(), etag)
        if answer.status not in (200, 304):
            # The issuer may have moved its key set: look the address up again next time.
            self._jwks_uri = self._configured
        return replace(answer, revalidate=self._interval)

    async def _find(self) -> str:
        """Give the address of the key set, looking it up again once the metadata is stale."""
        known, now = self._jwks_uri, self._clock()
        if now >= self._discover_at:
            # Before it is tried: metadata that cannot be had does not keep the key set away.
            self._discover_at = now + CachePolicy().default_lifetime
        elif known is not None:
            return known
        if self._configured is not None:
            return self._configured
        try:
            self._jwks_uri = await self._discover()
        except Exception:
            if known is None:
                raise
            return known
        return self._jwks_uri

    async def _discover(self) -> str:
        answer = await self._get_metadata()
        if answer.status != 200:
            raise FetchFailed(f"metadata status {answer.status}")
        check_json(answer)
        try:
            metadata = parse_json_object(answer.body)
            jwks_uri = metadata.get("jwks_uri")
            # RFC 8414 §3.3: the issuer must be identical, without any normalising.
            if metadata.get("issuer") != self._issuer:
                raise FetchFailed("metadata of another issuer")
            if not isinstance(jwks_uri, str):
                raise FetchFailed("metadata without jwks_uri")
            host = _check_host(jwks_uri, self._insecure_http)
        except ValueError:
            raise FetchFailed("metadata that is malformed or names an unsafe jwks_uri") from None
        # RFC 8725 §3.10: metadata from elsewhere must not make us call our own machine.
        if is_loopback(host) and not self._may_be_local:
            raise FetchFailed("metadata that names an unsafe jwks_uri")
        self._interval = _interval_of(metadata.get(REVALIDATION))
        self._discover_at = self._clock() + lifetime_of(answer.headers, CachePolicy())
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
        return await get_json(self._http, url, etag)


async def get_json(http: HttpGet, url: str, etag: str | None) -> Fetched:
    """Get a JSON document, or learn that the one with an entity tag is current.

    Raises:
        FetchFailed: as from `HttpGet`.
    """
    # Asked for uncompressed; should it come as gzip all the same, it is bounded both ways.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if etag is not None:
        headers["if-none-match"] = etag
    return await http(url, headers)


def _interval_of(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        return None
    return value


def _check_host(jwks_uri: str, insecure_http: InsecureHttp) -> str:
    url = split_server_url(jwks_uri)
    if not url.may_be_asked(insecure_http):
        raise ValueError("jwks_uri must be https, unless plain http may lead to its host")
    return url.host
