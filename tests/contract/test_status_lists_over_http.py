"""Status lists over real sockets: a list server that is slow, wrong or down."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from keys.jwks import JwkSet
from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from resource_api import BearerMiddleware, InvalidToken, Reason, ResourcePolicy
from resource_api.errors import StatusUnavailable
from resource_api.status_list import MAX_UNFOLDED_BYTES
from tests.support.key_set_server import BAD_ANSWERS, MANY, KeySetServer, key_set_server
from tests.support.keys import rsa_key
from tests.support.listed_api import PATH, ListedApi, answer, listed_api, until
from tests.support.protected_api import ask, bearer
from watchword.testing.forge import DROP, NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import list_token, pack, status, status_list

OTHER_KEY = rsa_key(1)
SLOW = {"hangs", "drips"}
NO_LIST = ["hangs", "drips", "closes", "is cut off", "down", *BAD_ANSWERS]
NO_LIST = [mode for mode in NO_LIST if mode not in ("html as json", "empty set")]
"""Answers that are no list at all, so that the API cannot know; those two call themselves one."""


@pytest.fixture
async def api() -> AsyncIterator[ListedApi]:
    """An API whose issuer is well and knows no revocation."""
    async with listed_api() as api:
        yield api


@pytest.mark.alone
async def test_a_revocation_is_known_by_ttl_and_no_request_waits_for_it(api: ListedApi) -> None:
    """The list is asked for again in the background; what did not change is not sent again."""
    assert (await api.ask()).status == 200
    assert api.fetches == 1
    api.publish(1, 0, 0, iat=NOW + 1)
    for _ in range(20):
        assert (await api.ask()).status == 200
    api.advance(8 * 0.949)
    api.server.list_mode = "hangs"
    began = time.monotonic()
    assert (await api.ask()).status == 200  # by the list at hand
    assert time.monotonic() - began < 1
    await until(lambda: api.fetches == 2)
    api.server.list_mode = "good"
    await api.lists.aclose()
    assert (await api.ask()).status == 200
    await api.settle()
    assert (await api.ask()).status == 401
    assert (api.reason, api.fetches) == ("token_revoked", 3)
    assert (await api.ask(api.token(1))).status == 200
    api.advance(8)
    assert (await api.ask(api.token(1))).status == 200
    await api.settle()
    assert (api.fetches, api.server.statuses[304]) == (4, 1)


async def test_the_ages_of_the_lists_at_hand_are_told(api: ListedApi) -> None:
    """Since each was issued, by its own word: what a gauge shows."""
    assert api.lists.ages == []
    await api.ask()
    (issued,) = api.lists.ages
    api.advance(5)
    assert api.lists.ages == [issued + 5]


@pytest.mark.rfc("tsl-13.7-1")
@pytest.mark.parametrize("jitter", [0.0, 1.0])
async def test_a_list_is_asked_for_again_between_nine_tenths_of_ttl_and_ttl(
    api: ListedApi, jitter: float
) -> None:
    """Counted from the moment at which it was asked for, whatever caching headers say."""
    api.lists._jitter = lambda: jitter
    assert (await api.ask()).status == 200
    wait = api.lists._held[api.uri].refresh_at - 1000
    assert 8 * 0.9 <= wait < 8
    api.advance(8 * 0.89)
    assert (await api.ask()).status == 200
    assert not api.lists._here().fetching
    api.advance(8 * 0.11)
    assert (await api.ask()).status == 200
    await api.settle()
    assert api.fetches == 2


@pytest.mark.alone
async def test_the_schedule_runs_without_requests() -> None:
    """By the real clock: a remembered token is refused though nobody asked in between."""
    async with listed_api() as api:
        api.lists._monotonic = time.monotonic
        api.publish(0, ttl=1)
        assert (await api.ask()).status == 200
        api.publish(1, ttl=1)
        fetched = time.monotonic()
        await until(lambda: api.fetches == 2, within=5)
        assert time.monotonic() - fetched < 1 + 1  # the second is for a busy machine
        await api.settle()
        assert (await api.ask()).status == 401


@pytest.mark.attack("V39")
@pytest.mark.parametrize("mode", NO_LIST)
async def test_a_bad_day_of_a_list_server(api: ListedApi, mode: str) -> None:
    """The list at hand serves to its `exp`; then, and at a cold start, 503; then all is well."""
    cold = ListedApi(api.server)
    assert (await api.ask()).status == 200
    assert await cold.keys.warm()
    api.lists._timeout = cold.lists._timeout = 0.2 if mode in SLOW else 5
    if mode == "down":
        await api.server.stop()
    api.server.list_mode = mode
    for _ in range(3):
        api.advance(8)
        assert (await api.ask()).status == 200
        await api.settle()
    refused = await cold.ask()
    assert (refused.status, cold.reason) == (503, "status_unavailable")
    assert int(refused.header("retry-after") or 0) >= 1
    assert refused.json["error"] == "temporarily_unavailable"
    assert (await cold.ask()).status == 503  # at once: the next try has its time
    assert cold.events.count(cold.events[0]) == 1
    api.advance(299 - 24)
    assert (await api.ask()).status == 200
    await api.settle()
    api.advance(1)
    assert (await api.ask()).status == 503
    await api.settle()
    assert {name for name, _ in api.events} == {
        "jwks.refreshed",
        "status_list.stale",
        "request.refused",
    }
    api.server.list_mode = "good"
    if mode == "down":
        await api.server.start()
    for each in (api, cold):
        each.lists._timeout = 5
        each.publish(0, iat=NOW + 300, exp=NOW + 600)
        each.wall.now = NOW + 330
        each.monotonic.advance(31)
        assert (await each.ask()).status == 200
    assert api.server.requests["/evil"] == 0
    assert api.server.sent < 3 * MANY
    await cold.aclose()


OTHER = TokenForge(OTHER_KEY)
WRONG_LISTS: dict[str, dict[str, Any]] = {
    "another list": {"sub": "https://as.example/other"},
    "expired": {"exp": NOW},
    "wrong typ": {"header": {"typ": "JWT"}},
    "unknown key": {"header": {"kid": OTHER.jwk.kid}},
    "zip bomb": {"status_list": status_list(bytes(MAX_UNFOLDED_BYTES * 4))},
    "unsigned": {"header": {"alg": "none"}},
    "no list": {"status_list": DROP},
}


@pytest.mark.attack("V39")
@pytest.mark.rfc("tsl-8.3-1", "tsl-5.1-1")
@pytest.mark.parametrize("fault", [*WRONG_LISTS, "foreign key", "html"])
async def test_a_list_that_is_not_to_be_believed(api: ListedApi, fault: str) -> None:
    """Cold, the token is refused; with a list at hand, that one serves on."""
    cold = ListedApi(api.server)
    assert (await api.ask()).status == 200
    if fault == "foreign key":
        header = {"kid": api.forge.jwk.kid}
        signed = list_token(OTHER, api.uri, header=header, iat=NOW + 1)
        api.server.lists[PATH] = signed
    elif fault == "html":
        api.server.lists[PATH] = b"<html></html>"
    else:
        api.publish(0, **WRONG_LISTS[fault])
    for _ in range(2):
        assert (await cold.ask()).status == 401
        assert cold.reason == "invalid_status"
    assert api.fetches == 2
    api.advance(8)
    assert (await api.ask()).status == 200
    await api.settle()
    assert (await api.ask()).status == 200
    name, fields = api.events[-1]
    assert (name, fields["uri"], fields["failures"]) == ("status_list.stale", api.uri, 1)
    await cold.aclose()


async def test_a_list_that_goes_back_in_time_is_refused(api: ListedApi) -> None:
    """It could call a revoked token valid; one of the same moment is taken."""
    api.publish(1, iat=NOW + 5)
    assert (await api.ask()).status == 401
    api.publish(0, iat=NOW + 4)
    api.advance(8)
    assert (await api.ask()).status == 401
    await api.settle()
    assert (await api.ask()).status == 401
    assert api.events[-2][1]["reason"] == "an older list than the one at hand"
    api.publish(0, iat=NOW + 5)
    api.advance(8)
    assert (await api.ask()).status == 401
    await api.settle()
    assert (await api.ask()).status == 200


async def test_what_another_node_tells_counts_though_its_clock_is_behind(api: ListedApi) -> None:
    """Nodes' clocks differ, the numbers of changes do not; those of another feed do not compare."""

    async def told(change: int, *statuses: int, iat: int, feed: str = "f") -> int:
        api.publish(*statuses, iat=iat, status_list_version={"feed": feed, "change": change})
        api.advance(8)
        await api.ask()
        await api.settle()
        return (await api.ask()).status

    assert await told(4, 0, iat=NOW + 5) == 200
    assert await told(5, 1, iat=NOW) == 401
    assert await told(4, 0, iat=NOW + 6) == 401
    assert api.events[-2][1]["reason"] == "an older list than the one at hand"
    assert await told(3, 0, iat=NOW - 1, feed="g") == 401
    assert await told(3, 0, iat=NOW, feed="g") == 200


