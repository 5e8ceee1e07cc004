"""Keys change, or the issuer goes away, while APIs are at work: real processes, real time."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_cache import CachePolicy
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from resource_api import BearerMiddleware
from tests.support.protected_api import Answer, ask, bearer
from tests.support.provider import PATIENCE, Place, eventually, make_place, running

MAX_AGE = 1
SETTINGS = {"WATCHWORD_JWKS_MAX_AGE": str(MAX_AGE), "WATCHWORD_STATUS_LIST_TTL": "1"}


class Api:
    """An API of its own, which gets the keys of a provider over HTTP."""

    def __init__(self, place: Place, copy: Path | None = None, *, stale_for: float = 3600) -> None:
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


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
async def test_good_tokens_are_accepted_to_the_stale_bound_of_an_outage(place: Place) -> None:
    """Then it is 503 until the issuer is back; an API restarted meanwhile has its copy on disk."""
    client = place.json("clients", "create", "billing", "--scope", "read")
    bound, copy = MAX_AGE + 2, place.folder / "copy" / "jwks.json"
    api = Api(place, copy, stale_for=2)
    process = place.start()
    assert await asyncio.to_thread(eventually, place.is_ready)
    token = place.ask(client).json()["access_token"]
    assert (await api.show(token)).status == 200
    await until(copy.exists)
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
