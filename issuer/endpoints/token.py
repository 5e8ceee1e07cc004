"""`POST /token` as an ASGI endpoint: parse the request, issue, and write the response.

RFC 6749 §5.1, §5.2. Errors of the token endpoint become responses here and nowhere else.
"""

from collections.abc import Callable

from issuer.access_token import IssuedToken
from issuer.endpoints.asgi import Receive, Scope, Send, error_body, read_body, respond
from issuer.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    OAuthError,
    Reason,
    ServerError,
)
from issuer.events import Event, EventSink
from issuer.service import TokenService
from issuer.token_request import MAX_BODY, parse_token_request

# RFC 6749 §5.1: no-store MUST be on every response with a token; here it is on errors as well.
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
)

MAX_ASKED = 256
"""Characters of a client's request parameter that a log event holds."""


class TokenEndpoint:
    """The token endpoint.

    Args:
        service: issues tokens.
        url: the public URL of the endpoint.
        clock: seconds since the epoch.
        new_jti: returns an id that no token has had.
        events: where `token.issued` and `token.refused` go.
    """

    def __init__(
        self,
        service: TokenService,
        *,
        url: str,
        clock: Callable[[], int],
        new_jti: Callable[[], str],
        events: EventSink,
    ) -> None:
        self._service = service
        self._url = url
        self._clock = clock
        self._new_jti = new_jti
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            issued = await self._issue(scope, receive)
        except ConnectionError:
            return  # the client disconnected: there is no one to answer
        except OAuthError as refusal:
            self._record(refusal)
            await respond(send, refusal.status, (*_HEADERS, *refusal.headers), error_body(refusal))
        except Exception as fault:
            # No trace in the response; the log has it under the request id.
            self._events(Event.TOKEN_REFUSED, reason=Reason.INTERNAL, exception=fault)
            error = ServerError(Reason.INTERNAL)
            await respond(send, error.status, _HEADERS, error_body(error))
        else:
            self._events(
                Event.TOKEN_ISSUED, client_id=issued.client_id, kid=issued.kid, jti=issued.jti
            )
            await respond(send, 200, _HEADERS, _token_body(issued))

    async def _issue(self, scope: Scope, receive: Receive) -> IssuedToken:
        if scope["method"] != "POST":
            raise MethodNotAllowed(Reason.METHOD_NOT_ALLOWED, "use POST")
        body = await read_body(receive, MAX_BODY)
        if body is None:
            raise BodyTooLarge(Reason.BODY_TOO_LARGE, "the body is too large")
        peer = scope.get("client")
        request = parse_token_request(
            scope["headers"],
            scope["query_string"],
            body,
            url=self._url,
            peer_address=peer[0] if peer else None,
        )
        return await self._service.issue(request, now=self._clock(), jti=self._new_jti())

    def _record(self, refusal: OAuthError) -> None:
        self._events(
            Event.TOKEN_REFUSED,
            reason=refusal.reason,
            client_id=refusal.client_id,
            # Input of the client: one line of ASCII, of bounded length, so that it forges no line.
            asked=None if refusal.asked is None else ascii(refusal.asked[:MAX_ASKED])[1:-1],
        )


def _token_body(issued: IssuedToken) -> bytes:
    # An f-string is much faster than a JSON encoder, and safe here: a token is base64url, and
    # the grammar of a scope has neither quote nor backslash (RFC 6749 §3.3).
    scope = f',"scope":"{" ".join(issued.scopes)}"' if issued.scopes else ""
    return (
        f'{{"access_token":"{issued.access_token}","token_type":"{issued.token_type}",'
        f'"expires_in":{issued.expires_in}{scope}}}'
    ).encode("ascii")
