"""`httpx.Auth` over a `TokenSource`: a token on every request of a client, sync or async."""

from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from typing import Generic, TypeVar

from consumer.flow import Attempt, Step
from consumer.http_library import ApiRequest, ApiResponse
from consumer.origin import Origin
from consumer.token_source import TokenSourceBase, TransportT

RequestT = TypeVar("RequestT", bound=ApiRequest)
ResponseT = TypeVar("ResponseT", bound=ApiResponse)

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.1


class ClientCredentialsBase(TokenSourceBase[TransportT], Generic[RequestT, ResponseT, TransportT]):
    """What the `ClientCredentials` of both libraries have in common."""

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """Authorize one request of a sync client."""
        with closing(self._steps(request)) as steps:
            for step in steps:
                match step:
                    case Attempt():
                        self._authorize(request, step)
                        response = yield request
                        self._note(step, request, response)
                    case _:
                        self._carry_out(step)

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """Authorize one request of an async client, on asyncio or trio."""
        with closing(self._steps(request)) as steps:
            for step in steps:
                match step:
                    case Attempt():
                        self._authorize(request, step)
                        response = yield request
                        self._note(step, request, response)
                    case _:
                        await self._carry_out_async(step)

    def _steps(self, request: RequestT) -> Generator[Step, None, None]:
        url = request.url
        return self._current_flow().steps(Origin(url.scheme, url.host, url.port))

    def _authorize(self, request: RequestT, attempt: Attempt) -> None:
        request.headers["Authorization"] = self._plan.scheme.authorization(attempt.token)

    def _note(self, attempt: Attempt, request: RequestT, response: ResponseT) -> None:
        answered = _answered_request(request, response)
        # After a redirect to another origin the library has taken our token off the request:
        # whatever that server answers, it is not about our token.
        if answered.headers.get("Authorization") != self._plan.scheme.authorization(attempt.token):
            return
        status = response.status_code
        attempt.accepted = status < 400 or status == 403
        if status == 401:
            error = self._plan.scheme.error(response.headers.get_list("www-authenticate"))
            attempt.rejected = error == "invalid_token"
            # A redirected POST may have done its work before the 401 came.
            unchanged = answered is request or request.method in _SAFE_METHODS
            attempt.replayable = attempt.rejected and unchanged and self._has_body(request)

    def _has_body(self, request: RequestT) -> bool:
        try:
            return isinstance(request.content, bytes)
        except self._library.request_not_read:
            return False  # a stream, which can be sent only once


def _answered_request(request: ApiRequest, response: ApiResponse) -> ApiRequest:
    try:
        return response.request
    except RuntimeError:  # a response that no client has sent a request for
        return request
