"""Connect to the addresses that were checked, and to no others (RFC 8725 §3.10)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import httpx

from keys.errors import FetchFailed

if TYPE_CHECKING:
    import ssl

Addresses = Callable[[str], Awaitable[Sequence[str]]]
"""Gives the addresses of a host that may be connected to; none if it may not be asked."""


class PinnedTransport(httpx.AsyncHTTPTransport):
    """Sends a request to an address that a check of the host allows.

    The name is resolved once, by the check, so it cannot lead to another address afterwards (DNS
    rebinding). `Host` and the certificate stay those of the name. No proxy is in between, since it
    would resolve the name again.
    """

    def __init__(self, addresses: Addresses, *, verify: "ssl.SSLContext") -> None:
        """Prepare.

        Args:
            addresses: the check.
            verify: the certificates that are trusted.
        """
        super().__init__(verify=verify, trust_env=False)
        self._addresses = addresses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the first address that the check allows.

        Raises:
            FetchFailed: it allows none.
        """
        # As it is in the URL: `url.host` has an internationalised name (RFC 5890 §2.3.2.1) decoded,
        # which no resolver and no certificate knows.
        host = request.url.raw_host.decode("ascii")
        allowed = await self._addresses(host)
        if not allowed:
            raise FetchFailed("no address of the host may be connected to")
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=allowed[0])
        return await super().handle_async_request(request)