async def test_an_operator_may_shorten_how_long_a_list_serves() -> None:
    """`stale_for` counts from the last good answer, if it ends before `exp`."""
    async with listed_api(stale_for=20) as api:
        assert (await api.ask()).status == 200
        await api.server.stop()
        api.advance(19)
        assert (await api.ask()).status == 200
        await api.settle()
        api.advance(1)
        assert (await api.ask()).status == 503


async def test_a_list_without_exp_serves_for_a_day(api: ListedApi) -> None:
    """So that a list server which is gone does not go unnoticed for ever."""
    api.publish(0, exp=DROP)
    assert (await api.ask()).status == 200
    await api.server.stop()
    api.monotonic.advance(86_399)
    assert api.lists.current(api.uri) is not None
    api.monotonic.advance(1)
    assert api.lists.current(api.uri) is None


async def test_a_304_does_not_prolong_a_list(api: ListedApi) -> None:
    """Its `exp` counts; and the next request asks for all of it."""
    assert (await api.ask()).status == 200
    api.advance(300)
    assert (await api.ask()).status == 401
    assert (api.reason, api.server.statuses[304]) == ("invalid_status", 1)
    api.publish(0, iat=NOW + 300, exp=NOW + 600)
    api.advance(31)
    assert (await api.ask()).status == 200


