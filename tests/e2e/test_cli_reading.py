"""Commands that read write nothing, and a registry refuses a foreign issuer and mistyped names."""

import sqlite3
from contextlib import closing

import pytest

from issuer.storage.registry import Registry
from issuer.storage.schema import HEAD
from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document
from tests.support.migrations import migrate
from watchword.ambient import wall_clock
from watchword.registry import open_registry
from watchword.settings import load_settings

STRAY = "https://typo.example"
READING = [
    ("clients", "list"),
    ("clients", "show", "till"),
    ("clients", "secrets", "list", "till"),
    ("resources", "list"),
    ("resources", "show", ISSUER),
    ("registration-tokens", "list"),
    ("audit", "list"),
    ("export",),
    ("usage",),
    ("apply", "wanted.toml", "--dry-run"),
]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in a folder with a file to apply and default settings."""
    (tmp_path / "wanted.toml").write_text("clients = []\n")
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def _files(folder):
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_missing_registry_reads_as_an_empty_one_and_is_not_made(run, tmp_path, command):
    """The provider's own resources exist from the start; a line says that nothing is there."""
    done = run(*command)
    about_till = "till" in command
    assert done.returncode == (1 if about_till else 0), done.stderr
    assert (
        "There is no registry yet: sqlite:///watchword-data/registry.db" in done.stderr
    ) != about_till
    assert [each.name for each in tmp_path.iterdir()] == ["wanted.toml"]


def test_lists_of_a_missing_registry_are_empty_but_for_the_own_resources(run):
    """As they are right after the first change."""
    assert document(run("clients", "list", "--json")) == {"clients": []}
    assert document(run("audit", "list", "--json"))["entries"][0]["action"] == "resource.created"
    names = [each["resource"] for each in document(run("resources", "list", "--json"))["resources"]]
    assert names == [ISSUER, ISSUER + "/admin/api/v1"]


@pytest.mark.parametrize("command", [*READING, ("db", "status")], ids=" ".join)
def test_reading_leaves_every_byte_as_it_is(run, tmp_path, command):
    """Neither the database nor a file beside it."""
    assert run("clients", "create", "till").returncode == 0
    before = _files(tmp_path)
    assert list(before) == ["wanted.toml", "watchword-data/registry.db"]
    assert run(*command).returncode == 0
    assert _files(tmp_path) == before


@pytest.mark.parametrize(
    "command", [*READING, ("clients", "create", "kiosk"), ("apply", "wanted.toml")], ids=" ".join
)
def test_another_issuer_is_refused_and_nothing_is_written(run, tmp_path, monkeypatch, command):
    """Wrong settings: both issuers are named, and the command that changes it."""
    assert run("clients", "create", "till").returncode == 0
    before = _files(tmp_path)
    monkeypatch.setenv("WATCHWORD_ISSUER", STRAY)
    said = refused(run(*command), code=2)
    assert f"belongs to {ISSUER}, but WATCHWORD_ISSUER is {STRAY}" in said
    assert f"watchword db set-issuer {STRAY}" in said
    assert _files(tmp_path) == before


def test_the_issuer_is_changed_by_its_own_command_alone(run, monkeypatch):
    """It asks, and the trail has it."""
    assert run("clients", "create", "till").returncode == 0
    assert "nothing was changed" in run("db", "set-issuer", STRAY, stdin="n\n").stderr
    assert run("clients", "list").returncode == 0
    assert run("db", "set-issuer", STRAY, "--yes").returncode == 0
    refused(run("clients", "list"), code=2)
    monkeypatch.setenv("WATCHWORD_ISSUER", STRAY)
    entry = document(run("audit", "list", "--json"))["entries"][0]
    assert (entry["action"], entry["target"]) == ("registry.issuer_changed", STRAY)
    assert (entry["before"], entry["after"]) == ({"issuer": ISSUER}, {"issuer": STRAY})
    assert len(document(run("clients", "list", "--json"))["clients"]) == 1


def test_what_cannot_be_an_issuer_or_has_no_registry_is_refused(run, tmp_path):
    """Before anything is made."""
    told = refused(run("db", "set-issuer", "http://far.example"), code=2)
    assert "URL: plain http is" in told
    assert "set WATCHWORD_ALLOW_INSECURE_HTTP" in told
    assert "there is no registry yet" in refused(run("db", "set-issuer", STRAY, "--yes"))
    assert [each.name for each in tmp_path.iterdir()] == ["wanted.toml"]


