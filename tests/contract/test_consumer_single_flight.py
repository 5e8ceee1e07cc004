"""However many callers wait for a token, it is asked for once: over real sockets, both libraries.

Tasks on asyncio and trio, threads, several event loops, all at once and one after another.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import httpx2
import pytest

from consumer import auth, httpx2_auth
from tests.support.local_issuer import served_issuer
from watchword.testing.clock import Clock

TASKS, THREADS = 200, 50
LIBRARIES = {"httpx": (httpx, auth), "httpx2": (httpx2, httpx2_auth)}


@pytest.fixture
def issuer():
    """A real issuer on a local socket, with an API."""
    with served_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock():
    """A clock turned by hand, so that tokens expire without waiting."""
    return Clock(1000)


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each HTTP library in turn, with the module that serves it."""
    return LIBRARIES[request.param]


@pytest.fixture
def credentials(library, issuer, clock):
    """The object under test."""
    return library[1].ClientCredentials(issuer.url, "id", "s3cret", clock=clock)


def call_in_threads(library, credentials, url, count=THREADS):
    """Make calls in as many threads at the same moment; return what they saw."""
    http, start = library[0], threading.Barrier(count)
    # Room for all: a pool that runs short may close a connection under a thread that just got it
    # (seen as "Bad file descriptor"), and the pool is not what is tested here.
    limits = http.Limits(max_connections=count, max_keepalive_connections=count)

    def call(client):
        start.wait()
        return client.get(url).status_code

    with http.Client(auth=credentials, limits=limits) as client, ThreadPoolExecutor(count) as pool:
        return set(pool.map(call, [client] * count))


async def call_in_tasks(library, credentials, url, count=TASKS):
    """Make calls in as many tasks of this event loop; return what they saw."""
    http, seen = library[0], set()

    async def call(client):
        seen.add((await client.get(url)).status_code)

    limits = http.Limits(max_connections=10)
    async with (
        http.AsyncClient(auth=credentials, limits=limits, timeout=30) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(count):
            group.start_soon(call, client)
    return seen


def call_somehow(how, library, credentials, url):
    """Make many calls at once on threads or in tasks of either kind of event loop."""
    if how == "threads":
        return call_in_threads(library, credentials, url)
    return anyio.run(call_in_tasks, library, credentials, url, backend=how)


@pytest.mark.parametrize("how", ["threads", "asyncio", "trio"])
def test_one_token_request_cold_expired_and_revoked(how, library, credentials, issuer, clock):
    """1, 1 and 1: and every call succeeds, whichever way it waits."""
    url = f"{issuer.url}/api"
    assert call_somehow(how, library, credentials, url) == {200}
    assert issuer.requests["/token"] == 1
    clock.advance(issuer.lifetime)
    assert call_somehow(how, library, credentials, url) == {200}
    assert issuer.requests["/token"] == 2
    issuer.revoked = {"t1", "t2"}
    assert call_somehow(how, library, credentials, url) == {200}
    assert issuer.requests["/token"] == 3
    assert issuer.requests["/.well-known/oauth-authorization-server"] == 1


def test_threads_and_event_loops_share_one_token(library, credentials, issuer):
    """Ten threads, two asyncio loops and two trio loops at once: one token request."""
    url = f"{issuer.url}/api"
    backends = ["asyncio", "asyncio", "trio", "trio"]
    start = threading.Barrier(len(backends) + 1)

    def in_tasks(backend):
        start.wait()
        return anyio.run(call_in_tasks, library, credentials, url, 10, backend=backend)

    with ThreadPoolExecutor(len(backends)) as pool:
        loops = [pool.submit(in_tasks, backend) for backend in backends]
        start.wait()
        assert call_in_threads(library, credentials, url, 10) == {200}
        assert [loop.result() for loop in loops] == [{200}] * len(backends)
    assert issuer.requests["/token"] == 1


def test_one_object_outlives_its_event_loops(library, credentials, issuer, clock):
    """A fetch in a second loop, and in a third of another kind, works like the first."""
    url = f"{issuer.url}/api"
    for number, backend in enumerate(["asyncio", "asyncio", "trio", "asyncio"], start=1):
        seen = anyio.run(call_in_tasks, library, credentials, url, 3, backend=backend)
        assert seen == {200}
        assert issuer.requests["/token"] == number
        clock.advance(issuer.lifetime)


def test_a_cancelled_leader_leaves_nobody_waiting(library, credentials, issuer):
    """The task that fetches is cancelled; one of those who waited fetches in its place."""
    url = f"{issuer.url}/api"
    issuer.token_waiting_time = 0.3

    async def main():
        http = library[0]
        async with http.AsyncClient(auth=credentials) as client:
            leader = asyncio.create_task(client.get(url))
            while not issuer.requests["/token"]:
                await asyncio.sleep(0.01)
            follower = asyncio.create_task(client.get(url))
            await asyncio.sleep(0)
            leader.cancel()
            assert (await follower).status_code == 200
            with pytest.raises(asyncio.CancelledError):
                await leader

    asyncio.run(main())
    assert issuer.requests["/token"] == 2


def test_an_incurable_401_costs_two_token_requests(library, credentials, issuer):
    """An API that refuses every token is not a reason to fetch one for each call."""
    issuer.revoked = {f"t{number}" for number in range(1, 1000)}
    with library[0].Client(auth=credentials) as client:
        seen = {client.get(f"{issuer.url}/api").status_code for _ in range(300)}
    assert seen == {401}
    assert issuer.requests["/token"] == 2
    assert issuer.requests["/api"] == 301
