"""`issuer.storage` on SQLite files that are locked, full, damaged or half-written."""

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from issuer.registry.errors import RegistryError, StoreUnavailable
from tests.support.registry import new_client, orders
from tests.support.sqlite_registry import ROOT, open_registry, run_python


@pytest.fixture
def path(tmp_path):
    """Name a file that does not exist yet."""
    return tmp_path / "registry.db"


def assert_one_line(caught, *words):
    """The text is fit for a terminal."""
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_a_locked_database_is_given_up_after_the_timeout(path):
    """A writer waits its time and then says why; readers are not held up at all."""
    with open_registry(path, timeout=0.1) as registry:
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
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(StoreUnavailable) as caught,
            open_registry(path, timeout=0.1),
        ):
            pass
        assert_one_line(caught, "locked by another process")


def test_a_file_that_is_no_database_is_named(path):
    """It is left as it is."""
    path.touch(mode=0o600)
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
from tests.support.registry import RegistryHarness, new_client, orders
done = 0
try:
    registry = RegistryHarness(Registry.open('sqlite:///' + sys.argv[1], now=lambda: 0))
    registry.ensure_resources(orders())
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
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k,mode=700", "tmpfs", str(folder)]
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
        os.chown(path, 65534, 65534)
        path.chmod(0o400)
        said = run_python(
            "import os, sys, issuer.storage.engines.sqlite, issuer.storage.registry\n"
            "import issuer.storage.edit\n"
            "import tests.support.registry\n"
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
    with open_registry(path, timeout=0.1) as registry:
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


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_a_file_that_others_can_open_is_refused(path, suffix):
    """Hashes are in it, and SQLite applies a log that lies beside it whoever wrote that."""
    with open_registry(path):
        pass
    opened = path.with_name(path.name + suffix)
    opened.touch()
    opened.chmod(0o666)

    with pytest.raises(StoreUnavailable) as caught, open_registry(path):
        pass
    assert_one_line(caught, f"chmod 600 {opened}")


def test_a_folder_in_which_others_can_replace_the_file_is_refused(path):
    """Nothing is made there either."""
    path.parent.chmod(0o777)

    with pytest.raises(StoreUnavailable) as caught, open_registry(path):
        pass
    assert_one_line(caught, f"chmod 700 {path.parent}")
    assert list(path.parent.iterdir()) == []


def test_a_link_to_a_file_is_judged_by_where_it_leads(path, tmp_path):
    """SQLite has its log beside the file, not beside the link: both folders and all files count."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    path.symlink_to(elsewhere / "real.db")
    with pytest.raises(StoreUnavailable) as caught, open_registry(path):
        pass
    assert_one_line(caught, f"chmod 700 {elsewhere}")
    assert list(elsewhere.iterdir()) == []

    elsewhere.chmod(0o700)
    with open_registry(path):
        pass
    log = elsewhere / "real.db-wal"
    log.touch()
    log.chmod(0o666)
    with pytest.raises(StoreUnavailable) as caught, open_registry(path):
        pass
    assert_one_line(caught, f"chmod 600 {log}")
