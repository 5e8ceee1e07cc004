"""Copies of status lists on disk: an API that is restarted while its issuer is away."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from keys.errors import CopyRefused
from resource_api import status_list_copies
from resource_api.status_list_copies import KEPT_FOR, MAXIMUM_FILES, StatusListCopies
from tests.support.key_set_server import KeySetServer, key_set_server
from tests.support.keys import rsa_key
from tests.support.listed_api import ListedApi, until
from tests.support.protected_api import Answer
from watchword.testing.forge import DROP, NOW, TokenForge
from watchword.testing.status_lists import list_token, pack

OTHER_KEY = rsa_key(1)


class Restarted:
    """An API whose issuer is well at first, and what it left on disk."""

    def __init__(self, server: KeySetServer, folder: Path) -> None:
        self.server = server
        self.copy = folder / "state" / "jwks.json"
        self.lists = folder / "state" / "jwks.json.lists"

    def api(self, **options: Any) -> ListedApi:
        """Start an API, which knows nothing but what is on disk."""
        return ListedApi(self.server, self.copy, **options)

    @property
    def files(self) -> list[Path]:
        """List the copies of lists."""
        return [*self.lists.glob("*.jwt")]

    async def leave(self, *statuses: int, **changes: Any) -> None:
        """Have an API leave its copies, and the issuer go away."""
        before = self.api()
        before.publish(*statuses, **changes)
        await before.ask()
        await until(self.copy.exists)
        await before.aclose()
        await self.server.stop()

    async def ask(self, idx: int = 0, *, later: float = 0, **options: Any) -> tuple[Answer, Any]:
        """Start an API some seconds later; give its answer to a token, and what it told."""
        after = self.api(**options)
        after.advance(later)
        answer = await after.ask(after.token(idx))
        await after.aclose()
        return answer, after


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Restarted]:
    """Run an issuer."""
    async with key_set_server(TokenForge().jwks_document) as server:
        yield Restarted(server, tmp_path)


@pytest.mark.attack("V41")
async def test_an_api_that_is_restarted_goes_on_where_it_was(place: Restarted) -> None:
    """Good tokens are accepted and revoked ones refused, until the list's `exp`."""
    await place.leave(0, 1)
    assert [(await place.ask(idx))[0].status for idx in (0, 1)] == [200, 401]
    answer, after = await place.ask(later=299)
    assert answer.status == 200
    assert after.events[-1] == ("status_list.restored", {"uri": after.uri, "age": 299})
    answer, after = await place.ask(later=300)
    assert (answer.status, after.told) == (503, ["a list that expired"])
    assert {path.stat().st_mode & 0o777 for path in place.files} == {0o600}
    assert place.lists.stat().st_mode & 0o777 == 0o700


async def test_the_issuer_comes_before_the_copy(place: Restarted) -> None:
    """A revocation that came while the API was down counts; what is restored is asked for again."""
    await place.leave(0)
    after = place.api()
    assert (await after.ask()).status == 200
    await place.server.start()
    after.publish(1)
    cold = place.api()
    cold.publish(1)
    assert (await cold.ask()).status == 401
    after.advance(1)
    await after.ask()
    await after.settle()
    assert (await after.ask()).status == 401
    for each in (after, cold):
        await each.aclose()


async def test_what_the_issuer_sends_later_must_not_be_older_than_the_copy(
    place: Restarted,
) -> None:
    """It could bring back to life what was revoked."""
    await place.leave(1, iat=NOW + 5)
    after = place.api()
    assert (await after.ask()).status == 401
    await place.server.start()
    after.publish(0, iat=NOW + 4)
    after.advance(1)
    await after.ask()
    await after.settle()
    assert (await after.ask()).status == 401
    assert after.events[-2][1]["reason"] == "an older list than the one at hand"
    await after.aclose()


async def test_how_long_a_copy_serves_is_counted_from_when_it_was_signed(place: Restarted) -> None:
    """Nothing else that is signed says when a list was good last."""
    await place.leave(0, exp=DROP)
    assert (await place.ask(later=19, stale_for=20))[0].status == 200
    answer, after = await place.ask(later=20, stale_for=20)
    assert answer.status == 503
    assert "status_list.restored" not in {name for name, _ in after.events}


