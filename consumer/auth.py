"""`ClientCredentials`, `TokenExchange` and `TokenSource` for httpx (RFC 6749, 6750, 8693)."""

import ssl
from collections.abc import Collection

import httpx

from consumer.credentials import ClientCredentialsBase
from consumer.errors import ConsumerError, error_of
from consumer.http_library import HttpLibrary
from consumer.issuer_http import IssuerHttp
from consumer.resource_metadata import ProtectedResource, find_steps
from consumer.token_exchange import TokenExchangeBase
from consumer.token_source import TokenSourceBase, boot_time
from keys.identifiers import InsecureHttp

_Transport = httpx.BaseTransport | httpx.AsyncBaseTransport
_LIBRARY = HttpLibrary.of(httpx)


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


def find_resource(
    url: str,
    issuers: Collection[str],
    *,
    allow_insecure_http: InsecureHttp = False,
    transport: httpx.BaseTransport | None = None,
    verify: ssl.SSLContext | bool = True,
    timeout: float = 10.0,
) -> ProtectedResource:
    """Ask an API which issuer it trusts (RFC 9728), to make `ClientCredentials` for it.

    Args:
        url: of the API, as it names itself.
        issuers: those that the client has credentials of; the first that the API trusts is taken.
        allow_insecure_http: ask also over plain http: inside a private network, and of names.
        transport: carries the requests, instead of the library's own; never closed here.
        verify: as in the library's own clients.
        timeout: seconds for each request, from connecting to the last byte.

    Raises:
        ConsumerError: also an `httpx.HTTPError`: no metadata, another API's, none of the issuers.
        ValueError: the URL cannot be one.
    """
    tls = {"verify": verify, "cert": None, "trust_env": True}
    http = IssuerHttp(_LIBRARY, transport, tls, timeout=timeout, clock=boot_time)
    steps = find_steps(url, issuers, allow_insecure_http=allow_insecure_http)
    try:
        while True:
            http.fetch(next(steps), str)  # there is nothing secret in what is sent
    except StopIteration as end:
        found: ProtectedResource = end.value
        return found
    except ConsumerError as error:
        raise error_of(httpx.HTTPError, error) from None
