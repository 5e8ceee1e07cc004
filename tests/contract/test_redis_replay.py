"""Claims in Redis: an id is claimed once, whatever else happens; no doubt counts as a claim."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

import pytest

from keys import redis_replay
from keys.redis_replay import RedisReplays
from keys.replay import ReplayStoreUnavailable
from tests.support.certificates import Authority
from tests.support.redis_server import PASSWORD, RedisServer
from watchword.cli.doctor import _examine, _replays
from watchword.errors import ProviderError
from watchword.provider.replay_store import check_redis, follow_redis, open_redis
from watchword.settings import load_settings

UNTIL = int(time.time()) + 600


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """Run one server for all tests that leave it as it is."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    """Give the server, empty."""
    with shared_server.admin as client:
        client.flushall()
    return shared_server


@asynccontextmanager
async def opened(server, url=None, **options):
    """Open a store as one node does."""
    store = RedisReplays(url or server.url, **options)
    try:
        yield store
    finally:
        await store.close()


def admin(server, *command):
    """Run a command on the server."""
    with server.admin as client:
        return client.execute_command(*command)


async def outcomes(*claims):
    """Gather what claims come to: true, false, or what the error says."""
    answers = await asyncio.gather(*claims, return_exceptions=True)
    return [str(each) if isinstance(each, ReplayStoreUnavailable) else each for each in answers]


@pytest.mark.attack("T16")
async def test_of_all_who_claim_an_id_one_gets_it(server):
    """In one batch, in the next one, and on another node; elsewhere the id is another."""
    async with opened(server) as one, opened(server) as two:
        claims = [store.claim("app", "jti", UNTIL) for store in (one, two) for _ in range(20)]
        assert sum(await asyncio.gather(*claims)) == 1
        assert not await two.claim("app", "jti", UNTIL)
        assert await two.claim("app", "jt", UNTIL)
        assert await two.claim("ap", "pjti", UNTIL)
        assert await one.claim("other", "jti\0\ud800" + "x" * 100_000, UNTIL)


async def test_claims_of_one_turn_are_sent_together(server):
    """A flood of them takes few round trips, and each gets its own answer."""
    async with opened(server) as store:
        await store.claim("app", "7", UNTIL)
        before = admin(server, "INFO", "stats")["total_reads_processed"]
        won = await asyncio.gather(*(store.claim("app", str(n), UNTIL) for n in range(1_000)))
        reads = admin(server, "INFO", "stats")["total_reads_processed"] - before
    assert [number for number, each in enumerate(won) if not each] == [7]
    assert reads < 50


async def test_the_server_forgets_a_claim_when_it_has_expired(server):
    """By a period from now on, since the server's clock may be ahead; nobody sweeps."""
    async with opened(server, clock=lambda: 1_000.0) as store:
        assert await store.claim("app", "jti", 1_300)
        assert await store.claim("app", "late", 900)
    with server.admin as client:
        left = sorted(client.ttl(key) for key in client.scan_iter())
    assert left[0] <= 1
    assert 290 < left[1] <= 301


async def test_an_outage_is_said_and_passes(tmp_path):
    """While the server is gone nothing is claimed; then the next claim is as ever."""
    server = RedisServer(tmp_path)
    async with opened(server) as store:
        assert await store.claim("app", "before", UNTIL)
        server.stop()
        both = await outcomes(store.claim("app", "x", UNTIL), store.claim("app", "y", UNTIL))
        assert all("the replay store:" in each and PASSWORD not in each for each in both)
        server.start()
        assert await outcomes(*(store.claim("app", "x", UNTIL) for _ in range(2))) == [True, False]
    server.stop()