@pytest.mark.attack("V39")
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("damaged", "a list that is refused: "),
        ("another list", "another list than the one that was asked for"),
        ("foreign key", "a list that is refused: bad_signature"),
        ("unknown key", "a list that no key of the issuer signed"),
        ("open to others", "is open to others; run: chmod 600"),
        ("too large", "a list that is refused: "),
    ],
)
async def test_a_copy_that_is_not_to_be_believed(place: Restarted, fault: str, told: str) -> None:
    """It is judged as a list from the network is, and its file as that of the key set."""
    await place.leave(0)
    [path] = place.files
    forge, uri = TokenForge(issuer=place.server.url), place.api().uri
    other = TokenForge(OTHER_KEY)
    if fault == "damaged":
        path.write_bytes(path.read_bytes()[:-200])
    elif fault == "too large":
        path.write_bytes(b"." * 5 * 2**20)
    elif fault == "open to others":
        path.chmod(0o666)
    else:
        path.write_bytes(
            {
                "another list": list_token(forge, uri + "1", pack([0], 2)),
                "foreign key": list_token(other, uri, pack([0], 2), header={"kid": forge.jwk.kid}),
                "unknown key": list_token(other, uri, pack([0], 2)),
            }[fault]
        )
    answer, after = await place.ask()
    assert answer.status == 503
    assert told in after.told[0]


async def test_a_disk_that_fails_or_is_slow_keeps_no_request_waiting(
    place: Restarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is asked for in full until it could be written."""
    wait = threading.Event()

    def fail(copies: StatusListCopies, uri: str, body: bytes) -> None:
        wait.wait()
        raise CopyRefused("the disk is full")

    api = place.api()
    with monkeypatch.context() as patched:
        patched.setattr(StatusListCopies, "save", fail)
        assert (await api.ask()).status == 200
        assert not api.told
        wait.set()
        await until(lambda: api.told == ["the disk is full"])
    api.advance(8)
    await api.ask()
    await api.settle()
    await until(lambda: bool(place.files))
    assert place.server.statuses[304] == 0
    api.advance(8)
    await api.ask()
    await api.settle()
    assert place.server.statuses[304] == 1
    await api.aclose()


async def test_a_disk_that_hangs_is_given_up(
    place: Restarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request gets its 503 in time, and closing does not wait for the disk."""
    wait = threading.Event()
    await place.leave(0)
    monkeypatch.setattr(StatusListCopies, "load", lambda *_: wait.wait() and None)
    try:
        answer, after = await place.ask(timeout=0.1)
        assert (answer.status, after.told) == (503, ["TimeoutError"])
    finally:
        wait.set()


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, and what was left half written; a foreign file stays."""
    folder = tmp_path / "lists"
    copies = StatusListCopies(folder)
    uris = [f"https://as.example/{number}" for number in range(MAXIMUM_FILES + 3)]
    for age, uri in reversed([*enumerate(reversed(uris), 1)]):
        copies.save(uri, b"x" * 10)
        path = copies._file(uri).path
        os.utime(path, (0, path.stat().st_mtime - age))
    copies.save(uris[-1], b"x" * 10)
    assert [copies.load(uri) for uri in uris[:3]] == [None] * 3
    assert copies.load(uris[3]) == b"x" * 10
    assert len([*folder.iterdir()]) == MAXIMUM_FILES
    monkeypatch.setattr(status_list_copies, "MAXIMUM_BYTES", 25)
    copies.save(uris[0], b"x" * 10)
    assert {*folder.iterdir()} == {copies._file(uri).path for uri in (uris[0], uris[-1])}
    half = folder / f".{copies._file(uris[1]).path.name}.abc"
    for name in (half, folder / "notes.txt"):
        name.touch()
        os.utime(name, (0, half.stat().st_mtime - KEPT_FOR - 60))
    copies.save(uris[2], b"x")
    assert not half.exists()
    assert (folder / "notes.txt").exists()


def test_a_folder_that_cannot_be_tidied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one line, as all that copies are refused for."""

    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(CopyRefused, match="lists cannot be tidied: Input/output error"):
        StatusListCopies(tmp_path / "lists").save("https://as.example/1", b"x")


async def test_without_a_copy_of_the_key_set_lists_have_none(place: Restarted) -> None:
    """One option gives both."""
    api = ListedApi(place.server)
    assert (await api.ask()).status == 200
    await asyncio.sleep(0)
    assert not place.lists.exists()
    assert api.lists._here().saving is None
    await api.aclose()
