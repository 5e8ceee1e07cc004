"""The hot store, on every engine: an id is claimed once, whatever else happens."""

import asyncio
import shutil
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, closing

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.status.positions import BUCKET, Position, Status, StatusBlock
from issuer.storage import hot, status
from issuer.storage.database_url import open_database, parse_database_url
from issuer.storage.engines.database import Statement
from issuer.storage.hot import open_hot_store
from issuer.storage.registry import Registry
from issuer.storage.status_changes import IndexRange, append_changes
from tests.support.sqlite_registry import ROOT

UNTIL = 5_000_000_000
INVALID = Status.INVALID


@asynccontextmanager
async def opened(url, *, now=lambda: 0, timeout=5):
    """Open the hot store of a database."""
    with closing(open_database(url, timeout=timeout)) as database:
        store = open_hot_store(lambda: database, timeout=timeout, now=now)
        yield store, database
        await store.close()


async def test_of_all_who_claim_an_id_one_gets_it(database_url):
    """In one batch, in the next one, and in another process's; elsewhere the id is another."""
    async with opened(database_url) as (one, _), opened(database_url) as (two, _):
        claims = [store.claim("app", "jti", UNTIL) for store in (one, two) for _ in range(20)]
        assert sum(await asyncio.gather(*claims)) == 1
        assert not await two.claim("app", "jti", UNTIL)
        assert await two.claim("app", "jt", UNTIL)
        assert await two.claim("ap", "pjti", UNTIL)
        assert await one.claim("other", "jti\0\ud800" + "x" * 100_000, UNTIL)


async def test_blocks_of_numbers_never_meet(database_url):
    """Whichever process asks, and however many calls are written together."""
    async with opened(database_url) as (one, _), opened(database_url) as (two, _):
        counts = [1, 5, 2] * 10
        calls = [store.reserve("status", count) for store in (one, two) for count in counts]
        firsts = await asyncio.gather(*calls)
        blocks = zip(firsts, counts * 2, strict=True)
        given = sorted(first + place for first, count in blocks for place in range(count))
        assert given == list(range(2 * sum(counts)))
        assert await one.reserve("another", 1) == 0
        with pytest.raises(ValueError, match="a block has 1 to"):
            await one.reserve("status", 0)


def block(bucket, first, size=16, client_id="app", subject=None):
    """Make a block of indexes that a client owns."""
    return StatusBlock(bucket, first, size, client_id, subject or client_id, "urn:orders", 5)


def rows(database, table):
    """Read all of a table, in order of its key."""
    return sorted(map(tuple, database.read_one(Statement(f"SELECT * FROM {table}"))))


async def test_who_owns_a_block_is_written_once(database_url):
    """Together with what else is asked for; a call that is made again changes nothing."""
    async with opened(database_url) as (store, database):
        one, two = block(2, 16, subject="somebody"), block(2, 0)
        calls = [store.own(one), store.claim("app", "jti", UNTIL), store.own(two)]
        calls += [store.reserve("status:2", 32), store.own(one)]
        assert await asyncio.gather(*calls) == [True, True, True, 0, True]  # no such client
        await asyncio.gather(store.own(two), store.own(block(3, 0)))
        assert rows(database, "status_blocks") == [
            (2, 0, 16, "app", None, "urn:orders", 5),
            (2, 16, 16, "app", "somebody", "urn:orders", 5),
            (3, 0, 16, "app", None, "urn:orders", 5),
        ]


def change(database, *rows):
    """Append changes of bucket, first, size and status."""
    sql = "INSERT INTO status_changes (bucket, first, size, status) VALUES ($1, $2, $3, $4)"
    database.write_many((sql, rows))


def given(database):
    """Name the counters whose numbers are given out."""
    own = {"server-run", "server-begin"}
    return [name for name, _ in rows(database, "counters") if name not in own]