async def test_an_answer_that_comes_late_is_nobody_elses(tmp_path):
    """A claim that was given up may have been made; its answer is not that of the next one."""
    server = RedisServer(tmp_path)
    try:
        async with opened(server, timeout=0.3) as store:
            assert await store.claim("app", "taken", UNTIL)
            server.hold()
            assert "did not answer" in (await outcomes(store.claim("app", "late", UNTIL)))[0]
            server.release()
            claims = [store.claim("app", id, UNTIL) for id in ("taken", "new", "late")]
            assert await outcomes(*claims) == [False, True, False]
    finally:
        server.stop()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_may_forget_claims_is_refused(server, policy):
    """Until it keeps them; what the operator has to set is said."""
    admin(server, "CONFIG", "SET", "maxmemory-policy", policy)
    try:
        async with opened(server) as store:
            (said,) = await outcomes(store.claim("app", "jti", UNTIL))
            assert said.endswith(f"maxmemory-policy is {policy}; set it to noeviction")
            admin(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
            assert await store.claim("app", "jti", UNTIL)
            admin(server, "CONFIG", "SET", "maxmemory-policy", policy)
            with pytest.raises(ReplayStoreUnavailable, match="may forget"):
                await store.check()
            assert "may forget" in (await outcomes(store.claim("app", "other", UNTIL)))[0]
    finally:
        admin(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_full_server_claims_nothing(server):
    """It refuses writes, so whether a claim is the first is not known."""
    async with opened(server) as store:
        await store.check()
        admin(server, "CONFIG", "SET", "maxmemory", "1")
        try:
            (said,) = await outcomes(store.claim("app", "jti", UNTIL))
        finally:
            admin(server, "CONFIG", "SET", "maxmemory", "0")
        assert "maxmemory" in said
        assert await store.claim("app", "jti", UNTIL)


async def test_a_user_needs_two_commands(server):
    """SET on the store's own keys, and INFO; a password that is wrong is said, and not shown."""
    own = f"127.0.0.1:{server.port}/0"
    rule = ("on", ">pass-of-claims", "~watchword:claim:*", "-@all", "+set", "+info", "+select")
    admin(server, "ACL", "SETUSER", "claims", *rule)
    admin(server, "ACL", "SETUSER", "lacking", "on", ">pass", "~*", "-@all", "+set")
    for user in ("claims:pass-of-claims", "lacking:pass", "claims:no-such-pass"):
        async with opened(server, f"redis://{user}@{own}") as store:
            (said,) = await outcomes(store.claim("app", "jti", UNTIL))
        if user == "claims:pass-of-claims":
            assert said is True
        else:
            assert "permissions" in said or "invalid username-password" in said.lower()
            assert user.partition(":")[2] not in said


async def test_claims_that_wait_are_bounded(server, monkeypatch):
    """What comes beyond the bound is refused at once; what waits is answered."""
    monkeypatch.setattr(redis_replay, "MAX_WAITING", 3)
    async with opened(server) as store:
        claims = [store.claim("app", str(number), UNTIL) for number in range(5)]
        answers = await outcomes(*claims)
    assert answers[:3] == [True] * 3
    assert all("too many claims wait" in each for each in answers[3:])


async def test_a_caller_that_has_gone_claims_nothing(server):
    """Whether it is given up before its batch begins, or the store is closed."""
    async with opened(server) as store:
        task = asyncio.create_task(store.claim("app", "jti", UNTIL))
        await asyncio.sleep(0)
        task.cancel()
        assert await store.claim("app", "jti", UNTIL)
        late = asyncio.create_task(store.claim("app", "late", UNTIL))
        await asyncio.sleep(0)
        await store.close()
        assert await outcomes(late) == ["the replay store is closed"]


async def test_tls_is_checked(tmp_path, monkeypatch):
    """By the authorities of the system; a certificate of anybody else's is refused."""
    authority = Authority(tmp_path)
    server = RedisServer(tmp_path, authority.issue("server"))
    try:
        url = server.url.replace("redis", "valkey", 1)
        async with opened(server, url) as store:
            assert "CERTIFICATE_VERIFY_FAILED" in (await outcomes(store.claim("a", "b", UNTIL)))[0]
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        async with opened(server, url) as store:
            assert await store.claim("a", "b", UNTIL)
    finally:
        server.stop()


def test_a_start_needs_it(tmp_path):
    """A store that cannot be used is said before anything is served, in one line."""
    server = RedisServer(tmp_path)
    settings = load_settings(replay_store=server.url)
    check_redis(settings)
    admin(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(ProviderError, match="set it to noeviction"):
        check_redis(settings)
    (found,) = _examine(_replays, settings)
    assert found.remedy.startswith("run: redis-cli CONFIG SET maxmemory-policy noeviction")
    server.stop()
    (found,) = _examine(_replays, settings)
    assert found.remedy.startswith("start the replay store")
    with pytest.raises(
        ProviderError, match=r"^WATCHWORD_REPLAY_STORE: the replay store: .*\d"
    ) as no:
        check_redis(settings)
    assert PASSWORD not in str(no.value)


async def test_the_client_library_is_optional(monkeypatch):
    """Without it the operator is told what to install; the database needs none."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ProviderError, match=r"needs redis; install watchword\[redis\]$"):
        open_redis(load_settings(replay_store="redis://127.0.0.1"))
    assert open_redis(load_settings()) is None
    assert follow_redis(None) == ()
