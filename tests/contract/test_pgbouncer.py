"""The registry behind PgBouncer: each client has a session of its own, or is refused."""

import threading
from contextlib import closing

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.storage.registry import Registry
from tests.support.pgbouncer import pooled
from tests.support.registry import NOW, RegistryHarness, new_client, orders


def opened(url, **options):
    """Open a registry to be closed."""
    return closing(Registry.open(url, now=lambda: NOW, **options))


async def test_a_pooler_of_sessions_is_like_the_server(postgres, postgres_url):
    """Changes are told of, places reserved, keys locked; who only reads changes nothing."""
    with pooled(postgres, postgres_url, "session") as url, opened(url, upgrade=True) as registry:
        told = threading.Event()
        registry.watch(told.set)
        assert told.wait(10)  # it listens
        told.clear()
        RegistryHarness(registry).create_resource(orders())
        assert told.wait(10)
        writes = registry.open_hot_store(timeout=5)
        assert await writes.reserve("status:1", 8) == 0
        await writes.close()
        keys = registry.key_records("the keys")
        with keys.lock():
            assert keys.names() == []
        with opened(url, reading=True) as reading:
            assert len(RegistryHarness(reading).list_resources()) == 1
            with pytest.raises(StoreUnavailable, match="read-only"):
                RegistryHarness(reading).create_client(new_client("till"))


def test_a_pooler_of_transactions_is_refused_with_its_setting(postgres, postgres_url):
    """Clients would run what others prepared; whether a session was used before or not."""
    with opened(postgres_url, upgrade=True):
        pass
    for mode, said in (("transaction", "pool_mode = session"), ("statement", "statement pooling")):
        with pooled(postgres, postgres_url, mode) as url:
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match=said):
                    Registry.open(url, now=lambda: NOW)
