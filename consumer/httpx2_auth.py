"""`ClientCredentials`, `TokenExchange` and `TokenSource` for httpx2 (RFC 6749, 6750, 8693)."""

import httpx2

from consumer.credentials import ClientCredentialsBase
from consumer.http_library import HttpLibrary
from consumer.token_exchange import TokenExchangeBase
from consumer.token_source import TokenSourceBase

_Transport = httpx2.BaseTransport | httpx2.AsyncBaseTransport
_LIBRARY = HttpLibrary.of(httpx2)


class TokenSource(TokenSourceBase[_Transport]):
    """Get the client's own token, for requests that are sent by other means than `httpx2`."""

    _library = _LIBRARY


class ClientCredentials(
    ClientCredentialsBase[httpx2.Request, httpx2.Response, _Transport], httpx2.Auth
):
    """Authorize the requests of `httpx2` clients, sync and async, with the client's own token."""

    _library = _LIBRARY


class TokenExchange(TokenExchangeBase[httpx2.Request, httpx2.Response, _Transport], httpx2.Auth):
    """Authorize requests of `httpx2` clients in the name of callers: `auth=….for_caller(t)`."""

    _library = _LIBRARY
