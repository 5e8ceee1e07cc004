"""A database that is replaced, deleted or failed over while it is used: no old word counts."""

import sqlite3
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.registry.view import ClientView
from issuer.storage.registry import Registry
from issuer.storage.source import Follower, ThreadedSource
from tests.support.postgresql import PostgresServer
from tests.support.provider import eventually
from tests.support.registry import NOW, TESTER, RegistryHarness, new_client, orders

pytestmark = pytest.mark.alone


def opened(url, **options):
    """Open a registry to be closed."""
    return closing(Registry.open(url, now=lambda: NOW, **options))


@contextmanager
def worker(url):
    """Follow a registry as a worker of the server does."""
    with opened(url) as registry, closing(ThreadedSource(registry)) as source:
        view = ClientView(source)
        yield RegistryHarness(registry), view, Follower(view)


def fill(url):
    """Register two clients."""
    with opened(url, upgrade=True) as registry:
        RegistryHarness(registry).create_resource(orders())
        for name in ("till", "other"):
            RegistryHarness(registry).create_client(new_client(name))


def disable(url, client_id):
    """Disable a client from another process."""
    with opened(url) as registry:
        RegistryHarness(registry).set_disabled(client_id, True)


def replace_file(url, postgres):
    """Give a copy of a file, and what puts it in the place of the file."""
    path = Path(url.removeprefix("sqlite:///"))
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.chmod(0o600)
    return f"sqlite:///{copy}", lambda: copy.rename(path)


def replace_database(url, postgres):
    """Give a copy of a database, and what puts it in the place of the database."""
    copy = postgres.new_database(like=url)
    names = [each.rpartition("/")[2] for each in (url, copy)]

    def replace():
        postgres.run_sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE datname = '{names[0]}';"
            f"ALTER DATABASE {names[0]} RENAME TO {names[0]}_before;"
            f"ALTER DATABASE {names[1]} RENAME TO {names[0]};"
            f"DROP DATABASE {names[0]}_before;"
        )

    return copy, replace


async def test_a_backup_whose_feed_has_the_same_number_is_read_anew(database_url, request):
    """It was put in place under two workers; what it says counts for both, and nothing is lost."""
    fill(database_url)
    sqlite = database_url.startswith("sqlite")
    postgres = None if sqlite else request.getfixturevalue("postgres")
    copy, put_in_place = (replace_file if sqlite else replace_database)(database_url, postgres)
    with worker(database_url) as one, worker(database_url) as two:
        disable(database_url, "other")
        disable(copy, "till")
        for harness, view, follower in (one, two):
            await view.fetch("till")
            await follower.look()
            assert not view.get_cached("till").registration.disabled
            assert harness.find_client("other").registration.disabled
        put_in_place()
        for harness, view, follower in (one, two):
            with suppress(StoreUnavailable):  # the connection may have been cut in the middle
                await follower.look()
            await follower.look()
            assert view.get_cached("till").registration.disabled
            assert not harness.find_client("other").registration.disabled
            harness.create_client(new_client(f"later-{id(harness)}"))
    with opened(database_url) as registry:
        assert len(RegistryHarness(registry).list_clients()) == 4


@pytest.fixture
def file(tmp_path):
    """Name a file that holds two clients."""
    fill(f"sqlite:///{tmp_path / 'registry.db'}")
    return tmp_path / "registry.db"


async def test_a_file_that_was_deleted_takes_nothing_until_it_is_back(file):
    """Neither is a change lost in it, nor is an empty one made in its place."""
    with worker(f"sqlite:///{file}") as (harness, view, follower):
        await view.fetch("till")
        await follower.look()
        file.rename(file.with_name("elsewhere"))
        for use in (
            lambda: harness.set_disabled("till", True),
            lambda: harness.find_client("till"),
        ):
            with pytest.raises(StoreUnavailable, match="was deleted or moved"):
                use()
        with pytest.raises(StoreUnavailable):
            await follower.look()
        assert not file.exists()
        assert view.get_cached("till") is not None  # as through any outage
        file.with_name("elsewhere").rename(file)
        await follower.look()
        harness.set_disabled("till", True)
        await follower.look()
        assert view.get_cached("till").registration.disabled


@pytest.mark.parametrize("replaced", [False, True])
def test_a_change_whose_file_goes_meanwhile_is_not_confirmed(file, replaced):
    """It was written where nobody will read it."""

    def work(edit):
        disabled = replace(edit.require_client("till").registration, disabled=True)
        edit.replace_client(disabled)
        file.rename(file.with_name("elsewhere"))
        if replaced:
            file.touch(0o600)

    with (
        opened(f"sqlite:///{file}") as registry,
        pytest.raises(StoreUnavailable, match="nothing written counts"),
    ):
        registry.change(work, by=TESTER)


@pytest.mark.postgresql
async def test_a_change_is_in_force_within_a_second_of_a_failover():
    """The connections of before reach a server that is demoted; none of them is used again."""
    with ExitStack() as stack:
        primary = stack.enter_context(closing(PostgresServer()))
        name = primary.new_database().rpartition("/")[2]
        fill(primary.url_of(name))
        standby = stack.enter_context(closing(PostgresServer(standby_of=primary)))
        both = primary.url_of(name).replace("/" + name, f",127.0.0.1:{standby.port}/{name}")
        harness, view, follower = stack.enter_context(worker(both))
        await view.fetch("till")
        await follower.look()
        assert not view.get_cached("till").registration.disabled
        primary.run_sql("ALTER SYSTEM SET default_transaction_read_only = on")
        primary.run_sql("SELECT pg_reload_conf()")
        assert eventually(lambda: not _writes(primary))
        standby.promote()
        disable(standby.url_of(name), "till")
        with suppress(StoreUnavailable):  # the look that finds the server demoted
            await follower.look()
        await follower.look()
        assert view.get_cached("till").registration.disabled
        assert harness.find_client("till").registration.disabled
        harness.set_disabled("other", True)  # a change goes to the new primary at once
        with opened(standby.url_of(name)) as registry:
            assert registry.find_client("other").registration.disabled


@pytest.mark.postgresql
async def test_a_server_that_is_demoted_without_another_is_an_outage():
    """What it says may be outdated: known clients are served as in any outage, others are not."""
    with closing(PostgresServer()) as server:
        url = server.new_database()
        fill(url)
        with worker(url) as (harness, view, follower):
            await view.fetch("till")
            await follower.look()
            server.run_sql("ALTER SYSTEM SET default_transaction_read_only = on")
            server.run_sql("SELECT pg_reload_conf()")
            assert eventually(lambda: not _writes(server))
            with pytest.raises(StoreUnavailable, match="read-only"):
                await follower.look()
            with pytest.raises(StoreUnavailable, match="read-only"):
                harness.find_client("other")
            assert view.get_cached("till") is not None
            server.run_sql("SET default_transaction_read_only = off; ALTER SYSTEM RESET ALL;")
            server.run_sql("SELECT pg_reload_conf()")
            assert eventually(lambda: _writes(server))
            await follower.look()
            assert harness.find_client("other") is not None


def _writes(server):
    return server.run_sql("SHOW default_transaction_read_only") == "off"
