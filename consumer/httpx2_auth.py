"""`ClientCredentials` and `TokenSource` for httpx2 (RFC 6749 §4.4, RFC 6750 §2.1)."""

import httpx2

from consumer.credentials import ClientCredentialsBase
from consumer.http_library import HttpLibrary
from consumer.token_source import TokenSourceBase

_Transport = httpx2.BaseTransport | httpx2.AsyncBaseTransport
_LIBRARY = HttpLibrary(
    client=httpx2.Client,
    async_client=httpx2.AsyncClient,
    tls_context=httpx2.create_ssl_context,
    errors=(httpx2.HTTPError, httpx2.InvalidURL, OSError),
    request_not_read=httpx2.RequestNotRead,
)


class TokenSource(TokenSourceBase[_Transport]):
    """Get the client's own token, for requests that are sent by other means than `httpx2`."""

    _library = _LIBRARY


class ClientCredentials(
    ClientCredentialsBase[httpx2.Request, httpx2.Response, _Transport], httpx2.Auth
):
    """Authorize the requests of `httpx2` clients, sync and async, with the client's own token."""

    _library = _LIBRARY
