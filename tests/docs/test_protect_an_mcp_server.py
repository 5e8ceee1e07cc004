"""The page on MCP servers, with the official SDKs as server and as clients, over real sockets."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest
import uvicorn

from tests.support.provider import Place, eventually, free_port, make_place, running

SUPPORT = Path(__file__).parents[1] / "support"
PAGE = (Path(__file__).parents[2] / "docs/how-to/protect-an-mcp-server.md").read_text()
SECRET = "only-for-development"


class Tools:
    """An issuer and an MCP server that run, and the code of the page for them."""

    def __init__(self, place: Place, port: int) -> None:
        self.issuer = place
        self.origin = f"http://localhost:{port}"
        self.url = f"{self.origin}/mcp"

    def code(self, language: str) -> list[str]:
        """Give the blocks of the page in a language, with the URLs of this test."""
        found = re.findall(rf"^ *```{language}\n(.*?)```", PAGE, flags=re.DOTALL | re.MULTILINE)
        replaced = (
            block.replace("http://localhost:8080", self.issuer.url).replace(
                "http://localhost:8000", self.origin
            )
            for block in found
        )
        return [dedent(block) for block in replaced]

    def token(self, **form: str) -> str:
        """Get a token as the agent."""
        client = {"client_id": "agent", "client_secret": SECRET}
        return str(self.issuer.ask(client, **form).json()["access_token"])

    def post(
        self,
        token: str | None = None,
        method: str = "ping",
        session: str | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """Send one message to the server."""
        headers = {"Accept": "application/json, text/event-stream"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if session is not None:
            headers["Mcp-Session-Id"] = session
        document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": sent}
        return httpx.post(self.url, json=document, headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    """Serve the issuer and the MCP server of the page."""
    folder = tmp_path_factory.mktemp("mcp")
    place = make_place(folder, TMPDIR=str(folder), WATCHWORD_AUTHORIZATION_ENDPOINT="true")
    found = Tools(place, port := free_port())
    (folder / "registry.yaml").write_text(found.code("yaml")[0])
    program: dict[str, Any] = {}
    exec(found.code("python")[0], program)
    arguments = ("--dev", "--apply", "registry.yaml", "--dev-secret", SECRET)
    with running(place, *arguments), serving(program["app"], port):
        yield found


@contextmanager
def serving(app: Any, port: int) -> Iterator[None]:
    """Serve an ASGI application on a port of loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive())
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.rfc("mcp-3", "mcp-cc-1")
def test_the_sdk_gets_a_token_for_the_server_and_calls_a_tool(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    """It finds the issuer by the challenge, and sends `resource` with its token request."""
    exec(tools.code("python")[1], {})
    assert capsys.readouterr().out == "3 orders for agent\n"


def test_the_consumer_gets_the_tokens_in_place_of_the_sdk(
    tools: Tools, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the `auth` of the page, and the rest of its client."""
    _, client, auth = tools.code("python")
    before, run = client.split("asyncio.run(main())")
    exec(f"{before}\n{auth}\nasyncio.run(main()){run}", {})
    assert capsys.readouterr().out == "3 orders for agent\n"


@pytest.fixture
def typescript(tmp_path: Path) -> Path:
    """Give a folder in which Node finds the SDK; without it the test is skipped, in CI it fails."""
    installed = SUPPORT / "typescript_sdk" / "node_modules"
    if shutil.which("node") is None or not installed.is_dir():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("no TypeScript SDK: npm ci --prefix tests/support/typescript_sdk")
    (tmp_path / "node_modules").symlink_to(installed)
    return tmp_path


@pytest.mark.rfc("mcp-cc-1")
def test_the_typescript_sdk_calls_a_tool(tools: Tools, typescript: Path) -> None:
    """Its schema of metadata demands `authorization_endpoint` as well."""
    (typescript / "client.mjs").write_text(tools.code("js")[0])
    done = subprocess.run(
        ["node", "client.mjs"], cwd=typescript, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "3 orders for agent\n"), done.stderr


@pytest.mark.rfc("mcp-1", "mcp-4")
def test_challenges_lead_to_the_metadata_and_name_the_scope(tools: Tools) -> None:
    """RFC 9728 §5.1; the metadata name the issuer, for pages of any origin."""
    answer = tools.post()
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert 'scope="orders:read"' in challenge
    (found,) = re.findall(r'resource_metadata="([^"]+)"', challenge)
    assert found == f"{tools.origin}/.well-known/oauth-protected-resource/mcp"
    metadata = httpx.get(found, trust_env=False)
    assert metadata.json()["authorization_servers"] == [tools.issuer.url]
    assert metadata.json()["resource"] == tools.url
    assert metadata.headers["access-control-allow-origin"] == "*"


@pytest.mark.rfc("mcp-4")
def test_a_token_without_the_scope_is_told_which_it_needs(tools: Tools) -> None:
    """403, for the whole server."""
    answer = tools.post(tools.token(scope="orders:count"))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    challenge = answer.headers["www-authenticate"]
    assert 'scope="orders:read"' in challenge
    assert (
        f'resource_metadata="{tools.origin}/.well-known/oauth-protected-resource/mcp"' in challenge
    )


def test_a_session_is_the_clients_that_began_it(tools: Tools) -> None:
    """Another client that may use the server, and knows the id, has no part in it."""
    tools.issuer.settings |= {"WATCHWORD_CLIENT_ID": "admin", "WATCHWORD_CLIENT_SECRET": SECRET}
    options = ("--resource", tools.url, "--scope", "orders:read", "--server", tools.issuer.url)
    other = tools.issuer.json("clients", "create", "other", *options)
    foreign = tools.issuer.ask(other).json()["access_token"]
    own = tools.token(scope="orders:read")
    information = {"name": "test", "version": "1"}
    begun = tools.post(
        own,
        "initialize",
        protocolVersion="2025-06-18",
        capabilities={},
        clientInfo=information,
    )
    session = begun.headers["mcp-session-id"]
    assert tools.post(own, session=session).status_code == 200
    assert tools.post(foreign, session=session).status_code == 404


@pytest.mark.rfc("mcp-3")
def test_a_token_for_another_resource_is_refused(tools: Tools) -> None:
    """Though it is of the same issuer: MUST accept only tokens that are for the server."""
    demo = {"client_id": "demo", "client_secret": SECRET}
    foreign = tools.issuer.ask(demo).json()["access_token"]
    answer = tools.post(foreign)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.rfc("mcp-cc-1")
def test_both_metadata_pass_the_models_of_the_sdk(tools: Tools) -> None:
    """As they are: `authorization_endpoint` is what the SDK insists on."""
    from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

    found = tools.issuer.get("/.well-known/oauth-authorization-server")
    issuer = OAuthMetadata.model_validate_json(found.content)
    assert str(issuer.issuer) == tools.issuer.url
    assert "client_secret_basic" in (issuer.token_endpoint_auth_methods_supported or ())
    refused = tools.issuer.get("/authorize", params={"redirect_uri": "https://evil.example/"})
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_response_type")
    document = httpx.get(
        f"{tools.origin}/.well-known/oauth-protected-resource/mcp", trust_env=False
    )
    api = ProtectedResourceMetadata.model_validate_json(document.content)
    assert api.scopes_supported == ["orders:read"]
