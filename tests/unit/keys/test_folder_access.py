"""A key store in a folder that other accounts can open, own or replace."""

import os
import pwd

import pytest

from keys.errors import KeyStoreError
from keys.ring import RingPolicy
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore
from tests.support.keys import key_file, public_rsa_jwk, refusal_of, write_key_file

POLICY = RingPolicy()
NOW = 1_800_000_000
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o606])
def test_a_file_that_others_can_open_is_refused(folder, mode):
    """Whoever could read it could sign; the remedy is in the line."""
    path = write_key_file(folder, key_file(), mode=mode)

    assert f"chmod 600 {path}" in refusal_of(folder)
    with pytest.raises(KeyStoreError, match="open to others"):
        KeyStore(KeyFolder(folder)).signer(public_rsa_jwk().kid)


@pytest.mark.parametrize("mode", [0o705, 0o701, 0o777])
def test_a_folder_that_others_can_enter_is_refused(folder, mode):
    """Neither reading nor adding works until it is closed."""
    write_key_file(folder, key_file())
    folder.chmod(mode)

    assert f"chmod 700 {folder}" in refusal_of(folder)
    with pytest.raises(KeyStoreError, match="chmod 700"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    with pytest.raises(KeyStoreError, match="chmod 700"):
        KeyStore(KeyFolder(folder)).stamp()


def test_a_data_folder_that_others_can_write_is_refused(folder):
    """They could put another key folder in place; also before there is one."""
    folder.parent.mkdir()
    folder.parent.chmod(0o777)
    with pytest.raises(KeyStoreError, match=f"chmod 700 {folder.parent}"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    assert not folder.exists()

    write_key_file(folder, key_file())
    assert f"chmod 700 {folder.parent}" in refusal_of(folder)


def test_a_link_to_a_folder_is_judged_by_where_it_leads(folder, tmp_path):
    """Who can write beside the folder itself can replace it, wherever the link is."""
    elsewhere = tmp_path / "elsewhere"
    write_key_file(elsewhere / "keys", key_file())
    folder.parent.mkdir()
    folder.symlink_to(elsewhere / "keys")
    assert len(KeyStore(KeyFolder(folder)).records()) == 1

    elsewhere.chmod(0o777)
    assert f"chmod 700 {elsewhere}" in refusal_of(folder)


@as_root
def test_root_makes_no_key_in_a_folder_of_another_user(folder):
    """The service that runs as that user could not read it; the line says how to do it right."""
    folder.parent.mkdir()
    os.chown(folder.parent, NOBODY.pw_uid, NOBODY.pw_gid)

    with pytest.raises(KeyStoreError, match="sudo -u nobody"):
        KeyStore(KeyFolder(folder)).generate(alg="RS256", now=NOW, policy=POLICY)
    assert not folder.exists()


@as_root
def test_a_key_of_another_user_is_not_signed_with(folder):
    """Its owner knows the private key."""
    path = write_key_file(folder, key_file())
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)

    assert f"{path} belongs to the user nobody" in refusal_of(folder)


def test_a_key_that_came_through_a_link_is_judged_by_what_it_names(folder, tmp_path):
    """A Secret volume of Kubernetes holds links: FILE to ..data/FILE, and ..data to a folder."""
    folder.mkdir(mode=0o700, parents=True)
    version = folder / "..2026_11_27"
    path = write_key_file(version, key_file())
    (folder / "..data").symlink_to(version.name)
    (folder / path.name).symlink_to(f"..data/{path.name}")
    store = KeyStore(KeyFolder(folder))

    assert [stored.kid for stored in store.records()] == [public_rsa_jwk().kid]
    before = store.stamp()
    replaced = write_key_file(folder / "..2026_11_28", key_file())
    (folder / "..new").symlink_to(replaced.parent.name)
    (folder / "..new").rename(folder / "..data")
    assert store.stamp() != before
    replaced.chmod(0o644)
    assert "open to others" in refusal_of(folder)
