"""`POST /token` as a bare ASGI endpoint: reads, hands on, and turns every outcome into an answer.

RFC 6749 §5.1, §5.2. The one place where errors of the issuer become responses.
"""

import json
from collections.abc import Callable

from issuer.access_token import IssuedToken
from issuer.endpoints.asgi import Receive, Scope, Send, read_body, respond
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

# RFC 6749 §5.1: no-store MUST be on every answer with a token; ours is on errors too.
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
)

MAX_ASKED = 256
"""Characters of what a client asked for that a log event has."""


class TokenEndpoint:
    """The token endpoint.

    Args:
        service: issues tokens.
        url: the public URL of the endpoint.
        clock: seconds since the epoch.
        new_jti: makes an id that no token has had.
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
            return  # nobody is there to be answered
        except OAuthError as refusal:
            self._record(refusal)
            await respond(send, refusal.status, (*_HEADERS, *refusal.headers), _error_body(refusal))
        except Exception as fault:
            # Never a trace on the wire; the log has it under the request's id.
            self._events(Event.TOKEN_REFUSED, reason=Reason.INTERNAL, exception=fault)
            error = ServerError(Reason.INTERNAL)
            await respond(send, error.status, _HEADERS, _error_body(error))
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
            # Input of the client: one line of ASCII, of bounded length.
            asked=None if refusal.asked is None else ascii(refusal.asked[:MAX_ASKED])[1:-1],
        )


def _token_body(issued: IssuedToken) -> bytes:
    # Written by hand, for this is the hot path: a token is base64url and a scope is without quote
    # and backslash by its grammar (RFC 6749 §3.3), so nothing here needs JSON escapes.
    scope = f',"scope":"{" ".join(issued.scopes)}"' if issued.scopes else ""
    return (
        f'{{"access_token":"{issued.access_token}","token_type":"{issued.token_type}",'
        f'"expires_in":{issued.expires_in}{scope}}}'
    ).encode("ascii")


def _error_body(error: OAuthError) -> bytes:
    answer = {"error": error.code}
    if error.description is not None:
        answer["error_description"] = error.description
    return json.dumps(answer, separators=(",", ":")).encode()
