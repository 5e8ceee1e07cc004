"""Have the Python SDK of MCP know whose token a request brought (MCP 2026-07-28, authorization).

`BearerMiddleware` in front refuses requests, as RFC 6750 and RFC 9728 ask. The SDK learns whose
token it let through: it binds sessions to the client that began them, and `get_access_token` tells
tools who calls.
"""

from typing import TypedDict

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from resource_api.errors import CheckUnavailable, ResourceError
from resource_api.protection import Protection


class ServerAuth(TypedDict):
    """Keywords of `mcp.server.mcpserver.MCPServer`."""

    auth: AuthSettings
    token_verifier: "ProtectionVerifier"


def server_auth(protection: Protection) -> ServerAuth:
    """Give an MCP server what it has to know of its protection.

    Args:
        protection: that of the middleware in front; its resource is the URL of the MCP endpoint.
    """
    policy = protection.policy
    settings = {
        "issuer_url": policy.issuer,
        "resource_server_url": policy.resource,
        "validate_token_resource": True,
    }
    # Validated and not constructed: of a text the SDK keeps an empty path as it is.
    auth = AuthSettings.model_validate(settings)
    return ServerAuth(auth=auth, token_verifier=ProtectionVerifier(protection))


class ProtectionVerifier:
    """Verify tokens for the SDK, whose protocol `TokenVerifier` this is."""

    def __init__(self, protection: Protection) -> None:
        """Take the middleware's protection, which remembers the tokens that it verified."""
        self._protection = protection

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what a token says; None if it is not valid here.

        Raises:
            CheckUnavailable: that cannot be told now. The SDK answers 500, since it knows no 503;
                by 401 the client would lose a good token. The middleware in front answers 503.
        """
        try:
            header = b"Bearer " + token.encode("latin-1", "replace")
            found = await self._protection.authenticate([(b"authorization", header)])
        except ResourceError as error:
            self._protection.report(error)
            if isinstance(error, CheckUnavailable):
                raise
            return None
        return AccessToken(
            token=token,
            client_id=found.client_id,
            scopes=sorted(found.scopes),
            expires_at=int(found.expires_at),
            resource=self._protection.policy.resource,
            subject=found.subject,
            claims={"iss": found.issuer},
        )
