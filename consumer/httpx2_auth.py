"""`ClientCredentials` for httpx2: a token on every request (RFC 6749 §4.4, RFC 6750 §2.1)."""

import httpx2

from consumer.auth_shell import ClientCredentialsBase
from consumer.http_library import HttpLibrary


class ClientCredentials(
    ClientCredentialsBase[
        httpx2.Request, httpx2.Response, httpx2.BaseTransport | httpx2.AsyncBaseTransport
    ],
    httpx2.Auth,
):
    """Authorise the requests of `httpx2` clients, sync and async, with the client's own token."""

    _library = HttpLibrary(
        client=httpx2.Client,
        async_client=httpx2.AsyncClient,
        tls_context=httpx2.create_ssl_context,
        errors=(httpx2.HTTPError, httpx2.InvalidURL, OSError),
        request_not_read=httpx2.RequestNotRead,
    )
