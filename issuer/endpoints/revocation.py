"""`POST /revoke` as an ASGI endpoint (RFC 7009): a client ends its tokens before their time."""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from issuer.config import IssuerConfig
from issuer.endpoints.asgi import JSON, Answer, Receive, Scope, Send, answer_form
from issuer.endpoints.sent_token import TokenReader
from issuer.errors import (
    Reason,
    TemporarilyUnavailable,
    UnauthorizedClient,
    UnsupportedTokenType,
)
from issuer.events import Event, EventSink
from issuer.metadata import REVOCATION_PATH
from issuer.own_tokens import NotOwnToken, OwnToken, OwnTokens
from issuer.ports import HotStore
from issuer.registry.client import Client
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status
from keys.pasted_token import read_pasted_token

VALIDATOR_LEEWAY = 60
"""Seconds after the end of a token for which an API may still accept it, so it can be revoked."""

_BEFORE = re.compile(r"^\W+")
_IN_NO_TOKEN = re.compile(r"[^A-Za-z0-9_.-]+")  # RFC 7515 §2, §7.1
# RFC 7009 §2.2: "The content of the response body is ignored by the client".
_DONE = Answer(JSON, b"{}")

OperatorRevocation = Callable[[Client, OwnToken], Awaitable[None]]
"""Revokes a token for a client that may revoke any, and records that it did."""


class RevocationEndpoint:
    """The revocation endpoint: a client its own tokens, an operator any.

    Args:
        reader: reads forms with a token.
        tokens: verifies the issuer's own tokens.
        store: where statuses are written.
        config: the issuer's own settings.
        is_operator: tells whether a client may revoke the tokens of others.
        revoke_for_operator: does that.
        events: where `token.revoked`, `revocation.refused` and `revocation.ignored` go.
    """

    def __init__(
        self,
        reader: TokenReader,
        tokens: OwnTokens,
        store: HotStore,
        config: IssuerConfig,
        *,
        is_operator: Callable[[Client], bool],
        revoke_for_operator: OperatorRevocation,
        events: EventSink,
    ) -> None:
        self._reader = reader
        self._tokens = tokens
        self._store = store
        self._url = config.base + REVOCATION_PATH
        self._told_within = config.withdrawal_seconds
        self._is_operator = is_operator
        self._revoke_for_operator = revoke_for_operator
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = partial(self._revoke, scope)
        await answer_form(
            scope, receive, send, answer, refused=Event.REVOCATION_REFUSED, events=self._events
        )

    async def _revoke(self, scope: Scope, body: bytes) -> Answer:
        client, text, now = await self._reader.read(scope, body, url=self._url)
        try:
            token = self._tokens.recognise(_mend(text), now=now, leeway=VALIDATOR_LEEWAY)
        except NotOwnToken as unknown:
            # RFC 7009 §2.2: a token that is not valid is no error. It may be a copy of one that is,
            # cut off or mistyped, so that an operator can see that nothing was revoked.
            self._events(
                Event.REVOCATION_IGNORED, reason=unknown.reason, client_id=client.client_id
            )
            return _DONE
        is_own = token.client_id == client.client_id
        if not is_own and not self._is_operator(client):
            # §2.1: refused, and the client is told.
            raise UnauthorizedClient(
                Reason.FOREIGN_TOKEN,
                "the token was issued to another client",
                client_id=client.client_id,
            )
        position = self._position_to_revoke(token, client, now)
        if position is None:
            return _DONE
        try:
            if is_own:
                await self._store.set_status(position, Status.INVALID)
                self._events(Event.TOKEN_REVOKED, client_id=token.client_id, jti=token.jti)
            else:
                await self._revoke_for_operator(client, token)
        except StoreUnavailable:
            # §2.2.1: with 503 the client MUST assume that the token still exists.
            raise TemporarilyUnavailable(
                Reason.STORE_UNAVAILABLE, "the token is not revoked yet", client_id=client.client_id
            ) from None
        return _DONE

    def _position_to_revoke(self, token: OwnToken, client: Client, now: int) -> Position | None:
        """Return where a token stands; None if it is revoked, or ends before an API could be told.

        Raises:
            UnsupportedTokenType: it is on no status list, so that it cannot be revoked.
        """
        if token.position is None and token.claims["exp"] - now > self._told_within:
            raise UnsupportedTokenType(
                Reason.NOT_REVOCABLE,
                "the token is on no status list, so it counts until it expires",
                client_id=client.client_id,
            )
        return None if token.status is Status.INVALID else token.position


def _mend(text: str) -> str:
    """Leave out what a copy of a token has that no token does: white space, quotes, `Bearer`.

    Such a copy would be malformed, and so answered 200, while the token itself stays valid. The
    signature says whether what is left is a token.
    """
    return _IN_NO_TOKEN.sub("", read_pasted_token(_BEFORE.sub("", text)))
