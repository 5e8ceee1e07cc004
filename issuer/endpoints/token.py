"""`POST /token` as an ASGI endpoint: parse the request, issue, and write the response.

RFC 6749 §5.1.
"""

import json
from collections.abc import Callable
from functools import partial

from issuer.access_token import BEARER, IssuedToken
from issuer.client_auth.methods import find_method
from issuer.endpoints.asgi import (
    JSON,
    Answer,
    Headers,
    Receive,
    Scope,
    Send,
    answer_form,
    peer_address,
)
from issuer.errors import OAuthError
from issuer.events import Event, EventSink
from issuer.grants import GRANTS
from issuer.service import TokenService
from issuer.token_request import parse_token_request
from keys.client_cert import read_tls_extension


class TokenEndpoint:
    """The token endpoint.

    Args:
        service: issues tokens.
        url: the public URL of the endpoint.
        clock: seconds since the epoch.
        events: where `token.issued` and `token.refused` go.
    """

    def __init__(
        self,
        service: TokenService,
        *,
        url: str,
        clock: Callable[[], int],
        events: EventSink,
    ) -> None:
        self._service = service
        self._url = url
        self._clock = clock
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = partial(self._issue, scope)
        await answer_form(
            scope, receive, send, answer, refused=Event.TOKEN_REFUSED, events=self._events
        )

    async def _issue(self, scope: Scope, body: bytes) -> Answer:
        headers, query, now = scope["headers"], scope["query_string"], self._clock()
        fingerprint = self._service.fingerprint(headers, query, body)
        issued = None if fingerprint is None else self._service.repeat(fingerprint, now=now)
        if issued is None:
            request = parse_token_request(
                headers,
                query,
                body,
                url=self._url,
                peer_address=peer_address(scope),
                peer_chain=read_tls_extension(scope),
            )
            try:
                issued = await self._service.issue(request, now=now, fingerprint=fingerprint)
            except OAuthError as refusal:
                refusal.request = {
                    "grant_type": _known_grant(request.grant_type),
                    "auth_method": find_method(request.evidence),
                }
                raise
        self._events(
            Event.TOKEN_ISSUED,
            grant_type=issued.grant_type,
            auth_method=issued.auth_method,
            client_id=issued.client_id,
            secret_id=issued.credential_id,
            resource=" ".join(issued.resources),
            scope=" ".join(issued.scopes) or None,
            kid=issued.kid,
            jti=issued.jti,
            token_type=None if issued.token_type == BEARER else issued.token_type,
            subject=issued.subject,
            reused=issued.reused or None,
        )
        return Answer(JSON, _token_body(issued), self._next_nonce(issued, now))

    def _next_nonce(self, issued: IssuedToken, now: int) -> Headers:
        nonce = self._service.next_nonce(issued, now=now)
        return () if nonce is None else ((b"dpop-nonce", nonce.encode("ascii")),)


def _known_grant(grant_type: str | None) -> str | None:
    # It is a label of metrics, whose values nobody else may choose.
    return grant_type if grant_type is None or grant_type in GRANTS else "other"


def _token_body(issued: IssuedToken) -> bytes:
    # An f-string is much faster than a JSON encoder, and safe here: a token is base64url, and
    # the grammar of a scope has neither quote nor backslash (RFC 6749 §3.3).
    scope = f',"scope":"{" ".join(issued.scopes)}"' if issued.scopes else ""
    kind = issued.issued_token_type  # RFC 8693 §2.2.1: REQUIRED in the answer to an exchange
    exchanged = f',"issued_token_type":"{kind}"' if kind else ""
    details = ""
    if issued.authorization_details:  # RFC 9396 §7: MUST be returned as granted
        details = f',"authorization_details":{json.dumps(issued.authorization_details)}'
    return (
        f'{{"access_token":"{issued.access_token}","token_type":"{issued.token_type}",'
        f'"expires_in":{issued.expires_in}{scope}{exchanged}{details}}}'
    ).encode("ascii")
