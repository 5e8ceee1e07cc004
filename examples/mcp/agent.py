"""An agent without a user: the MCP client of the official SDK, with client credentials."""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from mcp.types import TextContent

URL = f"{os.environ['SERVER']}/mcp"


class Memory:
    """Where the SDK keeps its token."""

    def __init__(self) -> None:
        """Begin without one."""
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Give the token."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep a new one."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Give what the agent is registered as."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep it."""
        self.client = client_info


async def main() -> None:
    """Have the tool count."""
    auth = ClientCredentialsOAuthProvider(
        server_url=URL,
        storage=Memory(),
        client_id="demo",
        client_secret=os.environ["CLIENT_SECRET"],
        issuer=os.environ["ISSUER"],  # without it, the server would decide who gets the secret
    )
    async with (
        httpx2.AsyncClient(auth=auth) as http,
        Client(streamable_http_client(URL, http_client=http)) as client,
    ):
        result = await client.call_tool("count_orders")
    match result.content:
        case [TextContent(text=text)]:
            print(f"the tool says: {text}")
        case _:
            raise SystemExit("this was not expected")


if __name__ == "__main__":
    asyncio.run(main())
