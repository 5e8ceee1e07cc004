"""An MCP server that takes tokens of the issuer; the scope `read` is needed for all of it."""

import os

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer

from resource_api import BearerMiddleware, ResourcePolicy, require
from resource_api.mcp import server_auth
from resource_api.protection import Protection

policy = ResourcePolicy(
    issuer=os.environ["ISSUER"],
    resource=f"{os.environ['SERVER']}/mcp",
    scopes_supported=("read",),
)
protection = Protection(issuers=[policy], resource=policy.resource)
server = MCPServer("orders", **server_auth(protection))


@server.tool()
def count_orders() -> str:
    """Count the orders of the client that calls."""
    token = get_access_token()
    return f"3 orders for {token.client_id if token else 'no client'}"


app = BearerMiddleware(require("read").app(server.streamable_http_app()), protection=protection)
