"""Unit tests of `issuer.storage` on SQLite files, in fair weather and foul."""

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from issuer.registry.errors import InvalidValue, RegistryError, SchemaMismatch, StoreUnavailable
from issuer.storage.engine import sqlite_path
from issuer.storage.registry import Registry, inspect_schema
from issuer.storage.schema import HEAD, MIGRATIONS
from issuer.storage.tables import metadata
from tests.support.registry import NOW, new_client, orders

ROOT = Path(__file__).parents[3]


def open_registry(path, **options):
    """Open the registry in a file."""
    return closing(Registry.open(f"sqlite:///{path}", now=lambda: NOW, **options))


def run_python(code, *arguments, **options):
    """Run code in a fresh interpreter and return what it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


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
        ("postgresql://user:pass@host/db", "PostgreSQL is not available yet"),
        ("mysql://host/db", "no database engine 'mysql'"),
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
        sqlite_path(url)
    assert "pass@" not in str(caught.value)


def test_the_database_is_safe_to_share(path):
    """Write-ahead log, foreign keys, and waiting for others are on for every connection."""
    with open_registry(path) as registry, registry._database.reading() as connection:
        ask = connection.exec_driver_sql
        assert ask("PRAGMA journal_mode").scalar() == "wal"
        assert ask("PRAGMA foreign_keys").scalar() == 1
        assert ask("PRAGMA busy_timeout").scalar() == 5000


# ---- the schema ----


def test_the_head_is_the_newest_migration():
    """The constant that saves importing Alembic tells the truth."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_the_migrations_make_the_tables_that_the_code_uses(path):
    """Tables and migrations are written twice and must agree."""
    with open_registry(path):
        pass
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_alembic_is_not_imported_for_a_database_at_head(path):
    """It costs more than opening the database."""
    code = (
        "import sys\nfrom issuer.storage.registry import Registry\n"
        "Registry.open('sqlite:///' + sys.argv[1], now=lambda: 0).close()\n"
        "print('alembic' in sys.modules)"
    )
    assert run_python(code, path) == "True"
    assert run_python(code, path) == "False"


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
    assert inspect_schema(f"sqlite:///{path}").current == "0999"


def test_a_database_of_something_else_is_left_alone(path):
    """A mistyped file name must not cost another program its data."""
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
    status = inspect_schema(f"sqlite:///{path}")
    assert (status.current, status.head, status.up_to_date) == (None, HEAD, False)
    assert not path.exists()
    with open_registry(path):
        pass
    assert inspect_schema(f"sqlite:///{path}").up_to_date


def test_processes_may_open_an_empty_database_at_once(tmp_path):
    """One makes the schema, the others wait and find it made."""
    code = (
        "import sys, time, os\nfrom issuer.storage.registry import Registry\n"
        "import alembic.command\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for path in sys.argv[1:]:\n"
        "    registry = Registry.open('sqlite:///' + path, now=lambda: 0)\n"
        "    assert registry.schema_status().up_to_date\n"
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


# ---- foul weather ----


def assert_one_line(caught, *words):
    """The text is fit for a terminal."""
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_a_locked_database_is_given_up_after_the_timeout(path):
    """A writer waits its time and then says why; readers are not held up at all."""
    with open_registry(path, busy_timeout=0.1) as registry:
        registry.create_resource(orders())
        registry.create_client(new_client())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            started = time.monotonic()
            with pytest.raises(StoreUnavailable) as caught:
                registry.create_client(new_client("late"))
            assert_one_line(caught, "locked by another process")
            assert time.monotonic() - started < 3
            assert registry.find_client("till") is not None
            other.execute("ROLLBACK")
        registry.create_client(new_client("late"))


def test_a_lock_while_the_log_mode_is_set_is_given_up_too(path):
    """Even the very first opening has its patience."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(StoreUnavailable) as caught,
            open_registry(path, busy_timeout=0.1),
        ):
            pass
        assert_one_line(caught, "locked by another process")


def test_a_file_that_is_no_database_is_named(path):
    """It is left as it is."""
    path.write_bytes(b"certainly not a database, but long enough to look at" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable) as caught, open_registry(path):
        pass
    assert_one_line(caught, str(path), "is not a database")
    assert path.read_bytes() == before


def test_a_damaged_database_is_named(path):
    """Pages that make no sense are an error of one line, not a crash."""
    with open_registry(path) as registry:
        registry.create_resource(orders())
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable) as caught, open_registry(path) as registry:
        registry.list_clients()
    assert_one_line(caught, "damaged")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path):
    """A path that cannot be a file is refused in one line."""
    with pytest.raises(StoreUnavailable) as caught, open_registry(tmp_path):
        pass
    assert_one_line(caught, "cannot be opened")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """So is one whose parent is a file."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreUnavailable) as caught,
        open_registry(tmp_path / "file" / "registry.db"),
    ):
        pass
    assert_one_line(caught, "cannot be opened")


