"""Validation without an event loop, over real sockets: threads, schedules, forks and the end."""

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import resource_api.sync
from resource_api.errors import InvalidToken, KeysUnavailable, MissingToken
from resource_api.sync import SyncProtection
from tests.support.listed_api import ListedApi, listed_api, until
from watchword.testing.forge import RESOURCE

THREAD = "watchword.resource_api"


class Api:
    """A synchronous protection whose issuer's keys and lists come over a real socket."""

    def __init__(self, listed: ListedApi) -> None:
        self.listed = listed
        self.server = listed.server
        self.sync = SyncProtection(listed.app.protection)
        self._of_others = threading.enumerate()
        # The keys follow the same clock as the lists.
        listed.keys._clock = listed.monotonic

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that serve a protection and were not there before."""
        alive = [each for each in threading.enumerate() if each not in self._of_others]
        return [each for each in alive if each.name == THREAD]

    def verify(self, token: bytes | None = None) -> Any:
        """Verify a token on this thread."""
        return self.sync.verify(f"Bearer {(token or self.listed.token()).decode()}")

    async def ask(self, token: bytes | None = None) -> Any:
        """Verify a token on another thread, as a server does that has no event loop."""
        return await asyncio.to_thread(self.verify, token)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A protection whose issuer is well."""
    async with listed_api() as listed:
        api = Api(listed)
        yield api
        await asyncio.to_thread(api.sync.close)


async def test_a_remembered_token_needs_no_other_thread(api: Api) -> None:
    """Nothing is started before the first token, nor for one that is remembered."""
    assert api.threads == []
    with pytest.raises(MissingToken):
        api.sync.verify(None)
    assert api.threads == []
    token = await api.ask()
    assert (token.client_id, len(api.threads)) == ("svc-a", 1)
    await asyncio.to_thread(api.sync.close)
    assert api.threads == []
    assert await api.ask() is token
    assert api.threads == []
    other = await api.ask(api.listed.token(1))
    assert (other is token, len(api.threads)) == (False, 1)


async def test_the_random_numbers_of_the_program_are_left_alone(api: Api) -> None:
    """Fetches in the background would make what a program has seeded come out otherwise."""
    before = random.getstate()
    await api.ask()
    assert random.getstate() == before


async def test_many_threads_that_start_cold_share_one_fetch(api: Api) -> None:
    """And one thread to make it."""
    gate = threading.Barrier(32)

    def verify() -> str:
        gate.wait(10)
        return str(api.verify().client_id)

    def verify_all() -> set[str]:
        with ThreadPoolExecutor(32) as pool:
            return {each.result() for each in [pool.submit(verify) for _ in range(32)]}

    assert await asyncio.to_thread(verify_all) == {"svc-a"}
    assert (api.server.requests["/jwks"], api.listed.fetches, len(api.threads)) == (1, 1, 1)


async def test_keys_that_are_due_are_fetched_while_the_old_ones_serve(api: Api) -> None:
    """A thread without an event loop has the loop of the protection ask."""
    token = await api.ask()
    api.server.mode = "hangs"
    api.listed.monotonic.advance(290)
    assert await api.ask() is token
    await until(lambda: api.server.requests["/jwks"] == 2)
    assert await api.ask() is token


async def test_a_revocation_is_known_by_ttl(api: Api) -> None:
    """The list that is due is asked for in the background, and refuses the token then."""
    await api.ask()
    api.listed.publish(1, 0, 0, iat=api.listed.forge.now + 1)
    api.listed.advance(8)
    await api.ask()

    def is_refused() -> bool:
        try:
            api.verify()
        except InvalidToken:
            return True
        return False

    async with asyncio.timeout(10):
        while not await asyncio.to_thread(is_refused):
            await asyncio.sleep(0.005)
    assert api.listed.fetches == 2


async def test_without_keys_a_token_cannot_be_judged(api: Api) -> None:
    """The fault of the issuer is a 503, and over with it."""
    api.server.mode = "500"
    with pytest.raises(KeysUnavailable):
        await api.ask()
    assert not await asyncio.to_thread(api.sync.warm)
    api.server.mode = "good"
    api.listed.monotonic.advance(60)
    assert await asyncio.to_thread(api.sync.warm)
    assert (await api.ask()).client_id == "svc-a"


async def test_the_end_of_a_protection_ends_the_waits(api: Api) -> None:
    """A request that waits for keys is refused."""
    api.server.mode = "hangs"
    waiting = asyncio.ensure_future(api.ask())
    await until(lambda: api.server.requests["/jwks"] == 1)
    await asyncio.to_thread(api.sync.close)
    with pytest.raises(KeysUnavailable):
        await waiting


async def test_a_server_that_lets_no_thread_run_gets_refusals(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no request that hangs."""
    start = threading.Thread.start
    held: list[threading.Thread] = []
    with monkeypatch.context() as patch:
        patch.setattr(resource_api.sync, "LONGEST_WAIT", 0.05)
        patch.setattr(threading.Thread, "start", lambda thread: held.append(thread))
        with pytest.raises(KeysUnavailable):
            api.verify()
    for thread in held:
        start(thread)
    assert (await api.ask()).client_id == "svc-a"


async def test_the_thread_ends_with_its_protection(api: Api) -> None:
    """A protection that is dropped without `close` leaves no thread behind."""
    await api.ask()
    api.sync = SyncProtection(issuer=api.server.url, resource=RESOURCE)
    gc.collect()
    await until(lambda: api.threads == [])


async def test_a_process_may_fork_before_and_after_the_first_token(api: Api) -> None:
    """The thread of the parent is not in the child, which starts its own when keys are due."""
    token = await api.ask()
    assert await in_a_child(lambda: api.verify() is token and api.threads == [])
    api.listed.monotonic.advance(4000)
    assert await in_a_child(lambda: api.verify().client_id == "svc-a" and len(api.threads) == 1)
    assert api.server.requests["/jwks"] == 2
    assert (await api.ask()).client_id == "svc-a"
    assert api.server.requests["/jwks"] == 3


async def test_a_lock_that_is_held_at_a_fork_does_not_stop_the_child(api: Api) -> None:
    """Another thread of the parent may be starting the thread at that moment."""
    lock = api.sync._threads._locks.setdefault(os.getpid(), threading.Lock())
    with lock:
        assert await in_a_child(lambda: api.verify().client_id == "svc-a")


async def in_a_child(holds: Callable[[], bool]) -> bool:
    """Tell whether something holds in a forked process."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            code = 0 if holds() else 1
        finally:
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    return os.waitstatus_to_exitcode(status) == 0


async def test_a_program_ends_at_once_and_says_nothing(api: Api) -> None:
    """The thread and what it fetches do not keep the interpreter."""
    api.server.mode = "hangs"
    program = f"""
import threading
from resource_api.sync import SyncProtection
sync = SyncProtection(issuer={api.server.url!r}, resource={RESOURCE!r})
print(sync.readiness()[0])
input()
assert {THREAD!r} in [thread.name for thread in threading.enumerate()]
"""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-W", "error", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    # A busy machine takes its time to start an interpreter; the end alone is what is tested.
    await until(lambda: api.server.requests["/jwks"] == 1, within=60)
    async with asyncio.timeout(10):
        said, _ = await process.communicate(b"\n")
    assert (said, process.returncode) == (b"503\n", 0)
