"""The client of the key set: one fetch, ahead of need, honest about failures."""

import asyncio
import weakref
from typing import Any

import httpx
import pytest

from keys.errors import NoKeySet, UnknownKey
from keys.jwk import PublicJwk
from keys.remote.answer import Fetched
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import MAXIMUM_WAITING, JwksClient, _tick
from tests.support.keys import rsa_key
from tests.support.protected_api import PublishedKeySet
from watchword.testing.clock import Clock
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
NEWER = TokenForge(rsa_key(1))
KID = FORGE.jwk.kid


class Bench:
    """A client over an issuer that does as told, and what it reported."""

    def __init__(self) -> None:
        """Start cold."""
        self.clock = Clock(0)
        self.issuer = PublishedKeySet(FORGE.jwks_document)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.client = JwksClient(
            self.issuer, clock=self.clock, on_event=lambda name, **f: self.events.append((name, f))
        )


async def settle() -> None:
    """Let what is scheduled on the loop happen."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.rfc("roll-8")
async def test_ready_once_a_set_is_loaded() -> None:
    """Readiness is false before the first set and true with one, until it is too old."""
    bench = Bench()
    assert not bench.client.ready
    assert await bench.client.warm()
    assert await bench.client.warm()
    assert len(bench.issuer.asked) == 1
    bench.clock.advance(300 + 3600)
    assert not bench.client.ready
    assert bench.client.current() is None
    await bench.client.aclose()


@pytest.mark.rfc("roll-5")
async def test_many_requests_share_one_fetch() -> None:
    """A hundred requests that meet a cold cache cause one fetch, even if the first gives up."""
    opened = asyncio.Event()
    asked = 0

    async def slow(etag: str | None) -> Fetched:
        nonlocal asked
        asked += 1
        await opened.wait()
        return Fetched(status=200, body=FORGE.jwks_document)

    client = JwksClient(slow, clock=Clock(0))
    waiting = [asyncio.create_task(client.key(KID, "RS256")) for _ in range(100)]
    await settle()
    waiting[0].cancel()
    await settle()
    opened.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(key, PublicJwk) for key in found[1:])
    assert asked == 1


@pytest.mark.rfc("roll-5")
async def test_refresh_happens_in_the_background() -> None:
    """A set that is due is returned at once and fetched meanwhile, with the tag."""
    bench = Bench()
    bench.issuer.headers["etag"] = '"1"'
    await bench.client.warm()
    before = bench.client.current()
    bench.clock.advance(240)
    assert bench.client.current() is before
    assert bench.client.current() is before
    bench.issuer.status = 304
    await settle()
    assert bench.issuer.asked == [None, '"1"']
    assert bench.client.current() is before
    assert bench.events == [("jwks.refreshed", {"kids": [KID]})]


@pytest.mark.rfc("roll-5")
async def test_last_good_set_is_kept() -> None:
    """While the issuer is down, the set serves; failures are reported, and tries get rarer."""
    bench = Bench()
    await bench.client.warm()
    bench.issuer.fails = ConnectionError("secret text of a peer")
    bench.clock.advance(400)
    for _ in range(5):
        assert bench.client.current() is not None
        await settle()
    assert (await bench.client.key(KID, "RS256")).kid == KID
    assert bench.events[1:] == [("jwks.stale", {"reason": "ConnectionError", "failures": 1})]
    assert bench.client.status().state == "stale"
    bench.clock.advance(1)
    bench.client.current()
    await settle()
    assert bench.client.status().next_check > 1


async def test_unknown_kid_waits_for_one_fetch_and_may_be_new() -> None:
    """A key that the issuer just published is found by the first token that names it."""
    bench = Bench()
    await bench.client.warm()
    bench.clock.advance(0.1)
    newer = NEWER
    with pytest.raises(UnknownKey):
        await bench.client.key("unknown", "RS256")
    bench.issuer.body = newer.jwks_document
    with pytest.raises(UnknownKey):
        await bench.client.key(newer.jwk.kid, "RS256")
    assert len(bench.issuer.asked) == 2
    bench.clock.advance(30)
    assert (await bench.client.key(newer.jwk.kid, "RS256")).kid == newer.jwk.kid
    with pytest.raises(UnknownKey):
        await bench.client.key(KID, "RS256")


async def test_a_set_is_renewed_as_for_an_unknown_kid() -> None:
    """As seldom, and without an error if nothing new came."""
    bench = Bench()
    await bench.client.warm()
    bench.clock.advance(0.1)
    bench.issuer.body = NEWER.jwks_document
    for _ in range(2):
        await bench.client.renew()
    assert len(bench.issuer.asked) == 2
    assert (await bench.client.key(NEWER.jwk.kid, "RS256")).kid == NEWER.jwk.kid


async def test_cold_failure_is_unavailable() -> None:
    """Without a set nothing is judged; the caller is told when to come back."""
    bench = Bench()
    bench.issuer.status = 503
    with pytest.raises(NoKeySet) as caught:
        await bench.client.key(KID, "RS256")
    assert caught.value.retry_after == 1
    assert not await bench.client.warm()
    assert len(bench.issuer.asked) == 1
    assert bench.events == [("jwks.stale", {"reason": "status 503", "failures": 1})]
    bench.issuer.status = 200
    assert await bench.client.refresh()


async def test_closing_stops_a_flight() -> None:
    """A refresh under way ends with the client; closing an idle one is nothing."""

    async def never(etag: str | None) -> Fetched:
        await asyncio.Event().wait()
        raise AssertionError

    client = JwksClient(never, clock=Clock(0))
    await client.aclose()
    assert client.current() is None
    await client.aclose()
    assert not client.ready


async def test_a_closed_client_can_be_used_again() -> None:
    """Though the fetch that closing ended had not begun."""
    bench = Bench()
    assert bench.client.current() is None
    await bench.client.aclose()
    assert (await bench.client.key(KID, "RS256")).kid == KID
    await bench.client.aclose()


async def test_304_confirms_only_what_was_asked_for() -> None:
    """Without a tag in the question it is no answer."""
    bench = Bench()
    await bench.client.warm()
    bench.issuer.status = 304
    assert await bench.client.refresh()
    assert bench.client.status().failures == 1


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        httpx.InvalidURL("x"),
        OSError(),
        UnicodeError(),
        KeyError("x"),
    ],
)
async def test_foreign_exceptions_stop_here(error: Exception) -> None:
    """Whatever a fetch raises becomes a failure of ours."""
    bench = Bench()
    bench.issuer.fails = error
    with pytest.raises(NoKeySet):
        await bench.client.key(KID, "RS256")


async def test_own_client_is_made_and_closed_for_each_fetch() -> None:
    """Without a client of the caller's, a dead port is an httpx error and nothing is left open."""
    with pytest.raises(httpx.TransportError):
        await HttpJwks("http://127.0.0.1:1", jwks_uri="http://127.0.0.1:1/jwks")(None)


