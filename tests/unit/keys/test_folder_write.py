"""Writing to a key folder: all of it or nothing, whatever fails and when."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keys.errors import KeyStoreError
from keys.lifecycle import plan_upkeep, plan_withdrawal
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore

POLICY = RingPolicy()
NOW = 1_800_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a store with a key that signs and a successor."""
    store = KeyStore(KeyFolder(tmp_path / "keys"))
    store.generate(alg="ES256", now=NOW, policy=POLICY)
    store.apply(lambda ring: plan_upkeep(ring, NOW, POLICY, ["ES256"]), now=NOW, policy=POLICY)
    return tmp_path / "keys"


def revoke(folder: Path) -> None:
    """Make one new file and replace two."""
    store = KeyStore(KeyFolder(folder))
    kid = next(each.kid for each in store.records() if each.ring_key.signs_from is not None)
    store.apply(lambda ring: plan_withdrawal(ring, kid, NOW, POLICY), now=NOW, policy=POLICY)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """Have the system refuse to write more into any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("octets", [0, 100, 500])
def test_a_full_disk_leaves_everything_as_it_was(folder: Path, octets: int) -> None:
    """No name has changed when the first content does not fit; nothing unfinished stays."""
    before = contents(folder)
    with files_of_at_most(octets), pytest.raises(KeyStoreError, match="cannot write") as caught:
        revoke(folder)

    assert "\n" not in str(caught.value)
    assert contents(folder) == before
    revoke(folder)
    assert len(contents(folder)) == 3


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_disk_that_fails_midway_leaves_everything_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """What was replaced already is put back, and what was added is removed."""
    before, replace, calls = contents(folder), Path.replace, []

    def fail(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyStoreError, match="input/output error"):
        revoke(folder)
    assert contents(folder) == before


def test_what_a_crash_left_behind_is_removed_by_the_next_writer(folder: Path) -> None:
    """It is no key, and is not read as one."""
    (folder / ".0123456789abcdef.unfinished").write_bytes(b"half")
    assert len(KeyStore(KeyFolder(folder)).records()) == 2
    revoke(folder)
    assert not list(folder.glob(".*.unfinished"))


def test_a_deleted_file_comes_back_if_the_rest_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removing is part of the one write."""
    before = contents(folder)
    one, other = sorted(before)
    place = KeyFolder(folder)

    def fail(path: Path, target: Path) -> Path:
        if target.name == other:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", fail)
    with place.lock(), pytest.raises(KeyStoreError, match="no space left"):
        place.write({one: None, other: b"new"})
    assert contents(folder) == before


def test_what_is_not_there_may_be_removed(folder: Path) -> None:
    """It is gone, which is what was asked for; the rest of the write is done."""
    place = KeyFolder(folder)
    with place.lock():
        place.write({"absent.pem": None, "new.pem": b"new"})
    assert contents(folder)["new.pem"] == b"new"
    assert len(contents(folder)) == 3
