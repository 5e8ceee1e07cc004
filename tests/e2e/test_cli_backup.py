"""`watchword db backup` and `restore`: everything is lost, and comes back."""

import resource
import shutil
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from issuer.registry.audit import SYSTEM
from issuer.registry.client import ClientRegistration
from issuer.storage.registry import Registry
from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document
from tests.support.provider import eventually, make_place, running
from tests.support.registry import RegistryHarness
from watchword.ambient import wall_clock
from watchword.settings import load_settings


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def filled(run):
    """Make a key and a client."""
    assert run("keys", "generate").returncode == 0
    assert run("clients", "create", "till").returncode == 0
    return run


def _state(run):
    """Return what a backup must bring back."""
    return [
        document(run(*command, "--json"))
        for command in (
            ("keys", "list"),
            ("clients", "list"),
            ("resources", "list"),
            ("audit", "list"),
        )
    ]


def _restored(run):
    """Return the same after a restore, whose own entry is the newest of the trail."""
    *others, trail = _state(run)
    newest, *entries = trail["entries"]
    assert newest["action"] == "registry.restored"
    return [*others, trail | {"entries": entries}]


def _files(folder):
    return {each.name: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("options", [(), ("--encrypt",)])
def test_everything_is_lost_and_comes_back(filled, tmp_path, monkeypatch, options):
    """Clients with their secrets, resources, the trail and the keys; no other file."""
    if options:
        monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "correct horse battery")
    private = filled("keys", "export", "--private").stdout
    before = _state(filled)
    assert filled("db", "backup", "all.backup", *options).returncode == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all.backup", "watchword-data"]
    assert stat.S_IMODE((tmp_path / "all.backup").stat().st_mode) == 0o600
    if options:
        content = (tmp_path / "all.backup").read_bytes()
        assert b"PRIVATE KEY" not in content
        assert b"SQLite format" not in content
    shutil.rmtree(tmp_path / "watchword-data")
    assert filled("db", "restore", "all.backup").returncode == 0
    assert _restored(filled) == before
    assert filled("keys", "export", "--private").stdout == private
    data = tmp_path / "watchword-data"
    assert sorted(each.name for each in data.iterdir()) == ["keys", "registry.db"]
    modes = {stat.S_IMODE(each.stat().st_mode) for each in data.rglob("*") if each.is_file()}
    assert modes == {0o600}


def test_a_backup_during_changes_is_of_one_moment(filled, tmp_path):
    """The write-ahead log is in it too; every change is in it as a whole or not at all."""
    registry = Registry.open(load_settings().database, now=wall_clock)
    ended, made = threading.Event(), []

    def work():
        while not ended.is_set():
            registry.change(lambda edit: pair(edit, len(made)), by=SYSTEM)
            made.append(len(made))

    def pair(edit, number):
        for side in "ab":
            edit.create_client(ClientRegistration(client_id=f"{side}{number}"), [])

    writer = threading.Thread(target=work)
    writer.start()
    try:
        assert eventually(lambda: len(made) >= 3)
        known = len(made)
        assert filled("db", "backup", "all.backup").returncode == 0
    finally:
        ended.set()
        writer.join()
    with closing(registry):
        said = refused(filled("db", "restore", "all.backup"))
        assert "say --force" in said
    shutil.rmtree(tmp_path / "watchword-data")
    assert filled("db", "restore", "all.backup").returncode == 0
    names = {each["client_id"] for each in document(filled("clients", "list", "--json"))["clients"]}
    left, right = ({name[1:] for name in names if name[0] == side} for side in "ab")
    assert left == right
    assert len(left) >= known


def test_a_registry_that_is_in_use_is_not_restored_unasked(filled, tmp_path):
    """A server that goes on with what it knows would be of two minds."""
    assert filled("db", "backup", "all.backup").returncode == 0
    shutil.rmtree(tmp_path / "watchword-data")
    with closing(Registry.open(load_settings().database, now=wall_clock)) as registry:
        RegistryHarness(registry).list_clients()
        assert "is in use" in refused(filled("db", "restore", "all.backup"))
    assert filled("db", "restore", "all.backup").returncode == 0


def test_a_database_that_a_server_follows_is_not_restored_unasked(filled, tmp_path, postgres_url):
    """The line says so before it says that there is content to give up."""
    assert filled("db", "backup", "all.backup").returncode == 0
    (tmp_path / "there").mkdir()
    place = make_place(tmp_path / "there", WATCHWORD_DATABASE_URL=postgres_url)
    assert place.run("db", "upgrade").returncode == 0
    place.add_key()
    restored = ("db", "restore", str(tmp_path / "all.backup"))
    with running(place):
        shutil.rmtree(place.folder / "data")
        assert eventually(lambda: "is in use" in refused(place.run(*restored)))
    assert "has clients or resources" in refused(place.run(*restored))
    assert place.run(*restored, "--force").returncode == 0