def test_a_fetch_of_a_closed_event_loop_blocks_no_later_one() -> None:
    """Its task never ends; the next loop fetches for itself, and can close the client."""
    asked: list[int] = []

    async def fetch(etag: str | None) -> Fetched:
        asked.append(1)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return Fetched(status=200, body=FORGE.jwks_document)

    client = JwksClient(fetch, clock=Clock(0))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(started(client))
    loop.close()  # while the fetch is under way, as a worker of a task queue does it
    assert asyncio.run(asyncio.wait_for(client.refresh(), 5))
    asyncio.run(client.aclose())
    assert len(asked) == 2


async def started(client: JwksClient) -> None:
    """Start a refresh in the background, and let it come as far as the network."""
    assert client.current() is None
    await asyncio.sleep(0)


async def test_a_fetch_of_another_running_loop_is_not_waited_for() -> None:
    """A thread with an event loop of its own gets the key set all the same."""
    asked: list[int] = []

    async def fetch(etag: str | None) -> Fetched:
        asked.append(1)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return Fetched(status=200, body=FORGE.jwks_document)

    client = JwksClient(fetch, clock=Clock(0))
    flying = asyncio.create_task(client.refresh())
    while not asked:  # else the other loop's fetch could be the first
        await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: asyncio.run(asyncio.wait_for(client.refresh(), 5)))
    flying.cancel()


def test_closed_loops_leave_nothing_behind() -> None:
    """A program that runs one event loop after another keeps no more than one of them."""
    client = JwksClient(PublishedKeySet(FORGE.jwks_document), clock=Clock(0))
    for _ in range(5):
        assert asyncio.run(client.refresh())
    assert len(client._loops) == 1


async def test_a_timer_that_is_early_looks_again() -> None:
    """What a clock of ours does not yet call due is left alone, and not forgotten."""
    bench = Bench()
    await bench.client.warm()
    (here,) = bench.client._loops.values()
    before = here.timer
    _tick(weakref.ref(bench.client), here)
    assert here.timer is not before
    assert len(bench.issuer.asked) == 1
    bench.clock.advance(240)
    _tick(weakref.ref(bench.client), here)
    await settle()
    assert len(bench.issuer.asked) == 2
    await bench.client.aclose()


async def test_a_request_that_joined_a_fetch_may_ask_once_more() -> None:
    """The fetch had begun before the key was published; one that began later is conclusive."""
    gates = [asyncio.Event() for _ in range(3)]
    answers = [FORGE.jwks_document, FORGE.jwks_document, NEWER.jwks_document]
    asked: list[int] = []

    async def fetch(etag: str | None) -> Fetched:
        number = len(asked)
        asked.append(number)
        await gates[number].wait()
        return Fetched(status=200, body=answers[number])

    clock = Clock(0)
    client = JwksClient(fetch, clock=clock)
    gates[0].set()
    await client.warm()
    clock.advance(290)
    assert client.current() is not None  # a refresh begins
    await settle()
    clock.advance(1)
    found = [asyncio.create_task(client.key(NEWER.jwk.kid, "RS256")) for _ in range(50)]
    await settle()
    gates[1].set()
    await settle()
    assert len(asked) == 3
    gates[2].set()
    assert {(await task).kid for task in found} == {NEWER.jwk.kid}
    await client.aclose()


@pytest.mark.attack("V7")
async def test_requests_that_wait_are_bounded() -> None:
    """Forged kids cannot make an API hold more than so many requests while the issuer is slow."""
    clock, gate = Clock(0), asyncio.Event()

    async def slow(etag: str | None) -> Fetched:
        await gate.wait()
        return Fetched(status=200, body=FORGE.jwks_document)

    client = JwksClient(slow, clock=clock)
    waiting = [asyncio.create_task(client.key(KID, "RS256")) for _ in range(MAXIMUM_WAITING)]
    await settle()
    with pytest.raises(NoKeySet):
        await client.key(KID, "RS256")
    gate.set()
    await asyncio.gather(*waiting)
    gate.clear()
    clock.advance(1)
    waiting = [asyncio.create_task(client.key(f"x{n}", "RS256")) for n in range(MAXIMUM_WAITING)]
    await settle()
    with pytest.raises(UnknownKey):
        await client.key("one more", "RS256")
    assert (await client.key(KID, "RS256")).kid == KID  # a known one does not wait
    gate.set()
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, UnknownKey) for each in refused)
    await client.aclose()
