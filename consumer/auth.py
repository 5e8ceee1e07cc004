"""`ClientCredentials` and `TokenSource` for httpx (RFC 6749 §4.4, RFC 6750 §2.1)."""

import httpx

from consumer.credentials import ClientCredentialsBase
from consumer.http_library import HttpLibrary
from consumer.token_source import TokenSourceBase

_Transport = httpx.BaseTransport | httpx.AsyncBaseTransport
_LIBRARY = HttpLibrary(
    client=httpx.Client,
    async_client=httpx.AsyncClient,
    tls_context=httpx.create_ssl_context,
    errors=(httpx.HTTPError, httpx.InvalidURL, OSError),
    request_not_read=httpx.RequestNotRead,
)


class TokenSource(TokenSourceBase[_Transport]):
    """Get the client's own token, for requests that are sent by other means than `httpx`."""

    _library = _LIBRARY


class ClientCredentials(
    ClientCredentialsBase[httpx.Request, httpx.Response, _Transport], httpx.Auth
):
    """Authorize the requests of `httpx` clients, sync and async, with the client's own token."""

    _library = _LIBRARY
