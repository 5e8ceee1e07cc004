"""Moving keys to another place, and to another passphrase: nothing is lost, nothing is halved."""

import secrets
from pathlib import Path

import pytest

from keys.errors import KeyStoreError
from keys.lifecycle import plan_rotation, plan_withdrawal
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.sealed import SealedBytes, Sealer
from keys.stores.store import KeyStore
from keys.stores.transfer import change_passphrase, move_keys
from tests.support.keys import key_file, write_key_file

OLD, NEW = b"correct horse", b"battery staple"
NOW = 1_800_000_000
POLICY = RingPolicy()
_SEALERS = {each: Sealer(each, random_bytes=secrets.token_bytes) for each in (OLD, NEW)}


def sealed(folder: Path, passphrase: bytes = OLD) -> SealedBytes:
    """Return a place that holds texts sealed."""
    return SealedBytes(KeyFolder(folder), _SEALERS[passphrase])


@pytest.fixture
def filled(folder: Path) -> KeyFolder:
    """Make keys of several algorithms and states, two of them in the clear."""
    clear = KeyStore(KeyFolder(folder))
    clear.generate(alg="ES256", now=NOW, policy=POLICY)
    clear.generate(alg="Ed25519", now=NOW, policy=POLICY)
    store = KeyStore(KeyFolder(folder), passphrase=OLD)
    store.apply(lambda ring: plan_rotation(ring, NOW, POLICY, "ES256"), now=NOW, policy=POLICY)
    (kid,) = [key.kid for key in clear.records() if key.ring_key.signs_from == NOW]
    store.apply(lambda ring: plan_withdrawal(ring, kid, NOW, POLICY), now=NOW, policy=POLICY)
    return KeyFolder(folder)


def facts(place: KeyFolder | SealedBytes) -> dict[str, bytes]:
    """Return what stands above the private keys."""
    return {name: place.read(name).partition(b"-----BEGIN")[0] for name in place.names()}


def private_keys(place: KeyFolder | SealedBytes, passphrase: bytes | None) -> dict[str, bytes]:
    """Return the private keys, in the clear."""
    store = KeyStore(place, passphrase=passphrase)
    return {each.kid: store.export_private(each.kid) for each in store.records()}


def encrypted(place: KeyFolder | SealedBytes) -> set[bool]:
    """Tell whether private keys are encrypted."""
    return {each.encrypted for each in KeyStore(place).records()}


def test_keys_that_went_there_and_back_are_the_same(filled: KeyFolder, tmp_path: Path):
    """Every fact to the byte, every private key, also of keys that are revoked."""
    other = sealed(tmp_path / "data" / "other")
    before, private = facts(filled), private_keys(filled, OLD)
    moved = move_keys(filled, other, passphrase=OLD)
    assert len(moved) == len(before) >= 4
    assert {each.encrypted for each in moved} == {True, False}
    assert filled.names() == []
    assert facts(other) == before
    assert private_keys(other, OLD) == private
    assert encrypted(other) == {True}
    move_keys(other, filled, passphrase=OLD)
    assert other.names() == []
    assert facts(filled) == before
    assert private_keys(filled, OLD) == private
    assert encrypted(filled) == {True}


def test_a_target_with_keys_of_its_own_is_left_alone(filled: KeyFolder, tmp_path: Path):
    """Somebody signs with them."""
    other = sealed(tmp_path / "data" / "other")
    own = KeyStore(other, passphrase=OLD).generate(alg="ES256", now=NOW, policy=POLICY)
    before = facts(filled)
    with pytest.raises(KeyStoreError, match=f"does not know, such as {own.kid};"):
        move_keys(filled, other, passphrase=OLD)
    assert facts(filled) == before
    assert other.names() == [f"{own.kid}.pem"]


def test_a_move_that_was_cut_off_is_finished(filled: KeyFolder, tmp_path: Path, monkeypatch):
    """The keys are in both places then, and the first one counts."""
    other, before = sealed(tmp_path / "data" / "other"), facts(filled)
    monkeypatch.setattr(Path, "unlink", _refuse)
    with pytest.raises(KeyStoreError, match="cannot"):
        move_keys(filled, other, passphrase=OLD)
    monkeypatch.undo()
    assert facts(filled) == facts(other) == before
    move_keys(filled, other, passphrase=OLD)
    assert (facts(other), filled.names()) == (before, [])


