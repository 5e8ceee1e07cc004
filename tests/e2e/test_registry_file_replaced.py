"""A running provider whose SQLite file is deleted, and replaced by a backup."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.provider import eventually, make_place, running


@pytest.mark.alone
def test_a_file_that_is_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    """`/readyz` says so, no change is lost in it, and the backup's word counts at once."""
    place = make_place(tmp_path)
    place.add_key()
    client = place.json("clients", "create", "till", "--scope", "read")
    file = next(tmp_path.rglob("registry.db"))
    backup = file.with_name("backup.db")
    assert place.run("clients", "disable", "till").returncode == 0
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    backup.chmod(0o600)
    assert place.run("clients", "enable", "till").returncode == 0
    with running(place, "--workers", "2"):
        for _ in range(8):
            assert place.ask(client).status_code == 200
        file.unlink()
        failing = {"status": "unavailable", "failing": ["registry"]}
        assert eventually(
            lambda: all(place.get("/readyz").json() == failing for _ in range(8)), within=3
        )
        assert place.ask(client | {"client_secret": "wrong"}).status_code == 503
        assert not file.exists()
        backup.rename(file)
        assert eventually(
            lambda: {place.ask(client).status_code for _ in range(8)} == {401}, within=2
        )
        assert eventually(place.is_ready)
        assert place.run("clients", "enable", "till").returncode == 0
        assert eventually(lambda: place.ask(client).status_code == 200, within=2)
