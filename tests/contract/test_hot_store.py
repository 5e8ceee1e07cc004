"""The hot store, on every engine: an id is claimed once, whatever else happens."""

import asyncio
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, closing

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.storage import hot
from issuer.storage.database_url import open_database, parse_database_url
from issuer.storage.engines.database import Statement
from issuer.storage.hot import open_hot_store
from issuer.storage.registry import Registry
from tests.support.sqlite_registry import ROOT

UNTIL = 5_000_000_000


@asynccontextmanager
async def opened(url, *, now=lambda: 0, timeout=5):
    """Open the hot store of a database."""
    with closing(open_database(url, timeout=timeout)) as database:
        store = open_hot_store(database, timeout=timeout, now=now)
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


CLAIM_ALL = """
import asyncio, sys, time
from issuer.storage.database_url import open_database
from issuer.storage.hot import open_hot_store

async def claim_all():
    store = open_hot_store(open_database(sys.argv[1], timeout=30), timeout=30, now=lambda: 0)
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
        store._sweep.done(0, removed=hot.Sweep.MOST)
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
        calls.append(store.reserve("status", 3))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in answers] == [StoreUnavailable] * 3
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