CREATE_UNTIL_REFUSED = """
import sys
from issuer.registry.errors import RegistryError
from issuer.storage.registry import Registry
from tests.support.registry import new_client, orders
done = 0
try:
    registry = Registry.open('sqlite:///' + sys.argv[1], now=lambda: 0)
    registry.ensure_resource(orders())
    while done < 5000:
        registry.create_client(new_client(f'c{done}'))
        done += 1
        if len(sys.argv) > 2:
            print(done, flush=True)
except RegistryError as error:
    print(type(error).__name__, done, error)
"""


def assert_whole(path, expected=None):
    """The database is sound and every client in it is complete."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with open_registry(path) as registry:
        clients = registry.list_clients()
        assert all((len(each.grants), len(each.secrets)) == (1, 1) for each in clients)
        if expected is not None:
            assert {each.client_id for each in clients} == {f"c{n}" for n in range(expected)}
        registry.create_client(new_client("afterwards"))
    return len(clients)


def test_a_file_that_cannot_grow_costs_nothing_that_was_there(path):
    """The client that did not fit is refused in one line; the ones before it are whole."""
    with open_registry(path):
        pass
    limit = path.stat().st_size + 100_000

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    said = run_python(CREATE_UNTIL_REFUSED, path, preexec_fn=limit_files)
    kind, done, text = said.split(" ", 2)
    assert kind == "StoreUnavailable", said
    assert "cannot" in text
    assert int(done) > 0
    assert_whole(path, int(done))


def test_a_full_disk_costs_nothing_that_was_there(tmp_path):
    """As above, on a file system that is really full."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs privileges")
    try:
        said = run_python(CREATE_UNTIL_REFUSED, folder / "registry.db")
        kind, done, text = said.split(" ", 2)
        assert kind == "StoreUnavailable", said
        assert "the disk is full; nothing was changed" in text
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        assert_whole(folder / "registry.db", int(done))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs privileges")
def test_a_read_only_file_is_named():
    """Permissions are the operator's to mend; the text says so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        with open_registry(path) as registry:
            registry.create_resource(orders())
        Path(folder).chmod(0o755)
        path.chmod(0o444)
        said = run_python(
            "import os, sys, issuer.storage.registry, tests.support.registry\n"
            "os.setuid(65534)\n" + CREATE_UNTIL_REFUSED,
            path,
        )
        kind, done, text = said.split(" ", 2)
        assert (kind, done) == ("StoreUnavailable", "0")
        assert "read-only" in text or "cannot be opened" in text


def test_a_killed_process_leaves_whole_clients(path):
    """`kill -9` in the middle: the database opens and holds everything that was confirmed."""
    with open_registry(path):
        pass
    for _ in range(2):
        path.unlink()
        with subprocess.Popen(
            [sys.executable, "-c", CREATE_UNTIL_REFUSED, str(path), "aloud"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            for line in process.stdout:
                if line == "25\n":
                    break
            process.kill()
            confirmed = 25 + len(process.stdout.read().split())
        assert confirmed <= assert_whole(path) <= confirmed + 1


def test_errors_hold_no_hash(path):
    """What reaches a terminal or a log names no secret material."""
    with open_registry(path, busy_timeout=0.1) as registry:
        registry.create_resource(orders())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DROP TABLE client_secrets")
        with pytest.raises(StoreUnavailable) as caught:
            registry.create_client(new_client())
    text = f"{caught.value} {caught.value.__cause__}"
    assert "sha256" not in text
    assert "VALUES" not in text


def test_a_damaged_hash_is_reported_as_such(path):
    """A row that somebody edited is neither a right nor a wrong secret."""
    with open_registry(path) as registry:
        registry.create_resource(orders())
        registry.create_client(new_client())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE client_secrets SET hash = '$sha256$x'")
        with pytest.raises(RegistryError, match="hash is damaged"):
            registry.find_client("till")


def test_a_closed_registry_can_be_closed_again(path):
    """Shutdown paths may meet."""
    with open_registry(path) as registry:
        registry.version()
        registry.close()
