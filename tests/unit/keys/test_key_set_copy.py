"""The copy of a key set on disk: what it holds, when it is written, and when it is not believed."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from keys.errors import CopyRefused, NoKeySet
from keys.jwks import parse_jwk_set
from keys.remote.answer import Fetched
from keys.remote.jwks_cache import Freshness
from keys.remote.jwks_client import JwksClient
from keys.remote.key_set_copy import KeySetCopy
from tests.support.keys import rsa_key
from tests.support.protected_api import PublishedKeySet
from watchword.testing.clock import Clock
from watchword.testing.forge import TokenForge

FORGE = TokenForge()
NEWER = TokenForge(rsa_key(1))
KID = FORGE.jwk.kid
ISSUER = "https://as.example"
FRESHNESS = Freshness(check_after=8, fresh_for=300, dead_after=3900)


@pytest.fixture
def clock() -> Clock:
    """The wall clock."""
    return Clock()


@pytest.fixture
def copy(tmp_path: Path, clock: Clock) -> KeySetCopy:
    """A copy that is not there yet, in a folder that is not there either."""
    return KeySetCopy(tmp_path / "state" / "jwks.json", ISSUER, clock=clock)


def path_of(copy: KeySetCopy) -> Path:
    """Give the file."""
    return copy.path


async def run_once(
    issuer: PublishedKeySet, copy: KeySetCopy, *, monotonic: Clock | None = None
) -> tuple[JwksClient, list[tuple[str, dict[str, Any]]]]:
    """Start a client, let it fetch once and write what it writes."""
    events: list[tuple[str, dict[str, Any]]] = []
    client = JwksClient(
        issuer,
        copy=copy,
        clock=monotonic or Clock(0),
        on_event=lambda name, **fields: events.append((name, fields)),
    )
    await client.warm()
    await client.aclose()
    return client, events


def test_what_was_saved_is_loaded(copy: KeySetCopy, clock: Clock) -> None:
    """The set as published, when it was fetched and how long it serves, for the owner alone."""
    assert copy.load() is None
    copy.save(FORGE.jwks_document, FRESHNESS, age=2)
    clock.advance(10)
    kept = copy.load()
    assert kept is not None
    assert (kept.keys, kept.age, kept.good_for) == (parse_jwk_set(FORGE.jwks_document), 12, 3900)
    path = path_of(copy)
    assert [path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert json.loads(path.read_bytes())["jwks"] == json.loads(FORGE.jwks_document)
    assert os.listdir(path.parent) == ["jwks.json"]


def test_it_is_written_when_there_is_something_to_write(copy: KeySetCopy, clock: Clock) -> None:
    """At first, for another set, and when it is a tenth of its time old; never if forbidden."""
    assert not copy.is_due(b"", FRESHNESS)  # of an answer before, which must not be stored
    assert copy.is_due(b"1", FRESHNESS)
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    assert not copy.is_due(FORGE.jwks_document, FRESHNESS)
    assert not copy.is_due(b"", FRESHNESS)
    assert copy.is_due(NEWER.jwks_document, FRESHNESS)
    assert copy.is_due(b"", FRESHNESS)  # it is not written yet
    assert not copy.is_due(FORGE.jwks_document, FRESHNESS)
    clock.advance(389)
    assert not copy.is_due(b"", FRESHNESS)
    clock.advance(1)
    assert copy.is_due(b"", FRESHNESS)
    copy.save(b"", FRESHNESS, age=0)
    assert not copy.is_due(b"", FRESHNESS)
    kept = copy.load()
    assert kept is not None
    assert kept.age == 0
    clock.advance(-1)
    assert copy.is_due(b"", FRESHNESS)
    forbidden = Freshness(check_after=8, fresh_for=10, dead_after=3610, may_be_stored=False)
    assert not copy.is_due(NEWER.jwks_document, forbidden)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "https://other.example"}, "is of another issuer; give each its own"),
        ({"fetched_at": 1_800_000_000.5}, "is dated in the future; is the clock right"),
        ({"fetched_at": "yesterday"}, "is damaged; delete it"),
        ({"fetched_at": 10**400}, "is damaged; delete it"),
        ({"good_for": None}, "is damaged"),
        ({"jwks": []}, "is damaged"),
        ({"jwks": {"keys": []}}, "is damaged"),
        ({"issuer": 7}, "is damaged"),
    ],
)
def test_a_copy_that_is_not_to_be_believed(
    copy: KeySetCopy, change: dict[str, object], told: str
) -> None:
    """Another issuer's, one from the future, and one that somebody edited."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    document = json.loads(path_of(copy).read_bytes())
    path_of(copy).write_text(json.dumps(document | change))
    with pytest.raises(CopyRefused, match=told):
        copy.load()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00" * 9, b'{"a":1,"a":1}', b" " * 10**6])
