"""The SSRF guard of dynamic registration: names are looked up, and nothing else happens."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from watchword.provider.ssrf_guard import SsrfGuard, resolve

HOST = "keys.client.example"


@contextmanager
def guarding(*addresses: str, **options: Any) -> Iterator[SsrfGuard]:
    """Guard with a resolver that knows these addresses for every host."""
    guard = SsrfGuard(**({"resolve": lambda host: addresses} | options))
    try:
        yield guard
    finally:
        guard.close()


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        (["8.8.8.8"], True),
        (["8.8.8.8", "2606:4700:4700::1111"], True),
        (["127.0.0.1"], False),
        (["8.8.8.8", "10.0.0.1"], False),
        (["8.8.8.8", "::1"], False),
        (["fe80::1%eth0"], False),
        ([], False),
    ],
)
async def test_every_address_of_a_host_must_be_public(addresses: list[str], public: bool) -> None:
    """Whoever fetches may get any of them."""
    with guarding(*addresses) as guard:
        assert await guard.is_public(HOST) is public


@pytest.mark.rfc("8725-3.10-1")
@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_that_nobody_knows_is_refused(failure: Exception) -> None:
    """A resolver that fails is no reason to believe."""

    def fail(host: str) -> list[str]:
        raise failure

    with guarding(resolve=fail) as guard:
        assert not await guard.is_public(HOST)


@pytest.mark.rfc("8725-3.10-1")
async def test_a_resolver_that_hangs_is_given_up() -> None:
    """Names beyond the threads that hang are refused in time as well, and the loop stays free.

    The threads are the guard's own, so that nothing else waits for them.
    """
    done = threading.Event()
    hanging: list[str] = []
    ended: list[str] = []

    def hang(host: str) -> list[str]:
        hanging.append(threading.current_thread().name)
        done.wait(30)
        ended.append(host)
        return ["8.8.8.8"]

    guard = SsrfGuard(resolve=hang, timeout=0.05)
    try:
        answers = await asyncio.gather(*(guard.is_public(HOST) for _ in range(5)))
        guard.close()
        assert (answers, ended) == ([False] * 5, [])
        assert set(hanging) <= {"resolver_0", "resolver_1"}
    finally:
        done.set()


async def test_names_that_wait_for_a_thread_are_given_up_at_the_end() -> None:
    """What a thread has begun cannot be stopped; nothing else is begun."""
    done = threading.Event()
    begun: list[str] = []

    def hang(host: str) -> list[str]:
        begun.append(host)
        done.wait(30)
        return []

    guard = SsrfGuard(resolve=hang)
    try:
        asked = [asyncio.create_task(guard.is_public(HOST)) for _ in range(3)]
        await asyncio.sleep(0)  # each of them is handed over in its first step
        guard.close()
    finally:
        done.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[-1], asyncio.CancelledError)
    assert len(begun) <= 2


@pytest.mark.rfc("8725-3.10-1")
async def test_an_allowed_host_may_be_anywhere() -> None:
    """The operator has vouched for it; no other host gains by it, not even one below."""
    asked: list[str] = []

    def ask(host: str) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    with guarding(resolve=ask, allowed=[HOST]) as guard:
        assert await guard.is_public(HOST)
        assert not await guard.is_public("x." + HOST)
    assert asked == ["x." + HOST]


async def test_the_systems_resolver_is_asked() -> None:
    """The name of this machine leads to this machine."""
    with guarding(resolve=resolve) as guard:
        assert not await guard.is_public("localhost")
    assert {"127.0.0.1", "::1"} & set(resolve("localhost"))
    assert resolve("127.0.0.1") == ["127.0.0.1"], "once, and not for each type of socket"


def test_a_name_that_cannot_be_is_no_crash() -> None:
    """The system's refusal is an OSError or a UnicodeError, which the guard knows."""
    with pytest.raises((OSError, UnicodeError)):
        resolve("x" * 64 + ".invalid")
