"""Keys change, or the issuer goes away, while APIs are at work: real processes, real time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from consumer import ClientCredentials
from keys.jws import parse_compact
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_cache import CachePolicy
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from resource_api import BearerMiddleware
from tests.support.protected_api import Answer, ask, bearer
from tests.support.provider import PATIENCE, Place, eventually, make_place, running

pytestmark = pytest.mark.alone

MAX_AGE = 1
SETTINGS = {"WATCHWORD_JWKS_MAX_AGE": str(MAX_AGE), "WATCHWORD_STATUS_LIST_TTL": "1"}
BUSY = 5
"""Seconds by which a machine that runs other tests may be late."""


class Api:
    """An API of its own, which gets the keys of a provider over HTTP."""

    made: ClassVar[list["Api"]] = []

    def __init__(self, place: Place, copy: Path | None = None, *, stale_for: float = 3600) -> None:
        self.made.append(self)
        self.jwks = JwksClient(
            HttpJwks(place.url),
            policy=CachePolicy(minimum_lifetime=1, cooldown=1, stale_for=stale_for),
            copy=None if copy is None else KeySetCopy(copy, place.url),
        )
        self.app = BearerMiddleware(
            self.serve, issuer=place.url, resource=place.url, jwks=self.jwks
        )

    async def serve(self, scope, receive, send) -> None:
        """Greet whoever is let in."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    async def show(self, token: str) -> Answer:
        """Ask with a token."""
        return await ask(self.app, "GET", "/orders", bearer(token.encode()))


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Close every API: what it was fetching when the event loop ends would be cut off."""
    yield
    while Api.made:
        await Api.made.pop().app.aclose()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, while the APIs go on with what they do."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a provider's place with a key, where time is compressed."""
    place = make_place(tmp_path, **SETTINGS)
    place.add_key()
    return place


class Caller:
    """A consumer that calls an API without a pause, with tokens that it renews by itself."""

    def __init__(self, place: Place, client: dict[str, str], api: Api) -> None:
        self.statuses: list[int] = []
        self.kids: set[str] = set()
        self._auth = ClientCredentials(place.url, client["client_id"], client["client_secret"])
        self._url = place.url
        self._transport = httpx.ASGITransport(app=api.app)

    async def note(self, response: httpx.Response) -> None:
        """Keep the answer, also one after which the consumer sends a request again."""
        self.statuses.append(response.status_code)
        self.kids.add(kid_of(response.request.headers["authorization"].split()[1]))

    async def call(self, end: asyncio.Event) -> None:
        """Call until told to stop."""
        async with httpx.AsyncClient(
            auth=self._auth,
            transport=self._transport,
            base_url=self._url,
            event_hooks={"response": [self.note]},
        ) as client:
            while not end.is_set():
                await client.get("/orders")
                await asyncio.sleep(0.01)


def kid_of(token: str) -> str:
    """Read which key signed a token."""
    return str(parse_compact(token).header["kid"])


@pytest.mark.rfc("roll-1", "roll-2")
async def test_no_request_is_refused_while_keys_are_rotated(place: Place) -> None:
    """Once by command and once by time, with two workers; APIs know the keys by HTTP alone."""
    place.settings |= {
        "WATCHWORD_ROTATE_EVERY": "3",
        "WATCHWORD_TOKEN_TTL": "3",
        "WATCHWORD_MAX_TOKEN_TTL": "3",
    }
    client = place.json("clients", "create", "billing", "--scope", "read")
    end = asyncio.Event()
    with running(place, "--workers", "2"):
        callers = [Caller(place, client, Api(place)) for _ in range(3)]
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.call(end))
            # It is refused while one by time is under way.
            while (done := await asyncio.to_thread(place.run, "keys", "rotate")).returncode:
                assert "a rotation is under way" in done.stderr
            await until(lambda: all(len(caller.kids) >= 3 for caller in callers))
            end.set()
    assert [set(caller.statuses) for caller in callers] == [{200}] * 3


@pytest.mark.rfc("roll-4")
async def test_a_withdrawn_key_ends_at_every_api_and_its_successor_at_none(place: Place) -> None:
    """They look as often as the issuer states, not as seldom as `max-age` would let them."""
    place.settings["WATCHWORD_JWKS_MAX_AGE"] = "300"
    client = place.json("clients", "create", "billing", "--scope", "read")
    apis = [Api(place) for _ in range(20)]
    with running(place):
        old = place.ask(client).json()["access_token"]
        for api in apis:
            assert (await api.show(old)).status == 200
        await until(lambda: all(len(api.jwks.status().kids) == 2 for api in apis))
        revoke = asyncio.to_thread(place.run, "keys", "revoke", kid_of(old), "--yes")
        revoking = asyncio.create_task(revoke)
        while kid_of(
            new := (await asyncio.to_thread(place.ask, client)).json()["access_token"]
        ) == (kid_of(old)):
            assert not revoking.done() or revoking.result().returncode == 0
        promoted = time.monotonic()
        believing = apis
        while believing:
            assert {(await api.show(new)).status for api in apis} == {200}
            believing = [api for api in believing if (await api.show(old)).status == 200]
            assert time.monotonic() < promoted + 1 + 1 + BUSY
            await asyncio.sleep(0.01)
        assert {(await api.show(old)).status for api in apis} == {401}
        assert (await revoking).returncode == 0


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
async def test_good_tokens_are_accepted_to_the_stale_bound_of_an_outage(place: Place) -> None:
    """Then it is 503 until the issuer is back; an API restarted meanwhile has copies on disk."""
    client = place.json("clients", "create", "billing", "--scope", "read")
    bound, copy = MAX_AGE + 2, place.folder / "copy" / "jwks.json"
    api = Api(place, copy, stale_for=2)
    process = place.start()
    assert await asyncio.to_thread(eventually, place.is_ready)
    token = place.ask(client).json()["access_token"]
    assert (await api.show(token)).status == 200
    await until(lambda: copy.exists() and any(copy.parent.glob("jwks.json.lists/*.jwt")))
    process.kill()
    process.communicate()
    gone, age = time.monotonic(), api.jwks.status().age
    assert age is not None
    restarted = Api(place, copy, stale_for=2)
    assert (await restarted.show(token)).status == 200
    assert await refused_after(api, token) >= gone - age + bound
    await refused_after(restarted, token)
    assert (await Api(place, copy, stale_for=2).show(token)).status == 503
    with running(place):
        for each in (api, restarted):
            await until_accepted(each, token)


async def refused_after(api: Api, token: str) -> float:
    """Wait until an API can judge no token any more; return the moment of that answer."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await api.show(token)).status == 200:
            await asyncio.sleep(0.01)
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    return time.monotonic()


async def until_accepted(api: Api, token: str) -> None:
    """Wait until an API accepts a token; it must not refuse it meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await api.show(token)).status != 200:
            assert answer.status == 503
            await asyncio.sleep(0.01)
