"""`watchword db`: the schema of the registry, and databases that cannot be used."""

import sqlite3
from contextlib import closing

import pytest

from tests.support.command import document, run_command


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


def test_another_engine_is_refused_without_showing_its_password(tmp_path):
    """What is not available yet says so."""
    url = "postgresql://user:hunter2@db.example/watchword"
    said = one_line(run_command(tmp_path, "clients", "list", WATCHWORD_DATABASE_URL=url))
    assert "not available yet" in said
    assert "hunter2" not in said


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
        path.write_bytes(content)
    said = one_line(run_command(tmp_path, "clients", "list", WATCHWORD_DATABASE_URL=url))
    assert words in said
