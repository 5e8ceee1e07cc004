"""What `/introspect` and `/revoke` share: an authenticated client that sends a token.

RFC 7009 §2.1, RFC 7662 §2.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from issuer.client_auth.methods import ClientAuthenticator
from issuer.client_request import CREDENTIALS, parse_client_request
from issuer.endpoints.asgi import Scope, peer_address
from issuer.errors import InvalidRequest, Reason
from issuer.registry.client import Client
from issuer.registry.usage import UsageLog
from issuer.replay import Replays
from keys.client_cert import read_tls_extension

# The hint only says where to look first; a token of ours shows of what kind it is.
_RECOGNISED = CREDENTIALS | {"token", "token_type_hint"}


class SentToken(NamedTuple):
    """A token that a client sent.

    Args:
        client: the client, authenticated.
        token: as sent; it may be anything.
        now: when, in seconds since the epoch.
    """

    client: Client
    token: str
    now: int

    def __repr__(self) -> str:
        """Show who sent it, never the token."""
        return f"SentToken(client_id={self.client.client_id!r})"


@dataclass(frozen=True, slots=True)
class TokenReader:
    """Reads the forms in which clients send tokens.

    Args:
        authenticator: decides which client a form comes from.
        usage: remembers which credential was used.
        replays: have assertions count once.
        clock: seconds since the epoch.
    """

    authenticator: ClientAuthenticator
    usage: UsageLog
    replays: Replays
    clock: Callable[[], int]

    async def read(self, scope: Scope, body: bytes, *, url: str) -> SentToken:
        """Read one form.

        Args:
            scope: the request.
            body: its whole body.
            url: the public URL of the endpoint.

        Raises:
            OAuthError: the form is malformed, has no token, or its sender is not authenticated.
            TemporarilyUnavailable: whether an assertion counts for the first time is not known.
        """
        request = parse_client_request(
            scope["headers"],
            scope["query_string"],
            body,
            recognised=_RECOGNISED,
            url=url,
            peer_address=peer_address(scope),
            peer_chain=read_tls_extension(scope),
        )
        now = self.clock()
        authenticated = await self.authenticator.authenticate(request.evidence, now=now)
        client = authenticated.client
        token = request.parameters.get("token")
        if token is None:
            raise InvalidRequest(
                Reason.TOKEN_MISSING, "token is missing", client_id=client.client_id
            )
        if authenticated.once:
            await self.replays.claim(*authenticated.once)
        self.usage.note_credential(client.client_id, authenticated.credential_id, now)
        return SentToken(client, token, now)
