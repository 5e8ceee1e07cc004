"""`ClientCredentials` for httpx: a token on every request (RFC 6749 §4.4, RFC 6750 §2.1)."""

import httpx

from consumer.auth_shell import ClientCredentialsBase
from consumer.http_library import HttpLibrary


class ClientCredentials(
    ClientCredentialsBase[
        httpx.Request, httpx.Response, httpx.BaseTransport | httpx.AsyncBaseTransport
    ],
    httpx.Auth,
):
    """Authorise the requests of `httpx` clients, sync and async, with the client's own token."""

    _library = HttpLibrary(
        client=httpx.Client,
        async_client=httpx.AsyncClient,
        tls_context=httpx.create_ssl_context,
        errors=(httpx.HTTPError, httpx.InvalidURL, OSError),
        request_not_read=httpx.RequestNotRead,
    )