def test_a_registry_of_an_older_version_takes_the_issuer_that_serves_it(run, tmp_path, monkeypatch):
    """Commands go by the resource of the issuer that has served it, and adopt none."""
    assert run("clients", "create", "till").returncode == 0
    path = tmp_path / "watchword-data" / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM registry_identity WHERE name = 'issuer'")
        connection.commit()
    assert run("clients", "create", "kiosk").returncode == 0
    monkeypatch.setenv("WATCHWORD_ISSUER", STRAY)
    assert "does not say which issuer" in refused(run("clients", "create", "third"), code=2)
    served = open_registry(load_settings(issuer=ISSUER), now=wall_clock, serving=True)
    with closing(served):
        assert served.read(lambda reading: reading.identity()).issuer == ISSUER
    assert f"belongs to {ISSUER}" in refused(run("clients", "create", "third"), code=2)


def test_an_older_schema_is_not_upgraded_by_a_command(run, tmp_path):
    """`db upgrade` and `serve` do it, and keep a copy."""
    (tmp_path / "watchword-data").mkdir(0o700)
    path = tmp_path / "watchword-data" / "registry.db"
    migrate(f"sqlite:///{path}", "0002")
    before = _files(tmp_path)
    for command in (("clients", "list"), ("clients", "create", "till")):
        assert "run: watchword db upgrade" in refused(run(*command))
    assert _files(tmp_path) == before
    assert document(run("db", "upgrade", "--json"))["up_to_date"]
    assert (path.parent / "registry.db.schema-0002").exists()
    assert run("clients", "create", "till").returncode == 0


def test_serving_upgrades_an_older_schema(tmp_path, monkeypatch):
    """A server that is updated needs no other command; what it did is in its log."""
    monkeypatch.chdir(tmp_path)
    told = []
    settings = load_settings(data_dir=tmp_path / "data")
    (tmp_path / "data").mkdir(0o700)
    migrate(settings.database, "0002")
    opened = open_registry(
        settings, now=wall_clock, serving=True, announce=lambda event, **_: told.append(event)
    )
    with closing(opened):
        assert opened.schema_revision() == HEAD
    assert told[0] == "registry.upgraded"


def test_a_folder_that_cannot_be_searched_is_not_taken_for_a_missing_registry(run, tmp_path):
    """An empty list would be untrue."""
    (tmp_path / "watchword-data").write_text("")
    assert "cannot be opened" in refused(run("clients", "list"))


def test_a_registry_opened_for_reading_cannot_be_changed(tmp_path, postgres_url):
    """The database itself refuses, whatever a command tries."""
    for url in (f"sqlite:///{tmp_path}/registry.db", postgres_url):
        Registry.open(url, now=wall_clock, upgrade=True).close()
        with closing(Registry.open(url, now=wall_clock, reading=True)) as registry:
            with pytest.raises(Exception, match="read-only"):
                registry.settle_issuer(ISSUER, own=ISSUER, serving=True)
            assert registry.read(lambda reading: reading.identity()).issuer is None


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["show", "biling"], "; did you mean billing?"),
        (["show", "bliling"], "; did you mean billing?"),  # which sorts behind it
        (["update", "biling", "--add-scope", "read"], "; did you mean billing?"),
        (["show", "zzz"], ""),
        (["update", "billing", "--add-scope", "wriet"], "; did you mean write?"),
        (["create", "x", "--grant", f"{ISSUER} raed"], "; did you mean read?"),
        (["create", "x", "--grant", f"{ISSUER} fly"], ""),
        (["create", "x", "--grant", "http://localhost:808 read"], f"; did you mean {ISSUER}?"),
    ],
)
def test_a_mistyped_name_is_told_with_the_one_that_was_probably_meant(run, arguments, meant):
    """Of a client, of a scope among those of the resource, or of a resource."""
    run("clients", "create", "billing", "--scope", "read")
    told = refused(run("clients", *arguments))
    assert ("did you mean" in told) == bool(meant)
    assert told.endswith(f"{meant}\n")
