"""`ClientCredentials`, `TokenExchange` and `TokenSource` for httpx (RFC 6749, 6750, 8693)."""

import httpx

from consumer.credentials import ClientCredentialsBase
from consumer.http_library import HttpLibrary
from consumer.token_exchange import TokenExchangeBase
from consumer.token_source import TokenSourceBase

_Transport = httpx.BaseTransport | httpx.AsyncBaseTransport
_LIBRARY = HttpLibrary(
    client=httpx.Client,
    async_client=httpx.AsyncClient,
    transport=httpx.BaseTransport,
    tls_context=httpx.create_ssl_context,
    error=httpx.HTTPError,
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


class TokenExchange(TokenExchangeBase[httpx.Request, httpx.Response, _Transport], httpx.Auth):
    """Authorize requests of `httpx` clients in the name of callers: `auth=….for_caller(t)`."""

    _library = _LIBRARY
