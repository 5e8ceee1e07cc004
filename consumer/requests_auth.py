"""A token on every request of a `requests` session (RFC 6750)."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, RequestException, Response
from requests.auth import AuthBase

from consumer.errors import ConsumerError, error_of
from consumer.origin import Origin
from consumer.steps import Attempt
from consumer.token_source import TokenSourceBase


class TokenAuth(AuthBase):
    """Authorize requests with the token of a source: `session.auth = TokenAuth(source)`.

    A redirect to another origin does not get the token: `requests` takes it off.
    """

    def __init__(self, source: TokenSourceBase[Any]) -> None:
        """Use this source.

        Args:
            source: a `TokenSource`, a `ClientCredentials` or a `TokenExchange` for a caller.
        """
        self._source = source

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token on a request.

        Raises:
            ConsumerError: no token is to be had, or the API's address is not safe for one. It is
                also a `RequestException`.
        """
        origin = _origin(str(request.url))
        fresh = self._source.fresh_attempt(origin)
        try:
            made = fresh or next(self._source.attempts(origin))
        except ConsumerError as error:
            raise error_of(RequestException, error) from None
        made.authorize(request.headers, request.method, request.url)
        request.hooks["response"].append(partial(self._answer, made, fresh is not None))
        return request

    def _answer(
        self, made: Attempt, was_fresh: bool, response: Response, **options: object
    ) -> Response:
        if was_fresh and response.status_code != 401:
            return response
        if response.request.headers.get("Authorization") != made.authorization:
            return response  # of another origin, which was not shown our token
        _note(made, response)
        for attempt in self._source.attempts(_origin(str(response.request.url)), made):
            response = _send_again(response, attempt, options)
            _note(attempt, response)
        return response


def _origin(url: str) -> Origin:
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port)


def _note(attempt: Attempt, response: Response) -> None:
    challenge = response.headers.get("WWW-Authenticate")
    attempt.answered(
        response.status_code,
        () if challenge is None else (challenge,),
        can_repeat=isinstance(response.request.body, bytes | str | None),
        nonce=response.headers.get("DPoP-Nonce"),
    )


def _send_again(response: Response, attempt: Attempt, options: dict[str, object]) -> Response:
    response.content  # noqa: B018 - read to its end, the connection can be used again
    response.close()
    # Members that the type hints do not know; `requests.auth.HTTPDigestAuth` does the same.
    request: Any = response.request
    connection: Any = response.connection
    attempt.authorize(request.headers, request.method, request.url)
    again: Response = connection.send(request, **options)
    again.history.append(response)
    return again
