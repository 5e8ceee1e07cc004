"""`TokenStatus` over every engine: what the registry tells of, and what it does not lose."""

from contextlib import asynccontextmanager, closing

import pytest

from issuer.config import IssuerConfig
from issuer.events import ignore_event
from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import Position, Status, bucket_for
from issuer.storage import status
from issuer.storage.hot import open_hot_store
from issuer.storage.source import ThreadedSource
from tests.support.registry import NOW
from watchword.provider import token_status
from watchword.provider.token_status import TokenStatus

BUCKET = bucket_for(NOW, 3600)
APPEND = "INSERT INTO status_changes (bucket, first, size, status) VALUES ($1, $2, $3, $4)"


def append(registry, *rows):
    """Append changes of first index, size and status."""
    registry.registry._database.write_many((APPEND, [(BUCKET, *row) for row in rows]))


@asynccontextmanager
async def followed(registry, clock):
    """Follow a registry as one worker does."""
    with closing(ThreadedSource(registry.registry, timeout=5)) as source:
        config = IssuerConfig(issuer="https://auth.example")
        writes = registry.registry.open_hot_store(timeout=5)
        node = TokenStatus(
            config, registry.registry, source, writes, clock=clock, events=ignore_event
        )
        yield node
        await writes.close()


def statuses(node, count=5):
    """Return the statuses of the first tokens."""
    return [int(node.lists.status(Position(BUCKET, index))) for index in range(count)]


async def test_two_nodes_come_to_the_same_lists(registry, another, clock):
    """Whichever wrote a change, and whenever each looks."""
    async with followed(registry, clock) as one, followed(another, clock) as two:
        await one.look()
        append(another, (0, 2, 1), (1, 3, 2))
        await one.look()
        append(registry, (3, 1, 0))
        clock.now += 7
        await one.look()
        await two.look()
        assert statuses(one) == statuses(two) == [1, 1, 2, 0, 0]
        assert one.lists.packed(BUCKET, 0) == two.lists.packed(BUCKET, 0)
        assert one.lists.version(BUCKET, 0) == two.lists.version(BUCKET, 0)
        assert one.lists.version(BUCKET, 0).change == 3
        assert one.lists.as_of == two.lists.as_of == NOW + 7
        assert one.lists.feed == two.lists.feed


async def test_more_changes_than_one_reading_are_read_in_parts(registry, clock, monkeypatch):
    """The lists are as old as before until the last one is there."""
    for module in (status, token_status):
        monkeypatch.setattr(module, "READ_AT_MOST", 3)
    monkeypatch.setattr(status, "_CHANGES", status._CHANGES.replace("10000", "3"))
    append(registry, *((index, 1, 1) for index in range(7)))
    async with followed(registry, clock) as node:
        await node.look()
        assert statuses(node, 8) == [1] * 7 + [0]
        append(registry, *((index, 1, 1) for index in range(7, 10)))
        await node.look()
        assert statuses(node, 11) == [1] * 10 + [0]


async def test_the_parts_of_a_bucket_are_known_by_its_counter(registry, database_url, clock):
    """Without a look at what tokens are on it."""
    async with followed(registry, clock) as node:
        await node.look()
        assert node.lists.live(NOW) == []
        database = registry.registry._database
        hot = open_hot_store(lambda: database, timeout=5, now=clock)
        try:
            await hot.reserve(f"status:{BUCKET}", 2**20 + 1)
            await hot.reserve("another counter", 1)
        finally:
            await hot.close()
        await node.look()
        assert node.lists.live(NOW) == [(BUCKET, 0), (BUCKET, 1)]


async def test_a_node_is_ready_once_its_tokens_have_places_and_lists(registry, clock):
    """A list that is asked for before is 503."""
    async with followed(registry, clock) as node:
        await node.keep_up()
        assert not node.ready
        await node.look()
        assert node.ready


async def test_while_the_registry_is_away_the_lists_stay_as_they_are(registry, clock, monkeypatch):
    """Neither older nor newer, and a look says that it failed."""
    async with followed(registry, clock) as node:
        append(registry, (0, 1, 1))
        await node.look()
        monkeypatch.setattr(registry.registry, "_opened", None)
        clock.now += 60
        with pytest.raises(StoreUnavailable):
            await node.look()
        assert node.lists.as_of == NOW
        assert node.lists.status(Position(BUCKET, 0)) is Status.INVALID


async def test_after_a_restore_everything_is_read_again(registry, clock):
    """The numbers are of another feed; what was revoked stays so."""
    async with followed(registry, clock) as node:
        append(registry, (0, 1, 1), (1, 1, 2))
        await node.look()
        before = node.lists.feed
        database = registry.registry._database
        database.write_many(
            ("DELETE FROM status_changes WHERE change > $1", [(0,)]),
            ("UPDATE registry_identity SET value = $1 WHERE name = 'epoch'", [("another",)]),
        )
        append(registry, (1, 1, 0), (2, 1, 1))
        await node.look()
        assert node.lists.feed != before
        assert statuses(node) == [1, 0, 1, 0, 0]