def test_a_full_disk_leaves_all_as_it_was(filled, tmp_path):
    """A limit to the size of files refuses what a full disk would."""
    assert filled("db", "backup", "all.backup").returncode == 0
    assert filled("clients", "create", "kiosk").returncode == 0
    before, files = _state(filled), _files(tmp_path).keys()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, usual[1]))
    try:
        made = filled("db", "backup", "new.backup")
        restored = filled("db", "restore", "all.backup", "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "cannot write new.backup" in refused(made) or "registry database" in refused(made)
    assert "cannot restore all.backup: file too large" in refused(restored)
    assert _state(filled) == before
    assert _files(tmp_path).keys() == files


def test_a_client_gets_tokens_from_a_server_that_came_back(tmp_path):
    """With the secret that it had; the backup was made while the server ran."""
    place = make_place(tmp_path)
    place.add_key()
    with running(place):
        client = place.json("clients", "create", "till", "--scope", "read")
        assert place.ask(client).status_code == 200
        # The server prepares the successor of its key by itself; a backup before that lacks it.
        assert eventually(lambda: len(place.get("/jwks").json()["keys"]) == 2)
        keys = place.get("/jwks").json()
        done = place.run("db", "backup", str(tmp_path / "all.backup"))
        assert done.returncode == 0, done.stderr
    shutil.rmtree(place.folder / "data")
    assert place.run("db", "restore", str(tmp_path / "all.backup")).returncode == 0
    with running(place):
        assert place.ask(client).status_code == 200
        assert place.get("/jwks").json() == keys


def test_a_restore_begins_a_new_epoch(filled, tmp_path):
    """Who follows the feed must not take its numbers for those that were."""

    def identity():
        with closing(Registry.open(load_settings().database, now=wall_clock)) as registry:
            return registry.read(lambda reading: reading.identity())

    before = identity()
    assert filled("db", "backup", "all.backup").returncode == 0
    assert filled("db", "restore", "all.backup", "--force").returncode == 0
    after = identity()
    assert after.issuer == before.issuer
    assert after.epoch != before.epoch


def test_what_is_there_is_neither_overwritten_nor_given_up_unasked(filled, tmp_path):
    """By a backup or by a restore; both can be told to."""
    (tmp_path / "all.backup").write_text("mine")
    assert "exists already" in refused(filled("db", "backup", "all.backup"))
    assert (tmp_path / "all.backup").read_text() == "mine"
    assert filled("db", "backup", "all.backup", "--force").returncode == 0
    before = _files(tmp_path)
    assert "there are keys" in refused(filled("db", "restore", "all.backup"))
    shutil.move(tmp_path / "watchword-data" / "keys", tmp_path / "elsewhere")
    assert "has clients or resources" in refused(filled("db", "restore", "all.backup"))
    shutil.move(tmp_path / "elsewhere", tmp_path / "watchword-data" / "keys")
    assert _files(tmp_path).keys() == before.keys()
    assert filled("clients", "delete", "till", "--yes").returncode == 0
    assert filled("db", "restore", "all.backup", "--force").returncode == 0
    assert len(document(filled("clients", "list", "--json"))["clients"]) == 1


def test_a_backup_that_cannot_be_read_changes_nothing(filled, tmp_path, monkeypatch):
    """Damaged, of something else, encrypted with another passphrase, or not there."""
    assert filled("db", "backup", "plain").returncode == 0
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "correct horse battery")
    assert filled("db", "backup", "sealed", "--encrypt").returncode == 0
    before = _state(filled)
    content = bytearray((tmp_path / "plain").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    (tmp_path / "other").write_bytes(b"something else\n" * 9)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "another horse battery")
    for name, words in {
        "damaged": "is damaged",
        "other": "is not a backup",
        "sealed": "cannot be decrypted",
        "missing": "cannot read missing",
    }.items():
        assert words in refused(filled("db", "restore", name, "--force"))
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    assert "WATCHWORD_KEY_PASSPHRASE" in refused(filled("db", "restore", "sealed", "--force"))
    assert "WATCHWORD_KEY_PASSPHRASE" in refused(filled("db", "backup", "new", "--encrypt"))
    assert _state(filled) == before


def test_registry_and_keys_come_back_together_or_not_at_all(filled, tmp_path, monkeypatch):
    """A commit that fails after the keys were put in place takes them out again."""
    assert filled("db", "backup", "all.backup").returncode == 0
    assert filled("keys", "generate").returncode == 0
    assert filled("clients", "create", "kiosk").returncode == 0
    before = _state(filled)

    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.engine.default.DefaultDialect.do_commit", fail)
        assert filled("db", "restore", "all.backup", "--force").returncode == 1
    assert _state(filled) == before


def test_postgresql_is_backed_up_and_comes_back_on_either_engine(
    filled, postgres, monkeypatch, tmp_path
):
    """One format; numbers go on behind those that the backup brought."""
    urls = [postgres.new_database(), postgres.new_database()]
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", urls[0])
    assert filled("db", "upgrade").returncode == 0
    assert filled("clients", "create", "kiosk", "--metadata", "owner=shop").returncode == 0
    before = _state(filled)
    assert filled("db", "backup", "all.backup").returncode == 0
    shutil.rmtree(tmp_path / "watchword-data")
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", urls[1])
    assert "run: watchword db upgrade" in refused(filled("db", "restore", "all.backup"))
    assert filled("db", "upgrade").returncode == 0
    assert filled("db", "restore", "all.backup").returncode == 0
    assert _restored(filled) == before
    assert filled("resources", "create", "urn:new", "--scope", "x").returncode == 0
    shutil.rmtree(tmp_path / "watchword-data")
    monkeypatch.delenv("WATCHWORD_DATABASE_URL")
    assert filled("db", "restore", "all.backup").returncode == 0
    assert _restored(filled) == before
    for url in urls:
        postgres.drop_database(url)
