"""The one line that a key folder says of what it cannot read, make or write."""

import os
import re
from errno import ENOSPC
from pathlib import Path

import pytest

from keys.errors import KeyStoreError
from keys.ring import RingPolicy
from keys.stores import folder as key_folder
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from tests.support.keys import key_file, public_rsa_jwk, write_key_file

POLICY = RingPolicy()
NOW = 1_800_000_000
CHECK = "check its owner, mode and the free space"


def test_a_place_where_no_folder_can_be_is_named(folder: Path) -> None:
    """A file stands above it: reading and making fail with the same reason."""
    folder.parent.write_text("a file")
    store = KeyStore(KeyFolder(folder))
    for verb, attempt in (
        ("read", store.records),
        ("read", store.stamp),
        ("make", lambda: store.generate(alg="RS256", now=NOW, policy=POLICY)),
    ):
        with pytest.raises(KeyStoreError) as caught:
            attempt()
        assert str(caught.value) == f"cannot {verb} {folder}: not a directory; {CHECK}"


def test_a_link_that_leads_nowhere_is_named(folder: Path) -> None:
    """By the file when it is read, and by the folder when only its facts are asked for."""
    path = write_key_file(folder, key_file())
    path.unlink()
    path.symlink_to("missing.pem")
    store = KeyStore(KeyFolder(folder))
    for name, attempt in ((path, store.records), (folder, store.stamp)):
        with pytest.raises(KeyStoreError) as caught:
            attempt()
        assert str(caught.value) == f"cannot read {name}: no such file or directory; {CHECK}"


def test_an_encrypted_key_that_cannot_be_opened_is_named(folder: Path) -> None:
    """Of many keys one may have another passphrase."""
    path = write_key_file(folder, key_file(passphrase=b"another"))
    with pytest.raises(KeyStoreError, match=re.escape(str(path))):
        KeyStore(KeyFolder(folder), passphrase=b"one").signer(public_rsa_jwk().kid)


def test_a_folder_that_another_process_makes_meanwhile_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was missing when this one looked; who makes it first does not matter."""
    folder.mkdir(mode=0o700, parents=True)
    exists = Path.exists
    made = {folder, folder.parent}
    monkeypatch.setattr(Path, "exists", lambda path: path not in made and exists(path))
    assert KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY).kid


def test_the_first_fault_of_a_write_is_the_one_that_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what was left of the write cannot be removed."""

    def fail(path: Path, content: bytes) -> None:
        path.mkdir()  # a file could be removed
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(key_folder, "_write_durably", fail)
    with pytest.raises(KeyStoreError, match=f"^cannot write {folder}/.*: no space left on device"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)


def test_a_file_that_is_there_already_is_not_written_into(tmp_path: Path) -> None:
    """A new key is written to a new file: no other process has it open."""
    path = tmp_path / ".0a1b.unfinished"
    path.write_text("another's")
    with pytest.raises(FileExistsError):
        key_folder._write_durably(path, b"a key")
    assert path.read_text() == "another's"


@pytest.mark.parametrize(
    ("size", "told"), [(65_536, "half written"), (65_537, "too large"), (1 << 40, "too large")]
)
def test_a_file_is_read_up_to_the_largest_size(folder: Path, size: int, told: str) -> None:
    """64 KB are looked at; of a file of a terabyte no more than that is read."""
    path = write_key_file(folder, b"x")
    os.truncate(path, size)
    with pytest.raises(KeyStoreError, match=told):
        KeyStore(KeyFolder(folder)).records()
