"""A node of the last schema's version goes on while the schema is upgraded and a new node joins."""

import os
import subprocess

import pytest

from issuer.storage.schema import HEAD, MIGRATIONS
from tests.e2e.test_failover import asked_all_the_time, issued
from tests.e2e.test_two_nodes import settings_of_nodes
from tests.support.command import ROOT, document
from tests.support.provider import eventually, make_place, running

pytestmark = pytest.mark.alone


@pytest.fixture
def last_version(tmp_path):
    """Unpack the product as it was before the newest migration came to it."""
    (newest,) = MIGRATIONS.glob(f"versions/{HEAD}_*.py")
    since = git("log", "--diff-filter=A", "--format=%H", "--", str(newest)).decode().split()
    if not since:
        assert "CI" not in os.environ, "CI needs a clone with its history"
        pytest.skip("there is no history here to take the last version from")
    folder = tmp_path / "last-version"
    folder.mkdir()
    packages = ("consumer", "issuer", "keys", "resource_api", "watchword")
    files = git("archive", f"{since[-1]}^", *packages)
    subprocess.run(["tar", "-x"], cwd=folder, input=files, check=True)
    return folder


def git(*arguments):
    """Ask the repository."""
    asked = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return asked.stdout


def test_no_request_fails_while_the_schema_is_upgraded(tmp_path, postgres_url, last_version):
    """Nor is a change of the new version unknown to the old one: a migration only adds."""
    (tmp_path / "new").mkdir()
    settings = settings_of_nodes(postgres_url)
    old = make_place(tmp_path, **settings, PYTHONPATH=str(last_version))
    new = make_place(tmp_path / "new", **settings, WATCHWORD_ISSUER=old.url)
    for command in (("db", "upgrade"), ("keys", "generate")):
        assert old.run(*command, cold=True).returncode == 0
    assert "run: watchword db upgrade" in new.run("clients", "list").stderr
    with running(old, "--only", "issuer", cold=True):
        created = old.run("clients", "create", "till", "--scope", "read", "--json", cold=True)
        client = document(created)
        with asked_all_the_time((old,), client) as (statuses, _):
            issued(old, client)
            assert new.run("db", "upgrade").returncode == 0
            with running(new, "--only", "issuer"), asked_all_the_time((new,), client) as (more, _):
                later = new.json("clients", "create", "later", "--scope", "read")
                for node in (old, new):
                    issued(node, later)
                assert new.run("clients", "disable", "later").returncode == 0
                assert eventually(lambda: old.ask(later).status_code == 401, within=1)
                asked = statuses[200], more[200]
                assert eventually(lambda: statuses[200] > asked[0] and more[200] > asked[1])
        assert set(statuses | more) == {200}