async def test_what_is_known_of_expired_tokens_is_removed(database_url, monkeypatch):
    """Some at a time; the counter of a bucket stays a day longer, and other counters for good."""
    monkeypatch.setattr(status, "PRUNED_AT_ONCE", 2)
    async with opened(database_url) as (store, database):
        calls = [store.own(block(bucket, 16 * place)) for bucket in (1, 2, 3) for place in range(3)]
        names = ("status:1", "status:2", "status:49", "status", "other")
        await asyncio.gather(*calls, *(store.reserve(name, 1) for name in names))
        change(database, *((bucket, 0, 1, 1) for bucket in (1, 2, 3, 2, 1, 2)))
        status.prune_status(database, ended_by=2 * BUCKET)
        assert {row[0] for row in rows(database, "status_blocks")} == {3}
        assert [row[1:] for row in rows(database, "status_changes")] == [(3, 0, 1, 1)]
        assert len(given(database)) == 5
        status.prune_status(database, ended_by=3 * BUCKET - 1)
        assert len(rows(database, "status_blocks")) == 3
        status.prune_status(database, ended_by=2 * BUCKET + status.KEEP_COUNTERS)
        assert given(database) == ["other", "status", "status:49"]
        change(database, (60, 0, 1, 1))
        assert rows(database, "status_changes")[-1][0] == 7


async def test_a_status_is_changed_together_with_what_else_is_asked_for(database_url):
    """In the order in which it was asked for, each change with a number of its own."""
    async with opened(database_url) as (store, database):
        one, two = Position(2, 7), Position(3, 2**20)
        calls = [store.set_status(one, Status.SUSPENDED), store.claim("app", "jti", UNTIL)]
        calls += [store.set_status(two, Status.INVALID), store.reserve("status:2", 32)]
        calls += [store.set_status(one, Status.VALID)]
        assert await asyncio.gather(*calls) == [None, True, None, 0, None]
        await store.set_status(one, Status.INVALID)
        assert rows(database, "status_changes") == [
            (1, 2, 7, 1, 2),
            (2, 3, 2**20, 1, 1),
            (3, 2, 7, 1, 0),
            (4, 2, 7, 1, 1),
        ]


async def test_who_follows_the_changes_misses_none(database_url):
    """Two processes write at the same time; a number that was passed over never comes later."""
    async with opened(database_url) as (one, followed), opened(database_url) as (two, _):
        found, cursor, written = [], 0, False

        async def write(store, bucket):
            for place in range(0, 400, 8):
                calls = [store.set_status(Position(bucket, place + n), INVALID) for n in range(8)]
                await asyncio.gather(*calls)

        async def follow():
            nonlocal cursor
            while True:
                last = written
                news = await asyncio.to_thread(status.read_news, followed, cursor)
                found.extend(news.changes)
                cursor = news.changes[-1].number if news.changes else cursor
                if last:
                    return

        following = asyncio.create_task(follow())
        await asyncio.gather(write(one, 2), write(two, 3))
        written = True
        await following
        assert [each.number for each in found] == sorted({each.number for each in found})
        assert sorted((each.bucket, each.first) for each in found) == [
            (bucket, place) for bucket in (2, 3) for place in range(400)
        ]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_long_change_of_the_registry_delays_no_revocation(database_url):
    """Their locks are two; with SQLite one transaction writes at a time."""
    async with opened(database_url, timeout=10) as (store, database):
        begun, ended = threading.Event(), threading.Event()

        def change_slowly(connection):
            begun.set()
            return ended.wait(30)

        changing = asyncio.create_task(asyncio.to_thread(database.change, change_slowly))
        await asyncio.to_thread(begun.wait, 30)
        await store.set_status(Position(2, 7), INVALID)
        assert not changing.done()
        ended.set()
        assert await changing


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_statuses_are_committed_in_the_order_of_their_numbers(database_url):
    """What an operator changes has a number already, and is seen first."""
    async with opened(database_url, timeout=10) as (store, database):
        begun, ended = threading.Event(), threading.Event()

        def change_slowly(connection):
            append_changes(connection, [IndexRange(2, 0, 4)], INVALID)
            begun.set()
            return ended.wait(30)

        changing = asyncio.create_task(asyncio.to_thread(database.change, change_slowly))
        await asyncio.to_thread(begun.wait, 30)
        later = asyncio.create_task(store.set_status(Position(2, 7), INVALID))
        await asyncio.wait({later}, timeout=0.3)
        assert not later.done()
        ended.set()
        await asyncio.gather(changing, later)
        assert [row[2] for row in rows(database, "status_changes")] == [0, 7]


