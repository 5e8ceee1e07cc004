"""Key sets over real sockets: an issuer that is slow, wrong or down, and a cache in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from keys.errors import NoKeySet
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from resource_api import BearerMiddleware
from tests.support.key_set_server import BAD_ANSWERS, MANY, KeySetServer, key_set_server
from tests.support.keys import rsa_key
from tests.support.nginx import caching_nginx
from tests.support.protected_api import ask, bearer
from watchword.testing.clock import Clock
from watchword.testing.forge import NOW, RESOURCE, TokenForge

FORGE, NEWER = TokenForge(), TokenForge(rsa_key(1))
KID = FORGE.jwk.kid
BAD_DAYS = ["hangs", "drips", "closes", "is cut off", "down", *BAD_ANSWERS]
SLOW = {"hangs", "drips"}
BUSY = 3.0
"""Seconds that a busy machine may add; the interval itself is tested with a clock of its own."""


@pytest.fixture
async def server() -> AsyncIterator[KeySetServer]:
    """An issuer that is well."""
    async with key_set_server(FORGE.jwks_document) as server:
        yield server


def client_of(server: KeySetServer, clock: Clock) -> JwksClient:
    """Make a client whose clock is turned by hand."""
    return JwksClient(HttpJwks(server.url), clock=clock)


async def until(holds: Callable[[], bool], *, within: float = 10) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.attack("V41")
@pytest.mark.rfc("roll-5")
@pytest.mark.parametrize("mode", BAD_DAYS)
async def test_a_bad_day_of_a_real_issuer(server: KeySetServer, mode: str) -> None:
    """The last good set serves to its bound; then, and at a cold start, 503; then all is well."""
    clock = Clock(0)
    warm, cold = client_of(server, clock), client_of(server, clock)
    assert await warm.warm()
    warm._timeout = cold._timeout = 0.2 if mode in SLOW else 5
    good = warm.current()
    if mode == "down":
        await server.stop()
    server.mode = mode
    clock.advance(400)
    assert warm.current() is good  # it does not wait
    assert await warm.refresh()
    assert (await warm.key(KID, "RS256")).kid == KID
    with pytest.raises(NoKeySet) as caught:
        await cold.key(KID, "RS256")
    assert caught.value.retry_after == 1
    assert (warm.status().state, cold.status().state) == ("stale", "none")
    clock.advance(3500)
    with pytest.raises(NoKeySet):
        await warm.key(KID, "RS256")
    # No answer of the bad day is kept.
    server.mode = "good"
    if mode == "down":
        await server.start()
    clock.advance(10)
    warm._timeout = cold._timeout = 5
    for client in (warm, cold):
        assert (await client.key(KID, "RS256")).kid == KID
        await client.aclose()
    assert server.requests["/evil"] == 0
    assert server.sent < 3 * MANY / 2  # the buffers of the system take some of each


@pytest.mark.rfc("roll-5")
async def test_a_flapping_issuer(server: KeySetServer) -> None:
    """Every other answer fails: the set is there all the time, and is soon asked for again."""
    clock = Clock(0)
    client = client_of(server, clock)
    assert await client.warm()
    for number in range(12):
        server.mode = "500" if number % 2 == 0 else "good"
        wait = client.status().next_check
        assert wait <= 240 if number % 2 == 0 else wait <= 1
        clock.advance(wait)
        asked = server.requests["/jwks"]
        assert client.current() is not None
        assert (await client.key(KID, "RS256")).kid == KID
        await until(lambda before=asked: server.requests["/jwks"] > before)
        await until(lambda: client.status().next_check > 0)
        assert client.status().failures == (number + 1) % 2
    await client.aclose()


async def test_what_did_not_change_is_not_sent_again(server: KeySetServer) -> None:
    """The entity tag of the set at hand is answered with 304."""
    client = client_of(server, Clock(0))
    for _ in range(3):
        assert await client.refresh()
    assert (server.statuses[304], server.requests["/jwks"]) == (2, 3)
    await client.aclose()


async def test_a_known_kid_does_not_wait_for_a_slow_issuer(server: KeySetServer) -> None:
    """While a thousand forged kids do."""
    clock = Clock(0)
    client = client_of(server, clock)
    assert await client.warm()
    client._timeout = 0.5
    server.mode = "hangs"
    clock.advance(0.1)
    forged = [asyncio.create_task(client.key(f"forged-{n}", "RS256")) for n in range(1000)]
    await until(lambda: server.requests["/jwks"] == 2)
    for _ in range(100):
        assert (await client.key(KID, "RS256")).kid == KID
    assert not forged[0].done()
    await asyncio.gather(*forged, return_exceptions=True)
    assert server.requests["/jwks"] == 2
    await client.aclose()


async def test_an_api_starts_from_disk_while_its_issuer_is_down(
    server: KeySetServer, tmp_path: Path
) -> None:
    """And asks the issuer again as soon as that is back."""
    copy = KeySetCopy(tmp_path / "jwks.json", server.url)
    tmp_path.chmod(0o700)
    first = JwksClient(HttpJwks(server.url), copy=copy)
    assert await first.warm()
    await first.aclose()
    await server.stop()
    second = JwksClient(HttpJwks(server.url), copy=KeySetCopy(tmp_path / "jwks.json", server.url))
    assert await second.warm()
    assert (await second.key(KID, "RS256")).kid == KID
    server.body = NEWER.jwks_document
    await server.start()
    await until(lambda: second.status().kids == (NEWER.jwk.kid,))
    await second.aclose()


async def time_withdrawal(
    server: KeySetServer, url: str, *, validators: int
) -> tuple[float, list[BearerMiddleware]]:
    """Withdraw a key under APIs that remember its token; give the seconds to the last refusal."""
    server.issuer = url
    token = TokenForge(issuer=url).token()
    apis = [
        BearerMiddleware(
            empty, issuer=url, resource=RESOURCE, clock=lambda: NOW, on_event=lambda *_, **__: None
        )
        for _ in range(validators)
    ]
    for api in apis:
        assert await api.warm()
        for _ in range(2):
            assert (await ask(api, "GET", "/read", bearer(token))).status == 200
    server.body = NEWER.jwks_document
    began = time.monotonic()
    for api in apis:
        while (await ask(api, "GET", "/read", bearer(token))).status == 200:
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 20
        assert (await ask(api, "GET", "/read", bearer(token))).status == 401
    return time.monotonic() - began, apis


async def empty(scope: object, receive: object, send: Callable[..., object]) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]


@pytest.mark.alone
@pytest.mark.attack("V40")
async def test_a_withdrawn_key_ends_within_the_stated_interval() -> None:
    """Its tokens were verified before and are remembered; nobody asks for the set but the timer."""
    async with key_set_server(FORGE.jwks_document, revalidate=1) as server:
        seconds, apis = await time_withdrawal(server, server.url, validators=5)
        assert seconds < 1 + BUSY
        for api in apis:
            await api.aclose()


@pytest.mark.alone
@pytest.mark.attack("V40")
async def test_a_withdrawn_key_ends_in_time_behind_a_shared_cache(tmp_path: Path) -> None:
    """What the cache may keep and the interval add up: here to two seconds."""
    async with key_set_server(FORGE.jwks_document, revalidate=1) as server:
        server.cache_control = "public, max-age=300, s-maxage=1"
        with caching_nginx(tmp_path, server.url) as url:
            began = time.monotonic()
            seconds, apis = await time_withdrawal(server, url, validators=10)
            assert seconds < 2 + BUSY
            answer = httpx.get(f"{url}/jwks")
            assert answer.headers["x-cache"] in {"HIT", "MISS", "EXPIRED"}
            # Ten validators ask about once a second each; the cache asks for all of them. They do
            # so from their first fetch on, which is long before the withdrawal where all is slow.
            assert server.requests["/jwks"] <= 2 + (time.monotonic() - began) + 2
            for api in apis:
                await api.aclose()
