"""Unit tests of `issuer.storage` on SQLite files without failures."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from alembic.script import ScriptDirectory

from issuer.registry.errors import InvalidValue, RegistryError, SchemaMismatch
from issuer.storage.database_url import open_database
from issuer.storage.registry import inspect_schema
from issuer.storage.schema import HEAD, MIGRATIONS
from tests.support.registry import new_client, orders
from tests.support.sqlite_registry import ROOT, open_registry, run_python


@pytest.fixture
def path(tmp_path):
    """Name a file that does not exist yet."""
    return tmp_path / "registry.db"


# ---- opening ----


def test_the_files_are_for_the_owner_alone(path):
    """The hashes in it are nobody else's business, nor those in its log."""
    with open_registry(path) as registry:
        registry.create_resource(orders())
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert sorted(modes) == ["registry.db", "registry.db-shm", "registry.db-wal"]
    assert set(modes.values()) == {0o600}


def test_a_missing_folder_is_made_for_the_owner_alone(tmp_path):
    """The first command on a machine has nothing to prepare."""
    folder = tmp_path / "data"
    with open_registry(folder / "registry.db"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["with space.db", "50%.db", "a'b.db", "ünï.db"])
def test_any_file_name_works(tmp_path, name):
    """A path is not a URL: nothing in it is decoded."""
    with open_registry(tmp_path / name) as registry:
        registry.create_resource(orders())
    assert (tmp_path / name).stat().st_size > 0


def test_a_relative_path_is_taken_from_the_working_folder(tmp_path, monkeypatch):
    """Three slashes are relative, four absolute."""
    monkeypatch.chdir(tmp_path)
    with open_registry("here.db"):
        assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user:pass@host/db", "no database engine 'mysql'"),
        ("nonsense", "not understood"),
        ("", "not understood"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///a.db?mode=ro", "must name a file"),
        ("foo bar://x", "not understood"),
    ],
)
def test_other_urls_are_refused_without_showing_them(url, words):
    """A database URL may hold a password."""
    with pytest.raises(InvalidValue, match=words) as caught:
        open_database(url, timeout=1)
    assert "pass@" not in str(caught.value)


def test_the_database_is_safe_to_share(path):
    """Write-ahead log, foreign keys, and waiting for others are on for every connection."""
    database = open_database(f"sqlite:///{path}", timeout=5)
    pragmas = ("journal_mode", "foreign_keys", "busy_timeout")
    with closing(database):
        found = database.read(
            lambda connection: [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas
            ]
        )
    assert found == ["wal", 1, 5000]


# ---- the schema ----


def test_the_head_is_the_newest_migration():
    """The constant that saves importing Alembic tells the truth."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_alembic_is_not_imported_without_need(path):
    """It costs more than opening the database; an empty one gets its tables without it, too."""
    code = (
        "import sys\nfrom issuer.storage.registry import Registry\n"
        "Registry.open('sqlite:///' + sys.argv[1], now=lambda: 0).close()\n"
        "print('alembic' in sys.modules)"
    )
    assert run_python(code, path) == "False"
    assert run_python(code, path) == "False"


def test_serving_needs_no_sqlalchemy(path):
    """Importing it would take a quarter of the time to the first token, and 10 MB of a worker."""
    with open_registry(path) as registry:
        registry.settle_issuer("https://a.example", own="urn:own", serving=True)
        registry.ensure_resources(orders())
        registry.create_client(new_client())
    code = (
        "import sys\nimport tests.support.registry as support\n"
        "from issuer.storage.registry import Registry\nimport watchword.provider.app\n"
        "registry = Registry.open('sqlite:///' + sys.argv[1], now=lambda: 9, upgrade=True)\n"
        "registry.settle_issuer('https://a.example', own='urn:own', serving=True)\n"
        "registry.ensure_resources(support.orders())\n"
        "client = registry.find_client('till')\n"
        "secret = client.secrets[0].secret_id\n"
        "support.use(registry, ('till', secret, support.RESOURCE, ('read',), 9))\n"
        "registry.announce_expiring(within=9, started=9)\n"
        "read = registry.version(), registry.changes_since(0), registry.list_scopes()\n"
        "registry.close()\n"
        "print({'sqlalchemy', 'alembic', 'structlog', 'starlette'} & set(sys.modules))"
    )
    assert run_python(code, path) == "set()"


def test_the_registry_rules_need_no_database_library():
    """SQLAlchemy is imported by those who open a database only."""
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        "import issuer.registry.view, issuer.registry.resource, issuer.ports\n"
        "print({'sqlalchemy', 'sqlite3', 'asyncio'} & (set(sys.modules) - before))"
    )
    assert run_python(code) == "set()"


def test_a_database_from_a_newer_version_is_refused(path):
    """An old program must not write what it does not understand."""
    with open_registry(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    with pytest.raises(SchemaMismatch, match="newer version"), open_registry(path):
        pass
    assert inspect_schema(f"sqlite:///{path}") == "0999"


def test_a_database_of_something_else_is_left_alone(path):
    """A mistyped file name must not cost another program its data."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE clients (theirs)")
    with pytest.raises(SchemaMismatch, match="tables of something else"), open_registry(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("clients",)]


def test_a_migration_that_fails_leaves_nothing_behind(path):
    """The whole upgrade is one transaction."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW registry_changes AS SELECT 1")  # in the last step's way
    with pytest.raises(RegistryError), open_registry(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert names == [("registry_changes",)]


def test_looking_at_the_schema_makes_no_file(path):
    """Asking changes nothing."""
    assert inspect_schema(f"sqlite:///{path}") is None
    assert not path.exists()
    with open_registry(path):
        pass
    assert inspect_schema(f"sqlite:///{path}") == HEAD


def test_processes_may_open_an_empty_database_at_once(tmp_path):
    """One makes the schema, the others wait and find it made."""
    code = (
        "import sys, time, os\nfrom issuer.storage.registry import HEAD, Registry\n"
        "import alembic.command\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for path in sys.argv[1:]:\n"
        "    registry = Registry.open('sqlite:///' + path, now=lambda: 0)\n"
        "    assert registry.schema_revision() == HEAD\n"
        "    registry.close()\n"
    )
    paths = [str(tmp_path / f"{number}.db") for number in range(8)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *paths],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    ended = [process.communicate("go\n", timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended


def test_a_connection_that_cannot_be_reset_is_not_used_again(path):
    """It might be in a transaction still, or not wait for the disk where it must."""

    class Broken:
        closed = False

        def rollback(self):
            raise sqlite3.OperationalError("disk I/O error")

        def close(self):
            self.closed = True

    broken = Broken()
    with closing(open_database(f"sqlite:///{path}", timeout=5)) as database:
        with database.transaction("BEGIN"):
            pass
        database._give_back(broken, database._file, durable=False)
        assert broken.closed
        assert broken not in database._idle