def test_a_copy_that_is_damaged(copy: KeySetCopy, content: bytes) -> None:
    """Whatever is in the file is a refusal, and a large one is not read whole."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    path_of(copy).write_bytes(content)
    with pytest.raises(CopyRefused, match="is damaged; delete it"):
        copy.load()


def test_a_copy_that_others_can_change(copy: KeySetCopy) -> None:
    """Neither the file nor its folder is open to other accounts, for reading nor for writing."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    path_of(copy).chmod(0o646)
    with pytest.raises(CopyRefused, match="is open to others; run: chmod 600"):
        copy.load()
    path_of(copy).chmod(0o600)
    path_of(copy).parent.chmod(0o777)
    for act in (copy.load, lambda: copy.save(FORGE.jwks_document, FRESHNESS, age=0)):
        with pytest.raises(CopyRefused, match="is open to others; run: chmod 700"):
            act()


def test_a_copy_that_cannot_be_read_or_written(copy: KeySetCopy, tmp_path: Path) -> None:
    """One line with the reason of the system; what was there stays."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    path_of(copy).unlink()
    path_of(copy).mkdir()
    with pytest.raises(CopyRefused, match=r"cannot be read: Is a directory"):
        copy.load()
    with pytest.raises(CopyRefused, match=r"cannot be written: Is a directory"):
        copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    assert os.listdir(path_of(copy).parent) == ["jwks.json"]
    (tmp_path / "file").touch()
    with pytest.raises(CopyRefused, match="cannot be written: "):
        KeySetCopy(tmp_path / "file" / "x" / "jwks.json", ISSUER).save(b"{}", FRESHNESS, age=0)


@pytest.mark.parametrize("kind", ["pipe", "loop"])
def test_what_is_no_file_is_not_waited_for(copy: KeySetCopy, kind: str) -> None:
    """A thread that never came back would be missing wherever the application needs threads."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    path = path_of(copy)
    path.unlink()
    os.mkfifo(path, 0o600) if kind == "pipe" else path.symlink_to(path)
    told = "is not a regular file; remove it" if kind == "pipe" else "is a link to itself"
    with pytest.raises(CopyRefused, match=told):
        copy.load()
    if kind == "loop":
        with pytest.raises(CopyRefused, match=told):
            copy.save(FORGE.jwks_document, FRESHNESS, age=0)


def test_the_issuer_may_be_on_plain_http_inside_a_network(tmp_path: Path) -> None:
    """A copy is named after its issuer and asks nothing of it: where it may be, `HttpJwks` says."""
    inside, path = "http://keycloak:8080/realms/demo", tmp_path / "jwks.json"
    KeySetCopy(path, inside).save(FORGE.jwks_document, FRESHNESS, age=0)
    kept = KeySetCopy(path, inside).load()
    assert kept is not None
    assert kept.keys == FORGE.keys


async def test_a_cold_start_while_the_issuer_is_away(copy: KeySetCopy, clock: Clock) -> None:
    """The set of the process before serves until it would have died there, and no longer."""
    await run_once(PublishedKeySet(FORGE.jwks_document), copy)
    clock.advance(3000)
    away, monotonic = PublishedKeySet(b"", fails=ConnectionError()), Clock(50)
    client, events = await run_once(away, copy, monotonic=monotonic)
    assert [name for name, _ in events] == ["jwks.stale", "jwks.restored"]
    assert events[1][1] == {"kids": [KID], "age": 3000}
    assert (await client.key(KID, "RS256")).kid == KID
    assert client.status().state == "stale"
    monotonic.advance(900)  # its lifetime and the grace beyond are 3900 seconds
    clock.advance(900)
    assert not client.ready
    with pytest.raises(NoKeySet):
        await client.key(KID, "RS256")
    await client.aclose()


async def test_the_issuer_comes_before_the_copy(copy: KeySetCopy, clock: Clock) -> None:
    """A key that was withdrawn while the API was down is not trusted for a moment."""
    await run_once(PublishedKeySet(FORGE.jwks_document), copy)
    clock.advance(60)
    client, events = await run_once(PublishedKeySet(NEWER.jwks_document), copy)
    assert [name for name, _ in events] == ["jwks.refreshed"]
    keys = client.current()
    assert keys is not None
    assert keys.select(KID, "RS256") is None
    kept = copy.load()
    assert kept is not None
    assert (kept.keys, kept.age) == (keys, 0)


async def test_a_copy_that_is_refused_leaves_the_api_without_keys(
    copy: KeySetCopy, clock: Clock
) -> None:
    """The reason is an event; so it is when a copy cannot be written, and requests go on."""
    await run_once(PublishedKeySet(FORGE.jwks_document), copy)
    clock.advance(-60)
    client, events = await run_once(PublishedKeySet(b"", status=503), copy)
    assert not client.ready
    assert [name for name, _ in events] == ["jwks.stale", "jwks.copy_refused"]
    assert events[1][1]["reason"].endswith("is dated in the future; is the clock right?")
    path_of(copy).parent.chmod(0o777)
    client, events = await run_once(PublishedKeySet(FORGE.jwks_document), copy)
    assert client.ready
    assert [name for name, _ in events] == ["jwks.refreshed", "jwks.copy_refused"]


