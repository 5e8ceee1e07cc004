"""`watchword keys move` and `passphrase`, and keys in the database: nothing is lost on the way."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document

PASSPHRASE, NEW = "correct horse battery", "another staple"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder, with a passphrase."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("WATCHWORD_SIGNING_ALG", "ES256")
    return run


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, run, monkeypatch):
    """Have a database of each engine, with the schema."""
    if request.param == "sqlite":
        yield
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", url)
    assert run("db", "upgrade").returncode == 0
    yield
    postgres.drop_database(url)


@pytest.fixture
def in_database(monkeypatch):
    """Return a function that says where the keys are from now on."""

    def choose(yes=True):
        monkeypatch.setenv("WATCHWORD_KEY_STORE", "database" if yes else "files")

    return choose


def listed(run):
    """Return all that is told of the keys."""
    return document(run("keys", "list", "--json"))["keys"]


def facts(run):
    """Return what a move must not change."""
    return [{**each, "encrypted": None, "next": None} for each in listed(run)]


def private(run):
    """Return the private keys."""
    return {
        each["kid"]: run("keys", "export", "--private", "--kid", each["kid"]).stdout
        for each in listed(run)
    }


def make(run):
    """Make a key in the clear, and rotate and revoke under the passphrase."""
    first = document(run("keys", "generate", "--json"))["kid"]
    for command in (("rotate",), ("revoke", first, "--yes")):
        assert run("keys", *command).returncode == 0
    return first


def test_keys_go_to_the_database_and_back(run, engine, in_database, monkeypatch, tmp_path):
    """Every fact and every private key, also of the key that is revoked; then it is refused."""
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    make(run)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
    before, keys = facts(run), private(run)
    assert {each["encrypted"] for each in listed(run)} == {False}
    done = run("keys", "move", "--to", "database")
    assert done.returncode == 0
    assert "set WATCHWORD_KEY_STORE=database and restart every node" in done.stderr
    assert list((tmp_path / "watchword-data" / "keys").glob("*.pem")) == []
    in_database()
    assert (facts(run), private(run)) == (before, keys)
    assert {each["encrypted"] for each in listed(run)} == {True}
    assert run("keys", "generate").returncode == 0
    assert "there is no key in" in refused(run("keys", "move", "--to", "database"))
    before, keys = facts(run), private(run)
    moved = document(run("keys", "move", "--to", "files", "--json"))
    assert sorted(moved["moved"]) == sorted(keys)
    in_database(False)
    assert (facts(run), private(run)) == (before, keys)
    assert {each["encrypted"] for each in listed(run)} == {True}


def logged(done):
    """Return the events that a command logged."""
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def trail(run):
    """Return action and target of the entries about keys, the latest first."""
    entries = document(run("audit", "list", "--json"))["entries"]
    return [
        (each["action"], each["target"]) for each in entries if each["action"].startswith("key.")
    ]


def test_a_move_and_a_new_passphrase_are_in_log_and_trail(run, tmp_path):
    """Each key by itself, by the user; keys left in the clear have an event of their own."""
    assert run("db", "upgrade").returncode == 0
    kid = document(run("keys", "generate", "--json"))["kid"]
    (tmp_path / "present").write_text(PASSPHRASE)
    for event, arguments in (
        ("key.moved", ("move", "--to", "database")),
        ("key.moved", ("move", "--to", "files")),
        ("key.encrypted", ("passphrase", "--new-passphrase-file", "present")),
        ("key.decrypted", ("passphrase", "--remove")),
    ):
        done = run("keys", *arguments)
        assert [(each["event"], each["kid"], each["via"]) for each in logged(done)] == [
            (event, kid, "cli")
        ]
        assert trail(run)[0] == (event, kid)


def test_a_database_with_keys_of_its_own_takes_no_others(run, in_database):
    """Both stores are as they were."""
    make(run)
    before = facts(run)
    in_database()
    own = document(run("keys", "generate", "--json"))["kid"]
    assert f"such as {own}" in refused(run("keys", "move", "--to", "database"))
    assert [each["kid"] for each in listed(run)] == [own]
    in_database(False)
    assert facts(run) == before


def test_the_database_needs_a_passphrase(run, monkeypatch, in_database):
    """Said once, before anything is read."""
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    assert "WATCHWORD_KEY_PASSPHRASE" in refused(run("keys", "move", "--to", "database"), 2)
    in_database()
    for command in (("keys", "list"), ("keys", "generate"), ("serve",)):
        assert "WATCHWORD_KEY_STORE: " in refused(run(*command), 2)


def test_a_list_makes_no_database(run, in_database, tmp_path):
    """There is no key yet, and no file either."""
    in_database()
    assert "There is no key yet" in run("keys", "list").stderr
    assert not (tmp_path / "watchword-data").exists()


def test_a_new_passphrase_counts_and_the_old_one_does_not(run, engine, in_database, monkeypatch):
    """In the database."""
    in_database()
    make(run)
    before = private(run)
    done = run("keys", "passphrase", "--new-passphrase-stdin", stdin=f"{NEW}\n")
    assert done.returncode == 0
    assert "restart every node" in done.stderr
    assert NEW not in done.stderr + done.stdout
    assert "WATCHWORD_KEY_PASSPHRASE is not the one" in refused(run("keys", "list"))
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
    assert private(run) == before
    assert "always encrypted" in refused(run("keys", "passphrase", "--remove"), 2)


def test_keys_that_were_in_the_clear_are_named(run, monkeypatch, tmp_path):
    """In files; the passphrase can be given up there."""
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    clear = document(run("keys", "generate", "--json"))["kid"]
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
    assert run("keys", "generate").returncode == 0
    before = private(run)
    (tmp_path / "new").write_text(NEW)
    done = run("keys", "passphrase", "--new-passphrase-file", "new")
    assert f"{clear} was in the clear" in done.stderr
    assert len(done.stderr.splitlines()) == 2 + len(logged(done))
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
    assert private(run) == before
    done = document(run("keys", "passphrase", "--remove", "--json"))
    assert done == {"keys": sorted(before), "were_in_the_clear": [], "encrypted": False}
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    assert private(run) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "choose one of"),
        (("--remove", "--new-passphrase-stdin"), "choose one of"),
        (("--new-passphrase-stdin",), "one line of 1 to 1024 bytes"),
        (("--new-passphrase-file", "missing"), "missing cannot be read"),
        (("--new-passphrase-file", "."), "cannot be read"),
        (("--new-passphrase-file", "binary"), "must be UTF-8"),
        (("--new-passphrase-file", "lines"), "one line"),
        (("--new-passphrase-file", "long"), "one line"),
        (("--new-passphrase-file", "spaces"), "without white space"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_new_passphrase_that_cannot_be_is_refused(run, tmp_path, options, words):
    """In one line that does not show it; the keys are as they were."""
    assert run("keys", "generate").returncode == 0
    for name, content in {
        "binary": b"\xff\xfe",
        "lines": b"one\ntwo\n",
        "long": b"x" * 1025,
        "spaces": b" secret \n",
    }.items():
        (tmp_path / name).write_bytes(content)
    before = private(run)
    said = refused(run("keys", "passphrase", *options), 2)
    assert words in said
    assert "secret" not in said
    assert private(run) == before


def test_a_wrong_present_passphrase_changes_nothing(run, in_database, monkeypatch):
    """Neither in the database nor on the way out of it."""
    in_database()
    assert run("keys", "generate").returncode == 0
    before = private(run)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
    change = run("keys", "passphrase", "--new-passphrase-stdin", stdin="third\n")
    for done in (change, run("keys", "move", "--to", "files"), run("keys", "generate")):
        assert "WATCHWORD_KEY_PASSPHRASE is not the one" in refused(done)
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
    assert private(run) == before


@pytest.mark.parametrize("was", ["files", "database"])
@pytest.mark.parametrize("becomes", ["files", "database"])
def test_a_backup_goes_into_either_store(run, monkeypatch, tmp_path, was, becomes):
    """Everything is lost and comes back where the settings say; sealed keys stay sealed."""
    monkeypatch.setenv("WATCHWORD_KEY_STORE", was)
    assert run("db", "upgrade").returncode == 0
    make(run)
    before, keys = facts(run), private(run)
    assert run("db", "backup", "all.backup").returncode == 0
    content = (tmp_path / "all.backup").read_bytes()
    assert b"-----BEGIN PRIVATE KEY" not in content
    assert (b"-----BEGIN ENCRYPTED" in content) == (was == "files")
    assert content.count(b"watchword-sealed 1") == (len(keys) if was == "database" else 0)
    shutil.rmtree(tmp_path / "watchword-data")
    monkeypatch.setenv("WATCHWORD_KEY_STORE", becomes)
    if was == "database":
        monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
        assert "does not open" in refused(run("db", "restore", "all.backup"))
        monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
        assert not (tmp_path / "watchword-data" / "keys").exists()
    assert run("db", "restore", "all.backup").returncode == 0
    assert (facts(run), private(run)) == (before, keys)
    assert "there are keys in" in refused(run("db", "restore", "all.backup"))
    assert run("db", "restore", "all.backup", "--force").returncode == 0
    assert (facts(run), private(run)) == (before, keys)
    files = list((tmp_path / "watchword-data").glob("keys/*.pem"))
    assert len(files) == (len(keys) if becomes == "files" else 0)


def test_keys_in_a_database_come_back_with_it_or_not_at_all(run, in_database, monkeypatch):
    """A commit that fails leaves the keys that were there."""
    in_database()
    make(run)
    assert run("db", "backup", "all.backup").returncode == 0
    assert run("keys", "generate").returncode == 0
    before = facts(run)

    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.engine.default.DefaultDialect.do_commit", fail)
        assert run("db", "restore", "all.backup", "--force").returncode == 1
    assert facts(run) == before


def test_nothing_in_the_database_is_readable(run, in_database, tmp_path):
    """Neither private keys nor what they are for."""
    in_database()
    kid = document(run("keys", "generate", "--json"))["kid"]
    with closing(sqlite3.connect(tmp_path / "watchword-data" / "registry.db")) as connection:
        ((name, content),) = connection.execute("SELECT name, content FROM signing_keys")
    assert name == f"{kid}.pem"
    assert b"PRIVATE" not in content
    assert b"ES256" not in content
