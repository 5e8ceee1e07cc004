"""What counts once, on two nodes at the same instant, with each store of claims."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, closing

import pytest

from issuer.storage.database_url import open_database
from issuer.storage.hot import open_hot_store
from keys.redis_replay import RedisReplays
from tests.support.issuer import NOW, Clients, TestIssuer, make_client
from tests.support.redis_server import RedisServer
from tests.unit.issuer.test_replay import OnceOnly


def node_with(store):
    """Make a node whose clients authenticate by what counts once."""
    issuer = TestIssuer(Clients(make_client()))
    issuer.store = store
    issuer._authenticator = OnceOnly(issuer.authenticator)
    return issuer


async def show_to_all(*stores):
    """Send one request to several nodes at once, ten times to each; count the answers."""
    nodes = [node_with(store) for store in stores]
    answers = await asyncio.gather(*(node.ask() for node in nodes for _ in range(10)))
    return Counter(answer.status for answer in answers)


@pytest.mark.attack("T16")
async def test_one_of_all_nodes_takes_it(database_url):
    """Nodes that share a database; each has connections of its own."""
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(2):
            database = stack.enter_context(closing(open_database(database_url, timeout=5)))
            store = open_hot_store(lambda opened=database: opened, timeout=5, now=lambda: NOW)
            stack.push_async_callback(store.close)
            stores.append(store)
        assert await show_to_all(*stores) == {200: 1, 401: 19}


@pytest.mark.attack("T16")
async def test_one_of_all_nodes_takes_it_with_redis(tmp_path):
    """And while it is away none does, until it has come back."""
    server = RedisServer(tmp_path)
    stores = [RedisReplays(server.url, clock=lambda: NOW) for _ in range(2)]
    try:
        assert await show_to_all(*stores) == {200: 1, 401: 19}
        server.stop()
        assert await show_to_all(*stores) == {503: 20}
        server.start()
        assert await show_to_all(*stores) == {200: 1, 401: 19}
    finally:
        server.stop()
        await asyncio.gather(*(store.close() for store in stores))