async def test_a_copy_that_is_too_old_is_no_help(copy: KeySetCopy, clock: Clock) -> None:
    """Its time is over, whatever the file says."""
    await run_once(PublishedKeySet(FORGE.jwks_document), copy)
    clock.advance(3900)
    client, events = await run_once(PublishedKeySet(b"", status=503), copy)
    assert not client.ready
    assert [name for name, _ in events] == ["jwks.stale"]


async def test_a_set_that_must_not_be_stored_is_not(copy: KeySetCopy) -> None:
    """RFC 9111 §5.2.2.5."""
    issuer = PublishedKeySet(FORGE.jwks_document, headers={"cache-control": "no-store"})
    client, _ = await run_once(issuer, copy)
    assert client.ready
    assert not path_of(copy).exists()


async def test_a_slow_disk_keeps_no_request_waiting(copy: KeySetCopy) -> None:
    """The copy is written beside the requests, one at a time."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    save, saved = copy.save, []

    def slow(*args: Any, **more: Any) -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        save(*args, **more)
        saved.append(1)

    copy.save = slow  # type: ignore[method-assign]
    issuer = PublishedKeySet(FORGE.jwks_document)
    client = JwksClient(issuer, copy=copy, clock=Clock(0))
    assert (await client.key(KID, "RS256")).kid == KID
    assert await client.refresh()  # and not a second writer
    assert saved == []
    release.set()
    await client.aclose()
    assert saved == [1]


async def test_a_disk_that_hangs_is_given_up(copy: KeySetCopy) -> None:
    """A request that waits for the set is answered within the timeout of a fetch."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    events: list[tuple[str, dict[str, Any]]] = []

    def hanging() -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

    copy.load = hanging  # type: ignore[method-assign, assignment]
    client = JwksClient(
        PublishedKeySet(b"", status=503),
        copy=copy,
        timeout=0.05,
        on_event=lambda name, **fields: events.append((name, fields)),
    )
    with pytest.raises(NoKeySet):
        await client.key(KID, "RS256")
    assert events[1] == ("jwks.copy_refused", {"reason": "TimeoutError"})
    release.set()
    await client.aclose()


async def test_an_answer_of_the_issuer_is_not_replaced_by_the_copy(copy: KeySetCopy) -> None:
    """It may come on another event loop while the copy is read."""
    copy.save(FORGE.jwks_document, FRESHNESS, age=0)
    issuer = PublishedKeySet(b"", status=503)
    client = JwksClient(issuer, copy=copy, clock=Clock(0))
    load = copy.load

    def meanwhile() -> object:
        issuer.status, issuer.body = 200, NEWER.jwks_document
        assert asyncio.run(client.refresh())
        return load()

    copy.load = meanwhile  # type: ignore[method-assign, assignment]
    await client.warm()
    assert (await client.key(NEWER.jwk.kid, "RS256")).kid == NEWER.jwk.kid
    await client.aclose()


async def test_304_keeps_the_copy_young(copy: KeySetCopy, clock: Clock) -> None:
    """A set that the issuer confirms for weeks is still there after a restart."""
    issuer, monotonic = PublishedKeySet(FORGE.jwks_document), Clock(0)
    issuer.headers["etag"] = '"1"'
    client = JwksClient(issuer, copy=copy, clock=monotonic)
    await client.warm()
    issuer.status, issuer.body = 304, b""
    for _ in range(20):
        clock.advance(240)
        monotonic.advance(240)
        await client.refresh()
        (here,) = client._loops.values()
        if here.saving is not None:
            await here.saving
    kept = copy.load()
    assert kept is not None
    assert kept.age <= 390
    assert kept.keys == client.current()
    await client.aclose()


async def test_304_confirms_the_latest_set_and_not_the_one_on_disk(
    copy: KeySetCopy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that could not be written, a withdrawn key must not come back from the disk."""
    issuer, monotonic = PublishedKeySet(FORGE.jwks_document), Clock(0)
    client = JwksClient(issuer, copy=copy, clock=monotonic)

    async def fetch(status: int, body: bytes) -> None:
        issuer.status, issuer.body, issuer.headers["etag"] = status, body, '"1"'
        clock.advance(400)
        monotonic.advance(400)
        await client.refresh()
        (here,) = client._loops.values()
        if here.saving is not None:
            await here.saving

    await fetch(200, FORGE.jwks_document)
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", _full)
        await fetch(200, NEWER.jwks_document)
    await fetch(304, b"")
    kept = copy.load()
    assert kept is not None
    assert kept.keys == client.current() == parse_jwk_set(NEWER.jwks_document)
    await client.aclose()


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


async def test_fetched_answers_are_what_is_written(copy: KeySetCopy) -> None:
    """Only a set that was parsed is kept."""

    async def bad(etag: str | None) -> Fetched:
        return Fetched(status=200, body=b"<html>")

    client = JwksClient(bad, copy=copy, clock=Clock(0))
    assert not await client.warm()
    await client.aclose()
    assert not path_of(copy).exists()
