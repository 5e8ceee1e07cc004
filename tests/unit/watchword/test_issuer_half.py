"""Unit tests of `watchword.issuer_half`: its jobs, and the end of what it opened."""

import asyncio
import io

import anyio
import pytest

from issuer.registry.errors import StoreUnavailable
from watchword import issuer_half as issuer_half_module
from watchword.clock import wall_clock
from watchword.issuer_half import IssuerHalf
from watchword.key_ring import open_key_store, ring_policy
from watchword.logging import Events
from watchword.settings import load_settings


@pytest.fixture
def half(tmp_path, monkeypatch):
    """Give an issuer in an empty folder, with a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(issuer_half_module, "DOCUMENT_POLL_SECONDS", 0.01)
    settings = load_settings()
    open_key_store(settings).generate(
        alg="RS256", bits=2048, now=wall_clock(), policy=ring_policy(settings)
    )
    return IssuerHalf(settings, Events(form="json", stream=io.StringIO()))


async def until(holds):
    """Wait until it holds."""
    with anyio.fail_after(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_the_registry_is_closed_whatever_its_jobs_and_their_end_raise(half, monkeypatch):
    """A bug in one part leaves no connection open."""
    closed = []

    def fail(*arguments):
        raise RuntimeError("a bug")

    async def fail_to_catch_up():
        fail()

    close = half.registry.close
    monkeypatch.setattr(half.registry, "close", lambda: (closed.append(True), close()))
    monkeypatch.setattr(half.view, "catch_up", fail_to_catch_up)
    monkeypatch.setattr(half.registry, "record_usage", fail)
    monkeypatch.setattr(half._registration, "stop", fail)
    half.start()
    await until(lambda: not half.store_answers())
    with pytest.raises(RuntimeError, match="a bug"):
        await half.stop()
    assert closed == [True]


async def test_readiness_follows_the_registry_and_the_key_store(half, monkeypatch):
    """Each says no while its last look failed, whatever it failed of."""
    looks = {"registry": StoreUnavailable("away"), "keys": RuntimeError("a bug")}

    async def catch_up():
        if "registry" in looks:
            raise looks["registry"]

    def refresh(now):
        if "keys" in looks:
            raise looks["keys"]
        return False

    monkeypatch.setattr(half.view, "catch_up", catch_up)
    monkeypatch.setattr(half.keys, "refresh", refresh)
    half.start()
    await until(lambda: not half.store_answers() and not half.has_key())
    looks.clear()
    await until(lambda: half.store_answers() and half.has_key())
    await half.stop()