CLAIM_ALL = """
import asyncio, sys, time
from issuer.storage.database_url import open_database
from issuer.storage.hot import open_hot_store

async def claim_all():
    database = open_database(sys.argv[1], timeout=30)
    store = open_hot_store(lambda: database, timeout=30, now=lambda: 0)
    assert await store.claim(sys.argv[2], "ready", 9)
    print("ready", flush=True)
    sys.stdin.readline()
    claims = (store.claim("app", f"jti-{number}", 5_000_000_000) for number in range(2_000))
    won = [number for number, got in enumerate(await asyncio.gather(*claims)) if got]
    await store.close()
    print(*won, flush=True)

asyncio.run(claim_all())
"""


def test_two_processes_never_claim_one_id(database_url):
    """Both claim the same ids at the same time: each id goes to one of them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, database_url, name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both at once: neither waits for the other's end
        process.stdin.write("go\n")
        process.stdin.flush()
    won = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(map(int, won[0] + won[1])) == list(range(2_000))


async def test_expired_claims_are_removed_some_at_a_time(database_url, monkeypatch):
    """Each batch removes a bounded number; a claim that has not expired stays."""
    monkeypatch.setattr(hot.Sweep, "MOST", 2)
    now = [0]
    async with opened(database_url, now=lambda: now[0]) as (store, database):
        await asyncio.gather(*(store.claim("app", str(number), 10) for number in range(5)))
        assert await store.claim("app", "long", 100)
        now[0] = 10

        def count():
            return database.read_one(Statement("SELECT count(*) AS n FROM claims"))[0]["n"]

        left = [count()]
        monkeypatch.setattr(hot.Sweep, "PAUSE", 0.0)
        store._store._sweep.done(0, removed=hot.Sweep.MOST)
        for number in range(4):
            await store.claim("app", f"next-{number}", 100)
            left.append(count())
        assert left == [6, 5, 4, 4, 5]
        assert not await store.claim("app", "long", 100)


async def test_what_a_sleeping_database_did_not_write_is_not_half_done(database_url, request):
    """An outage is one clear error for every caller, and the next claim is as ever."""
    async with opened(database_url, timeout=1) as (store, _):
        assert await store.claim("app", "before", UNTIL)
        break_it, mend = outage(database_url, request)
        break_it()
        calls = [store.claim("app", "x", UNTIL), store.claim("app", "y", UNTIL)]
        calls += [store.reserve("status", 3), store.own(block(1, 0))]
        calls += [store.set_status(Position(1, 0), INVALID)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in answers] == [StoreUnavailable] * 5
        assert "\n" not in str(answers[0])
        mend()
        assert await store.claim("app", "x", UNTIL)
        assert not await store.claim("app", "before", UNTIL)
        assert await store.reserve("status", 1) == 0


def outage(url, request):
    """Give what takes a database away, and what brings it back."""
    if url.startswith("postgresql"):
        postgres = request.getfixturevalue("postgres")
        return lambda: postgres.stop("immediate"), postgres.start
    path = request.getfixturevalue("tmp_path") / "registry.db"
    elsewhere = path.with_name("elsewhere")
    return lambda: path.rename(elsewhere), lambda: elsewhere.rename(path)


async def test_a_claim_in_a_file_waits_no_longer_than_it_may(migrated_file, tmp_path):
    """While another process holds the lock, callers are told so; nothing of theirs is kept."""
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'registry.db')}"
    async with opened(url, timeout=0.2) as (store, database):
        with (
            database.transaction("BEGIN IMMEDIATE"),
            pytest.raises(StoreUnavailable, match="locked by another process"),
        ):
            await store.claim("app", "jti", UNTIL)
        assert await store.claim("app", "jti", UNTIL)


async def test_calls_that_wait_are_bounded(database_url, monkeypatch):
    """What comes beyond the bound is refused at once; what waits is answered."""
    monkeypatch.setattr(hot, "MAX_WAITING", 3)
    async with opened(database_url) as (store, _):
        calls = [store.claim("app", str(number), UNTIL) for number in range(5)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[:3] == [True] * 3
        assert all("too many writes wait" in str(each) for each in answers[3:])


async def test_a_caller_that_has_gone_claims_nothing(database_url):
    """Whether it is given up before its batch begins, or the store is closed."""
    async with opened(database_url) as (store, _):
        task = asyncio.create_task(store.claim("app", "jti", UNTIL))
        await asyncio.sleep(0)
        task.cancel()
        assert await store.claim("app", "jti", UNTIL)
        late = asyncio.create_task(store.claim("app", "late", UNTIL))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(StoreUnavailable, match="is closed"):
            await late


async def test_a_restore_sets_neither_claims_nor_numbers_back(database_url, tmp_path):
    """What was claimed and given after the backup stays so, and what only the backup knows."""
    copy = tmp_path / "copy.db"
    async with opened(database_url) as (store, _):
        assert await store.claim("app", "before", UNTIL)
        assert await store.reserve("status", 5) == 0
        with closing(Registry.open(database_url, now=lambda: 0)) as registry:
            registry.copy_to(parse_database_url(f"sqlite:///{copy}"))
            async with opened(f"sqlite:///{copy}") as (other, _):
                assert not await other.claim("app", "before", UNTIL)
                assert await other.claim("app", "in the copy", UNTIL)
                assert await other.reserve("rest", 3) == 0
            assert await store.claim("app", "after", UNTIL)
            assert await store.reserve("status", 5) == 5
            with closing(Registry.open(f"sqlite:///{copy}", now=lambda: 0)) as backup:
                registry.restore_from(backup, replace=True, finish=lambda _: None)
        claimed = [await store.claim("app", id, UNTIL) for id in ("before", "in the copy", "after")]
        assert claimed == [False, False, False]
        assert [await store.reserve("status", 1), await store.reserve("rest", 1)] == [10, 3]


def restore(database_url, copy):
    """Put a copy in the place of the registry."""
    with (
        closing(Registry.open(database_url, now=lambda: 0)) as registry,
        closing(Registry.open(f"sqlite:///{copy}", now=lambda: 0)) as backup,
    ):
        registry.restore_from(backup, replace=True, finish=lambda _: None)


async def test_a_restore_brings_no_revoked_token_back(database_url, tmp_path):
    """What was revoked or restored after the backup stays so, and owners stay known."""
    copy = tmp_path / "copy.db"
    async with opened(database_url) as (store, database):
        await store.own(block(2, 0))
        change(database, (2, 0, 1, 2), (2, 1, 1, 0), (2, 2, 1, 1))
        before = rows(database, "status_changes")
        with closing(Registry.open(database_url, now=lambda: 0)) as registry:
            registry.copy_to(parse_database_url(f"sqlite:///{copy}"))
        async with opened(f"sqlite:///{copy}") as (_, other):
            assert rows(other, "status_changes") == before
            assert len(rows(other, "status_blocks")) == 1
        await store.own(block(2, 16))
        change(database, (2, 0, 1, 0), (2, 3, 1, 1))
        later = [rows(database, table) for table in ("status_blocks", "status_changes")]
        restore(database_url, copy)
        assert [rows(database, each) for each in ("status_blocks", "status_changes")] == later


async def test_a_restore_adds_what_the_backup_alone_knows(database_url, tmp_path, migrated_file):
    """In their order in a bucket that is new here; elsewhere only what takes tokens back."""
    copy = shutil.copy(migrated_file, tmp_path / "copy.db")
    async with opened(f"sqlite:///{copy}") as (other, backup):
        await asyncio.gather(other.own(block(2, 0, client_id="lost")), other.own(block(3, 0)))
        change(backup, (3, 0, 1, 2), (2, 5, 1, 2), (2, 5, 1, 0), (3, 0, 1, 0), (2, 6, 1, 1))
    async with opened(database_url) as (store, database):
        await store.own(block(2, 0))
        change(database, (2, 6, 1, 1))
        restore(database_url, copy)
        assert [row[1:] for row in rows(database, "status_changes")] == [
            (2, 6, 1, 1),
            (3, 0, 1, 2),
            (2, 5, 1, 2),
            (3, 0, 1, 0),
        ]
        assert [row[:4] for row in rows(database, "status_blocks")] == [
            (2, 0, 16, "app"),
            (3, 0, 16, "app"),
        ]
