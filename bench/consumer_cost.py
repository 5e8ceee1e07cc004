"""Measure what a token costs a request: CPU time over the same client without one.

Beside Authlib, httpx-auth and requests-oauth2client, each over the HTTP library that it works with.
The transport is within the process, so that what is left is the client's own work.

Usage: bench/consumer_cost.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from types import ModuleType
from typing import Any

import httpx
import httpx2
import requests
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from httpx_auth import OAuth2ClientCredentials
from requests_oauth2client import OAuth2Client as TokenClient
from requests_oauth2client import OAuth2ClientCredentialsAuth
from urllib3 import HTTPResponse

from consumer import auth, httpx2_auth
from consumer.requests_auth import TokenAuth

LIMIT = 10.0
ISSUER = "https://as.example"
ENDPOINT = f"{ISSUER}/token"
API = "https://api.example/orders"
TOKEN = {"access_token": "t" * 700, "token_type": "Bearer", "expires_in": 36_000}
# Authlib takes the successor of httpx where it is installed.
AUTHLIB = httpx2 if issubclass(OAuth2Client, httpx2.Client) else httpx

Batch = Callable[[int], None]


def transport(library: ModuleType) -> Any:
    """Make a transport that answers within the process, the API and the token endpoint."""
    return library.MockTransport(
        lambda request: (
            library.Response(200, json=TOKEN)
            if request.url.path == "/token"
            else library.Response(200, content=b"ok")
        )
    )


class Adapter(requests.adapters.HTTPAdapter):
    """The same for `requests`."""

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Answer."""
        body = json.dumps(TOKEN).encode() if str(request.url) == ENDPOINT else b"ok"
        headers = {"Content-Type": "application/json"}
        raw = HTTPResponse(BytesIO(body), headers=headers, status=200, preload_content=False)
        return self.build_response(request, raw)


def session(auth: requests.auth.AuthBase | None = None) -> requests.Session:
    """Make a session that sends nothing."""
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", Adapter())
    made.auth = auth
    return made


def in_turn(client: Any) -> Batch:
    """Send one request after the other."""

    def batch(count: int) -> None:
        for _ in range(count):
            client.get(API)

    return batch


def in_loop(runner: asyncio.Runner, client: Any) -> Batch:
    """Send one request after the other in an event loop."""

    async def send(count: int) -> None:
        for _ in range(count):
            await client.get(API)

    return lambda count: runner.run(send(count))


def clients(
    library: ModuleType, ours: ModuleType, *, kind: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the clients of a library: the plain one and ours, and those of others."""
    make, moved = getattr(library, kind), transport(library)
    source = ours.ClientCredentials(
        ISSUER, "id", "s3cret", token_endpoint=ENDPOINT, transport=moved
    )
    own = {"plain": make(transport=moved), "watchword": make(transport=moved, auth=source)}
    others: dict[str, Any] = {}
    if library is httpx:
        tokens = httpx.Client(transport=moved)
        other = OAuth2ClientCredentials(ENDPOINT, client_id="id", client_secret="s", client=tokens)
        others["httpx-auth"] = make(transport=moved, auth=other)
    if library is AUTHLIB:
        authlib = OAuth2Client if kind == "Client" else AsyncOAuth2Client
        others["authlib"] = authlib("id", "s3cret", token_endpoint=ENDPOINT, transport=moved)
    return own, others


def prepare(runner: asyncio.Runner) -> dict[str, dict[str, Batch]]:
    """Make everything that is measured, by library."""
    compared: dict[str, dict[str, Batch]] = {}
    for name, library, ours in (("httpx", httpx, auth), ("httpx2", httpx2, httpx2_auth)):
        own, others = clients(library, ours, kind="Client")
        if "authlib" in others:
            others["authlib"].fetch_token()
        compared[f"{name} sync"] = {key: in_turn(each) for key, each in (own | others).items()}
        own, others = clients(library, ours, kind="AsyncClient")
        if "authlib" in others:
            runner.run(_completed(others["authlib"].fetch_token()))
        compared[f"{name} async"] = {
            key: in_loop(runner, each) for key, each in (own | others).items()
        }
    source = auth.TokenSource(
        ISSUER, "id", "s3cret", token_endpoint=ENDPOINT, transport=transport(httpx)
    )
    other = OAuth2ClientCredentialsAuth(TokenClient(ENDPOINT, ("id", "s3cret"), session=session()))
    compared["requests"] = {
        "plain": in_turn(session()),
        "watchword": in_turn(session(TokenAuth(source))),
        "requests-oauth2client": in_turn(session(other)),
    }
    return compared


async def _completed(awaitable: Awaitable[object]) -> None:
    await awaitable


def measure(batches: dict[str, Batch], *, rounds: int, count: int) -> dict[str, float]:
    """Return what each adds to a plain request, the median over rounds, in microseconds."""
    added: dict[str, list[float]] = {name: [] for name in batches if name != "plain"}
    for batch in batches.values():
        batch(count)  # fetches the token, and warms everything up
    for _ in range(rounds):
        gc.collect()
        took = {name: _seconds(batch, count) / count * 1e6 for name, batch in batches.items()}
        for name, each in added.items():
            each.append(took[name] - took["plain"])
    return {name: round(statistics.median(each), 1) for name, each in added.items()}


def _seconds(batch: Batch, count: int) -> float:
    begun = time.process_time()
    batch(count)
    return time.process_time() - begun


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    rounds = 25 if "--quick" in sys.argv[1:] else 101
    with asyncio.Runner() as runner:
        figures = {
            library: measure(batches, rounds=rounds, count=200)
            for library, batches in prepare(runner).items()
        }
    missed = []
    for library, added in figures.items():
        print(f"{library}: " + ", ".join(f"{name} {cost} µs" for name, cost in added.items()))
        # requests-oauth2client looks at no answer, so it can cost less than what reacts to 401.
        least = LIMIT if library == "requests" else min(LIMIT, *added.values())
        if added["watchword"] > least:
            missed.append(library)
    result = {
        "name": "consumer_cost",
        "ratio": max(added["watchword"] for added in figures.values()),
        "against": "the same client without a token, in microseconds of CPU a request",
        "limit": LIMIT,
        "details": figures | {"authlib_on": AUTHLIB.__name__, "missed": missed},
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
