"""What status lists may cost an API: fetches, requests that wait, memory; over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from resource_api.errors import StatusUnavailable
from resource_api.status_list import MAX_UNFOLDED_BYTES, StatusList
from resource_api.status_lists import MAXIMUM_LISTS, UNUSED_FOR
from tests.support.key_set_server import key_set_server
from tests.support.keys import rsa_key
from tests.support.listed_api import PATH, ListedApi, listed_api, until
from watchword.testing.forge import TokenForge
from watchword.testing.status_lists import list_token, status, status_list

OTHER_KEY = rsa_key(1)


@pytest.fixture
async def api() -> AsyncIterator[ListedApi]:
    """An API whose issuer is well and knows no revocation."""
    async with listed_api() as api:
        yield api


async def test_a_cold_list_is_fetched_once_for_all_who_wait(api: ListedApi) -> None:
    """A hundred first requests cause one fetch; one that is cancelled does not hurt the rest."""
    requests = [asyncio.create_task(api.ask(api.token(0, jti=f"t{n}"))) for n in range(100)]
    await until(lambda: api.lists._waiting > 0)
    requests[0].cancel()
    answers = await asyncio.gather(*requests[1:])
    assert {answer.status for answer in answers} == {200}
    assert api.fetches == 1


async def test_requests_that_wait_are_bounded(api: ListedApi) -> None:
    """Those beyond are refused at once, and told to come back."""
    await api.keys.warm()
    api.server.list_mode = "hangs"
    api.lists._timeout = 1
    waiting = [asyncio.create_task(api.lists.get(api.uri)) for _ in range(300)]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (44, 256)
    assert {type(task.exception()) for task in done} == {StatusUnavailable}
    results = await asyncio.gather(*pending, return_exceptions=True)
    assert {type(each) for each in results} == {StatusUnavailable}
    assert api.fetches == 1


@pytest.mark.attack("V39")
@pytest.mark.rfc("tsl-8.3-1")
async def test_forged_uris_cause_no_fetch(api: ListedApi) -> None:
    """The signature comes first; and a signed URI elsewhere is none of the issuer's."""
    await api.keys.warm()
    forger = TokenForge(OTHER_KEY, issuer=api.server.url)
    for number in range(1000):
        uri = f"{api.server.url}/status-lists/{number}"
        header = {"kid": api.forge.jwk.kid}
        forged = forger.token(header=header, status=status(uri))
        assert (await api.ask(forged)).status == 401
    async with key_set_server(b"") as foreign:
        foreign.lists[PATH] = api.server.lists[PATH]
        elsewhere = api.forge.token(status=status(foreign.url + PATH))
        assert (await api.ask(elsewhere)).status == 401
        assert (api.reason, foreign.requests.total()) == ("invalid_status", 0)
    assert [path for path in api.server.requests if "status" in path] == []


async def test_lists_in_memory_are_bounded(api: ListedApi) -> None:
    """Of a hundred that the issuer signs 64 stay, and those that are used are among them."""
    for number in range(100):
        path = f"/status-lists/{number}-0"
        uri = api.server.url + path
        api.server.lists[path] = list_token(api.forge, uri)
        api.monotonic.advance(0.001)
        assert (await api.ask(api.forge.token(status=status(uri)))).status == 200
        assert (await api.ask()).status == 200
        assert len(api.lists._held) <= MAXIMUM_LISTS
    assert api.fetches == 1
    assert len(api.lists._here().timers) <= MAXIMUM_LISTS


async def test_the_bytes_of_lists_are_bounded(api: ListedApi) -> None:
    """Eight lists of four megabytes fill the memory; the ninth pushes the first out."""
    data = status_list(bytes(MAX_UNFOLDED_BYTES))
    for number in range(9):
        path = f"/status-lists/{number}-0"
        uri = api.server.url + path
        api.server.lists[path] = list_token(api.forge, uri, status_list=data)
        api.monotonic.advance(0.001)
        assert isinstance(await api.lists.get(uri), StatusList)
    assert len(api.lists._held) == 8
    assert api.lists.current(f"{api.server.url}/status-lists/0-0") is None


async def test_a_list_that_no_token_uses_is_dropped(api: ListedApi) -> None:
    """And no longer asked for."""
    assert (await api.ask()).status == 200
    api.monotonic.advance(UNUSED_FOR)
    api.lists._look_at(api.lists._here(), api.uri)
    assert (api.lists._held, api.fetches) == ({}, 1)


async def test_a_list_that_no_token_uses_is_kept_while_the_issuer_is_away(api: ListedApi) -> None:
    """It could not be had again; it goes when it serves no longer."""
    assert (await api.ask()).status == 200
    await api.server.stop()
    held = api.lists._held[api.uri]
    held.used_at -= UNUSED_FOR
    await api.lists._start(api.uri, held)
    api.lists._look_at(api.lists._here(), api.uri)
    assert api.lists._held == {api.uri: held}
    api.monotonic.now = held.good_until
    api.lists._look_at(api.lists._here(), api.uri)
    assert api.lists._held == {}


async def test_lists_that_are_all_being_fetched_make_no_room(api: ListedApi) -> None:
    """One more is refused, and not a fetch that requests wait for."""
    await api.keys.warm()
    api.server.list_mode = "hangs"
    uris = [f"{api.server.url}/status-lists/{n}-0" for n in range(MAXIMUM_LISTS)]
    api.server.lists |= {uri.removeprefix(api.server.url): b"" for uri in uris}
    waiting = [asyncio.create_task(api.lists.get(uri)) for uri in uris]
    await until(lambda: len(api.lists._here().fetching) == MAXIMUM_LISTS)
    async with asyncio.timeout(1):  # at once: it waits for no fetch
        with pytest.raises(StatusUnavailable):
            await api.lists.get(f"{api.server.url}/status-lists/{MAXIMUM_LISTS}-0")
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_fetches_that_begin_together_read_the_certificates_once(
    api: ListedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes far longer than a fetch, and all cores if it were done for each."""
    await api.keys.warm()
    read: list[object] = []
    create = httpx.create_ssl_context
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: read.append(create()) or read[-1])
    uris = [f"{api.server.url}/status-lists/{number}-0" for number in range(8)]
    for uri in uris:
        api.server.lists[uri.removeprefix(api.server.url)] = list_token(api.forge, uri)
    found = await asyncio.gather(*map(api.lists.get, uris))
    assert [each.status(0) for each in found] == [0] * 8
    assert len(read) == 1
