"""`watchword db`: the schema of the registry, and databases that cannot be used."""

import sqlite3
from contextlib import closing

import pytest

from tests.support.cli import run_in_empty_folder
from tests.support.command import document, run_command
from tests.support.provider import make_place


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def one_line(done, code=1):
    """Check that a command said one line why and ended with the code; return the line."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_status_changes_nothing_and_upgrade_makes_the_schema(tmp_path):
    """An operator may look before leaping."""
    before = document(run_command(tmp_path, "db", "status", "--json"))
    assert (before["current"], before["up_to_date"]) == (None, False)
    assert list(tmp_path.iterdir()) == []
    made = document(run_command(tmp_path, "db", "upgrade", "--json"))
    assert made["up_to_date"]
    assert made["current"] == made["head"] == before["head"]
    assert document(run_command(tmp_path, "db", "status", "--json")) == made
    assert "up_to_date  yes" in run_command(tmp_path, "db", "status").stdout


def test_the_database_url_is_a_setting(tmp_path):
    """Three slashes are relative to the working folder; spaces are part of the name."""
    url = "sqlite:///my data/reg istry.db"
    run_command(tmp_path, "clients", "create", "till", WATCHWORD_DATABASE_URL=url)
    assert (tmp_path / "my data" / "reg istry.db").exists()
    listed = document(
        run_command(tmp_path, "clients", "list", "--json", WATCHWORD_DATABASE_URL=url)
    )
    assert len(listed["clients"]) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user:hunter2@db.example/watchword", "no database engine 'mysql'"),
        ("user:hunter2@db.example", "the database URL is not understood"),
        ("sqlite:///", "the database URL must name a file"),
        ("sqlite:///a.db?password=hunter2", "the database URL must name a file"),
    ],
)
@pytest.mark.parametrize("command", [("clients", "list"), ("db", "status"), ("db", "upgrade")])
def test_a_database_url_that_cannot_be_is_wrong_usage(run, monkeypatch, command, url, words):
    """One line, exit code 2, without the password."""
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", url)
    said = one_line(run(*command), code=2)
    assert words in said
    assert "hunter2" not in said


def test_postgresql_is_upgraded_by_hand_and_shown_without_its_password(tmp_path, postgres_url):
    """An empty database has no schema, and only this command makes one."""
    password = postgres_url.partition("@")[0].rpartition(":")[2]
    done = run_command(tmp_path, "db", "status", "--json", WATCHWORD_DATABASE_URL=postgres_url)
    before = document(done)
    assert (before["current"], before["up_to_date"]) == (None, False)
    assert before["database"] == postgres_url.replace(password, "***")
    made = document(
        run_command(tmp_path, "db", "upgrade", "--json", WATCHWORD_DATABASE_URL=postgres_url)
    )
    assert (made["current"], made["up_to_date"]) == (made["head"], True)
    shown = run_command(tmp_path, "db", "status", WATCHWORD_DATABASE_URL=postgres_url)
    assert "up_to_date  yes" in shown.stdout
    assert password not in done.stdout + shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_the_query_is_not_shown_either(run, monkeypatch, postgres_url):
    """libpq takes it there, too."""
    role, _, rest = postgres_url.removeprefix("postgresql://").partition(":")
    password, _, place = rest.partition("@")
    url = f"postgresql://{place}?user={role}&password={password}"
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", url)
    shown = run("db", "status")
    assert shown.returncode == 0, shown.stderr
    assert password not in shown.stdout + shown.stderr


@pytest.mark.parametrize("command", [("clients", "list"), ("clients", "create", "till")])
def test_commands_refuse_a_schema_that_is_out_of_date(run, monkeypatch, postgres_url, command):
    """The operator decides when a server's schema is upgraded, not the first command that runs."""
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", postgres_url)
    said = one_line(run(*command))
    assert "the database schema is empty" in said
    assert "run: watchword db upgrade" in said


def test_the_provider_refuses_a_postgresql_schema_that_is_out_of_date(tmp_path, postgres_url):
    """Before it listens, with one worker or two."""
    place = make_place(tmp_path, WATCHWORD_DATABASE_URL=postgres_url)
    place.add_key()
    for workers in ("1", "2"):
        said = one_line(place.run("serve", "--port", str(place.port), "--workers", workers))
        assert "run: watchword db upgrade" in said


def test_clients_live_in_postgresql(run, tmp_path, monkeypatch, postgres_url):
    """The commands are the same, and the data folder is not even made."""
    monkeypatch.setenv("WATCHWORD_DATABASE_URL", postgres_url)
    assert run("db", "upgrade").returncode == 0
    created = document(run("clients", "create", "till", "--all-scopes", "--json"))
    assert created["client_secret"]
    changed = run("clients", "update", "till", "--remove-scope", "write", "--json")
    assert document(changed)["scope"] == "read"
    trail = document(run("audit", "list", "--json"))["entries"]
    assert trail[0]["action"] == "client.updated"
    assert "exists already" in one_line(run("clients", "create", "till"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"this is not a database at all" * 50, "is not a database"), (None, "newer version")],
)
def test_a_database_that_cannot_be_used_is_one_line(tmp_path, content, words):
    """No traceback, and the file is left as it is."""
    path = tmp_path / "registry.db"
    url = f"sqlite:///{path}"
    if content is None:
        run_command(tmp_path, "db", "upgrade", WATCHWORD_DATABASE_URL=url)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0999'")
            connection.commit()
    else:
        path.touch(mode=0o600)
        path.write_bytes(content)
    said = one_line(run_command(tmp_path, "clients", "list", WATCHWORD_DATABASE_URL=url))
    assert words in said
