"""`httpx.Auth` over a `TokenSource`: a token on every request of a client, sync or async."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Generic, TypeVar

from consumer.errors import ConsumerError
from consumer.http_library import ApiRequest, ApiResponse
from consumer.origin import Origin
from consumer.steps import Attempt
from consumer.token_source import TokenSourceBase, TransportT

RequestT = TypeVar("RequestT", bound=ApiRequest)
ResponseT = TypeVar("ResponseT", bound=ApiResponse)

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.1


class ClientCredentialsBase(TokenSourceBase[TransportT], Generic[RequestT, ResponseT, TransportT]):
    """What the `ClientCredentials` of both libraries have in common."""

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """Authorize one request of a sync client."""
        made = self._authorize_at_once(request)
        if made is not None:
            response = yield request
            if response.status_code != 401:
                return
            self._note(made, request, response)
        try:
            with closing(self.attempts(_origin(request), made)) as attempts:
                for attempt in attempts:
                    attempt.authorize(request.headers, request.method, request.url)
                    response = yield request
                    self._note(attempt, request, response)
        except ConsumerError as error:
            error.request = request
            raise

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """Authorize one request of an async client, on asyncio or trio."""
        made = self._authorize_at_once(request)
        if made is not None:
            response = yield request
            if response.status_code != 401:
                return
            self._note(made, request, response)
        try:
            async with aclosing(self.attempts_async(_origin(request), made)) as attempts:
                async for attempt in attempts:
                    attempt.authorize(request.headers, request.method, request.url)
                    response = yield request
                    self._note(attempt, request, response)
        except ConsumerError as error:
            error.request = request
            raise

    def _authorize_at_once(self, request: RequestT) -> Attempt | None:
        attempt = self.fresh_attempt(request.url)
        if attempt is not None:
            request.headers["Authorization"] = attempt.authorization
        return attempt

    def _note(self, attempt: Attempt, request: RequestT, response: ResponseT) -> None:
        answered = _answered_request(request, response)
        # After a redirect to another origin the library has taken our token off the request:
        # whatever that server answers, it is not about our token.
        if answered.headers.get("Authorization") != attempt.authorization:
            return
        # A redirected POST may have done its work before the 401 came.
        unchanged = answered is request or request.method in _SAFE_METHODS
        attempt.answered(
            response.status_code,
            response.headers.get_list("www-authenticate"),
            can_repeat=unchanged and self._has_body(request),
            nonce=response.headers.get("DPoP-Nonce"),
        )

    def _has_body(self, request: RequestT) -> bool:
        try:
            return isinstance(request.content, bytes)
        except self._library.request_not_read:
            return False  # a stream, which can be sent only once


def _origin(request: ApiRequest) -> Origin:
    url = request.url
    return Origin(url.scheme, url.host, url.port)


def _answered_request(request: ApiRequest, response: ApiResponse) -> ApiRequest:
    try:
        return response.request
    except RuntimeError:  # a response that no client has sent a request for
        return request