def test_a_move_that_ended_while_it_removed_the_keys_costs_none(
    filled: KeyFolder, folder: Path, tmp_path: Path, monkeypatch
):
    """The target has all of them, and nobody is told to delete any."""
    other, before, unlink = sealed(tmp_path / "data" / "other"), facts(filled), Path.unlink

    def killed(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix == ".pem" and len(filled.names()) < len(before):
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        move_keys(filled, other, passphrase=OLD)
    monkeypatch.undo()
    assert len(filled.names()) == len(before) - 1
    with pytest.raises(KeyStoreError, match=r"if a move was cut off, all keys are in "):
        move_keys(filled, other, passphrase=OLD)
    assert facts(other) == before


def test_nothing_is_moved_if_one_key_does_not_open(filled: KeyFolder, tmp_path: Path):
    """A key that could not be used there would be lost."""
    before = facts(filled)
    for passphrase in (NEW, None):
        with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE"):
            move_keys(filled, sealed(tmp_path / "data" / "other"), passphrase=passphrase)
    assert facts(filled) == before
    assert not (tmp_path / "data" / "other").exists()


def test_an_empty_store_has_nothing_to_move(folder: Path, tmp_path: Path):
    """It says where it looked."""
    with pytest.raises(KeyStoreError, match=f"there is no key in {folder}"):
        move_keys(KeyFolder(folder), sealed(tmp_path / "data" / "other"), passphrase=OLD)


@pytest.mark.parametrize("in_database", [True, False])
def test_another_passphrase_opens_every_key_and_the_old_one_none(
    filled: KeyFolder, tmp_path: Path, in_database: bool
):
    """Those that were in the clear are told, and are not any more."""
    before, after = filled, filled
    if in_database:
        before, after = (sealed(tmp_path / "data" / "other", each) for each in (OLD, NEW))
        move_keys(filled, before, passphrase=OLD)
    private, above = private_keys(before, OLD), facts(before)
    known = change_passphrase(before, after, old=OLD, new=NEW)
    assert {each.encrypted for each in known} == ({True} if in_database else {True, False})
    assert private_keys(after, NEW) == private
    assert facts(after) == above
    assert encrypted(after) == {True}
    with pytest.raises(KeyStoreError, match="WATCHWORD_KEY_PASSPHRASE"):
        private_keys(before, OLD)


def test_a_passphrase_can_be_given_up_in_a_folder(filled: KeyFolder):
    """The files are in the clear then, for their owner alone."""
    private = private_keys(filled, OLD)
    change_passphrase(filled, filled, old=OLD, new=None)
    assert encrypted(filled) == {False}
    assert private_keys(filled, None) == private


def test_a_full_disk_leaves_every_key_under_the_old_passphrase(filled: KeyFolder, monkeypatch):
    """All of them or none."""
    private, count = private_keys(filled, OLD), len(filled.names())
    replaced = []

    def fail_late(path: Path, target: Path) -> None:
        replaced.append(target)
        if len(replaced) == count:
            raise OSError(28, "No space left on device")
        path.rename(target)

    monkeypatch.setattr(Path, "replace", fail_late)
    with pytest.raises(KeyStoreError, match="no space"):
        change_passphrase(filled, filled, old=OLD, new=NEW)
    monkeypatch.undo()
    assert private_keys(filled, OLD) == private


def test_a_key_that_is_kept_outside_goes_as_it_is(folder: Path, tmp_path: Path):
    """There is no private key in its text."""
    text = key_file().partition(b"-----BEGIN")[0]
    text = text.replace(b'"jwk"', b'"signer":{"kind":"pkcs11","id":"1"},"jwk"', 1)
    write_key_file(folder, text)
    (tmp_path / "data").chmod(0o700)
    other = sealed(tmp_path / "data" / "other")
    move_keys(KeyFolder(folder), other, passphrase=OLD)
    assert [other.read(name) for name in other.names()] == [text]


def _refuse(*_args: object, **_options: object) -> None:
    raise OSError(30, "Read-only file system")
