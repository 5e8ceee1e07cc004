"""A token on the requests of an `aiohttp` session (RFC 6750)."""

from contextlib import aclosing
from typing import Any

from aiohttp import ClientError, ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.payload import BytesPayload
from yarl import URL

from consumer.errors import ConsumerError, error_of
from consumer.origin import Origin, parse_origin
from consumer.steps import Attempt
from consumer.token_source import TokenSourceBase


class TokenMiddleware:
    """Authorize requests: `ClientSession(middlewares=[TokenMiddleware(source, api)])`.

    `aiohttp` runs its middlewares for each redirect anew and does not say that it is one. So the
    token goes to the APIs that are named, and no redirect leads it elsewhere.
    """

    def __init__(self, source: TokenSourceBase[Any], *apis: str) -> None:
        """Use this source.

        Args:
            source: a `TokenSource`, a `ClientCredentials` or a `TokenExchange` for a caller.
            apis: a URL of each server that gets the token; only scheme, host and port count.

        Raises:
            ValueError: no API is named, or one not by an absolute http or https URL.
        """
        if not apis:
            raise ValueError("name the APIs that get the token, such as https://api.example.com")
        try:
            for api in apis:
                parse_origin(api)
        except ValueError as error:
            raise ValueError(f"the URL of an API {error}") from None
        self._source = source
        self._origins = frozenset(_origin(URL(api)) for api in apis)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send a request, with the token if it is to one of the APIs.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one. It is
                also a `ClientError`.
        """
        origin = _origin(request.url)
        if origin not in self._origins:
            return await handler(request)
        async with aclosing(self._source.attempts_async(origin)) as attempts:
            try:
                first = await anext(attempts)
            except ConsumerError as error:
                raise error_of(ClientError, error) from None
            response = await _send(first, request, handler)
            async for attempt in attempts:
                response.release()
                response = await _send(attempt, request, handler)
        return response


def _origin(url: URL) -> Origin:
    return Origin(url.scheme, url.host or "", None if url.is_default_port() else url.port)


async def _send(
    attempt: Attempt, request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    attempt.authorize(request.headers, request.method, request.url)
    response = await handler(request)
    attempt.answered(
        response.status,
        response.headers.getall("WWW-Authenticate", ()),
        can_repeat=isinstance(request.body, bytes | BytesPayload),
        nonce=response.headers.get("DPoP-Nonce"),
    )
    return response
