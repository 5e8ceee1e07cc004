"""Get a bounded document over HTTP.

Of this package, only this and `pinned_transport` know httpx, imported when it is first used.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keys.encoding import inflate, is_gzip
from keys.errors import FetchFailed
from keys.identifiers import is_loopback
from keys.remote.answer import FETCH_TIMEOUT, Fetched
from keys.telemetry import traced_exchange

if TYPE_CHECKING:
    import ssl

    import httpx

    from keys.remote.pinned_transport import Addresses

CERTIFICATES_FOR = 300
"""Seconds after which the certificates that the system trusts are read again."""


class HttpGet:
    """Gets documents: no redirect is followed, sizes are bounded, and certificates are checked."""

    def __init__(
        self,
        *,
        maximum: int,
        client: "httpx.AsyncClient | None",
        clock: Callable[[], float],
        addresses: "Addresses | None" = None,
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            maximum: the most bytes that are read, as they are sent and as they are unpacked.
            client: an httpx client of the caller's, which then also closes it. What it gets for a
                loopback address counts only if no proxy was in between.
            clock: monotonic seconds.
            addresses: checks hosts, for URLs that are not the caller's own choice; a connection is
                made to what it allows, and past any proxy.
        """
        self._addresses = addresses
        self._maximum = maximum
        self._client = client
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._reading: asyncio.Task[ssl.SSLContext] | None = None
        self._read_again_at = 0.0

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Fetched:
        """Get one document, of whatever status.

        Args:
            url: https, or http on loopback, as the caller has made sure.
            headers: of the request; should gzip come though it was not asked for, it is read.

        Raises:
            FetchFailed: the host cannot be, or the answer is too large, cannot be unpacked, or came
                through a proxy.
        """
        import httpx

        try:
            httpx.URL(url).host  # noqa: B018 - decodes the name, as it does for each request
        except UnicodeError:
            raise FetchFailed("a host that is no internationalised name") from None
        if self._client is not None:
            return await self._get(self._client, url, headers)
        # A client for each fetch: no idle connection, no tie to an event loop.
        # Only this machine may answer for loopback: a proxy could name keys of its own.
        may_be_proxied = not is_loopback(urlsplit(url).hostname or "")
        certificates = await self._certificates()
        transport: httpx.AsyncBaseTransport | None = None
        if self._addresses is not None:
            from keys.remote.pinned_transport import PinnedTransport

            transport = PinnedTransport(self._addresses, verify=certificates)
        async with httpx.AsyncClient(
            timeout=FETCH_TIMEOUT,
            verify=certificates,
            trust_env=may_be_proxied,
            transport=transport,
        ) as client:
            return await self._get(client, url, headers)

    async def _certificates(self) -> "ssl.SSLContext":
        """Return the certificates that the system trusts, read once for all who ask meanwhile."""
        import httpx

        now = self._clock()
        if self._context is not None and now < self._read_again_at:
            return self._context
        reading, loop = self._reading, asyncio.get_running_loop()
        if reading is None or reading.done() or reading.get_loop() is not loop:
            # It takes longer than all the rest of a fetch.
            reading = loop.create_task(asyncio.to_thread(httpx.create_ssl_context))
            self._reading = reading
        self._context = await asyncio.shield(reading)
        self._read_again_at = now + CERTIFICATES_FOR
        return self._context

    async def _get(
        self, client: "httpx.AsyncClient", url: str, headers: Mapping[str, str]
    ) -> Fetched:
        import httpx

        with traced_exchange("GET", url) as exchange:
            sent = {**headers, **exchange.headers}
            try:
                fetched = await self._read(client, url, sent)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # A process of the server ended, and another one answers: RFC 9110 §9.2.2.
                fetched = await self._read(client, url, sent)
            exchange.status = fetched.status
        return fetched

    async def _read(
        self, client: "httpx.AsyncClient", url: str, headers: Mapping[str, str]
    ) -> Fetched:
        async with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
            _check_directness(response)
            return Fetched(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await self._read_body(response),
            )

    async def _read_body(self, response: "httpx.Response") -> bytes:
        try:
            packed = is_gzip(response.headers.get("content-encoding", ""))
        except ValueError as error:
            raise FetchFailed(str(error)) from None
        body = bytearray()
        # httpx would inflate a whole chunk at once, however much comes of it.
        async for chunk in response.aiter_raw() if packed else response.aiter_bytes():
            body += chunk
            if len(body) > self._maximum:
                raise FetchFailed(f"more than {self._maximum} bytes")
        if not packed:
            return bytes(body)
        try:
            return inflate(bytes(body), maximum=self._maximum)
        except ValueError as error:
            raise FetchFailed(f"a gzip body that cannot be read: {error}") from None


def _check_directness(response: "httpx.Response") -> None:
    """Refuse an answer for loopback that came through a proxy of the caller's client."""
    url, stream = response.url, response.extensions.get("network_stream")
    if stream is None or not is_loopback(url.raw_host.decode()):
        return
    peer = stream.get_extra_info("server_addr")
    if not isinstance(peer, tuple):  # a Unix socket, which is on this machine as well
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    if not is_loopback(peer[0]) or peer[1] != port:
        raise FetchFailed("loopback was asked through a proxy; give the client trust_env=False")