async def test_a_list_signed_by_a_withdrawn_key_is_not_confirmed(api: ListedApi) -> None:
    """It is asked for in full, and the one at hand serves until there is another."""
    assert (await api.ask()).status == 200
    newer = TokenForge(OTHER_KEY, issuer=api.server.url)
    api.server.body = newer.jwks_document
    assert await api.keys.refresh()
    api.forge = newer
    api.publish(0, 1)
    api.advance(8)
    assert (await api.ask()).status == 200
    await api.settle()
    assert api.server.statuses[304] == 0
    assert (await api.ask(api.token(1))).status == 401


async def test_a_list_signed_by_a_withdrawn_key_keeps_out_no_other(api: ListedApi) -> None:
    """Whoever stole the key may have dated it, and numbered its changes, as late as can be."""
    forged = {"feed": "f", "change": 2**53}
    api.publish(0, iat=NOW + 5, status_list_version=forged)
    assert (await api.ask()).status == 200
    api.forge = TokenForge(OTHER_KEY, issuer=api.server.url)
    api.server.body = api.forge.jwks_document
    assert await api.keys.refresh()
    api.publish(1, iat=NOW, status_list_version={"feed": "f", "change": 5})
    api.advance(8)
    await api.ask()
    await api.settle()
    assert (await api.ask()).status == 401
    assert api.reason == "token_revoked"


async def test_a_foreign_issuer_by_the_standard_alone_works(api: ListedApi) -> None:
    """Lists elsewhere, of one bit, without `iss`, `exp` and `ttl`; and statuses of its own."""
    async with key_set_server(b"") as elsewhere:
        prefix = elsewhere.url + "/lists"
        policy = ResourcePolicy(issuer=api.server.url, resource=RESOURCE, status_lists=prefix)
        app = BearerMiddleware(
            answer,
            issuer=api.server.url,
            resource=RESOURCE,
            policy=policy,
            clock=api.wall,
            on_event=api.record,
        )
        for name, bits, statuses in (("/a", 1, [0, 1]), ("/b", 4, [0, 1, 0xC])):
            uri = prefix + name
            elsewhere.lists["/lists" + name] = list_token(
                api.forge, uri, pack(statuses, bits), bits=bits, exp=DROP, ttl=DROP
            )
            for idx, wanted in enumerate([200, 401, 401][: len(statuses)]):
                token = api.forge.token(status=status(uri, idx))
                assert (await ask(app, "GET", "/read", bearer(token))).status == wanted
        assert api.reason == "invalid_status"
        for issuer in app.protection.issuers:
            await issuer.keys.aclose()
            await issuer.statuses.aclose()


async def test_without_keys_a_list_cannot_be_judged(api: ListedApi) -> None:
    """Its signature cannot be verified, so the token can be neither accepted nor refused."""

    class NoKeys(JwksClient):
        def current(self) -> JwkSet | None:
            return None

    api.lists._keys = NoKeys(HttpJwks("http://127.0.0.1:1"))
    with pytest.raises(StatusUnavailable):
        await api.lists.get(api.uri)
    assert api.events[-1][1]["reason"] == "the issuer's keys could not be had"
    await api.lists._keys.aclose()


def test_a_client_serves_one_event_loop_after_another() -> None:
    """What it holds is the same; fetches and schedules are of the loop that they run in."""

    async def fresh() -> None:
        await server.start()
        before = api.fetches
        assert (await api.ask()).status == 200
        api.advance(8)
        assert (await api.ask()).status == 200
        await api.settle()
        assert api.fetches > before
        await server.stop()

    server = KeySetServer(TokenForge().jwks_document)
    api = ListedApi(server)
    for _ in range(2):
        asyncio.run(fresh())
    assert len(api.lists._loops) == 1


async def test_what_is_served_at_an_address_names_itself(api: ListedApi) -> None:
    """A list that another address serves as well is not taken for that one's."""
    other = "/status-lists/2-0"
    api.server.lists[other] = api.server.lists[PATH]
    token = api.forge.token(status=status(api.server.url + other))
    assert (await api.ask(token)).status == 401
    with pytest.raises(InvalidToken) as caught:
        await api.lists.get(api.server.url + other)
    assert caught.value.reason is Reason.INVALID_STATUS
