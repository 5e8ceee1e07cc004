"""`POST /introspect` as an ASGI endpoint (RFC 7662 §2), with signed answers (RFC 9701)."""

import json
from functools import partial

from issuer.access_token import assemble, build_signing_input, header_segment
from issuer.config import IssuerConfig
from issuer.endpoints.asgi import JSON, Answer, Receive, Scope, Send, answer_form
from issuer.endpoints.sent_token import TokenReader
from issuer.errors import Reason, TemporarilyUnavailable, UnauthorizedClient
from issuer.events import Event, EventSink
from issuer.introspection import RESPONSE_TYPE, introspect, signed_claims, wants_signed
from issuer.metadata import INTROSPECTION_PATH
from issuer.own_tokens import OwnTokens
from issuer.service import SigningKeys
from keys.errors import NoSigningKey, SignerUnavailable


class IntrospectionEndpoint:
    """The introspection endpoint. It asks nothing but memory, once the caller is known.

    Args:
        reader: reads forms with a token.
        tokens: verifies the issuer's own tokens.
        keys: know which key signs answers.
        config: the issuer's own settings.
        events: where `introspection.refused` goes; answers are no events.
    """

    def __init__(
        self,
        reader: TokenReader,
        tokens: OwnTokens,
        keys: SigningKeys,
        config: IssuerConfig,
        *,
        events: EventSink,
    ) -> None:
        self._reader = reader
        self._tokens = tokens
        self._keys = keys
        self._issuer = config.issuer
        self._url = config.base + INTROSPECTION_PATH
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = partial(self._introspect, scope)
        await answer_form(
            scope, receive, send, answer, refused=Event.INTROSPECTION_REFUSED, events=self._events
        )

    async def _introspect(self, scope: Scope, body: bytes) -> Answer:
        client, token, now = await self._reader.read(scope, body, url=self._url)
        client_id, introspects = client.client_id, client.registration.introspects
        if not introspects:
            # RFC 7662 §2.1. It depends on the caller alone, so it tells nothing of the token.
            raise UnauthorizedClient(
                Reason.INTROSPECTS_NOTHING,
                "this client may introspect tokens for no resource",
                client_id=client_id,
            )
        answer = introspect(token, introspects, self._tokens, now=now)
        if not wants_signed(scope["headers"]):
            return Answer(JSON, json.dumps(answer, separators=(",", ":")).encode())
        claims = signed_claims(answer, issuer=self._issuer, audience=client_id, now=now)
        return Answer(f"application/{RESPONSE_TYPE}".encode(), await self._sign(claims, now))

    async def _sign(self, claims: dict[str, object], now: int) -> bytes:
        try:
            signer = self._keys.signer(now)
            header = header_segment(signer.alg, signer.kid, RESPONSE_TYPE)
            signing_input = build_signing_input(header, claims)
            return assemble(signing_input, await signer.sign(signing_input)).encode("ascii")
        except NoSigningKey:
            raise TemporarilyUnavailable(Reason.NO_SIGNING_KEY) from None
        except SignerUnavailable:
            raise TemporarilyUnavailable(Reason.SIGNER_UNAVAILABLE) from None
