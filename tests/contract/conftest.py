"""The registry on every engine: each test that asks for one runs on all of them."""

import secrets
import shutil
from contextlib import closing

import pytest

from issuer.administration.local import Administration
from issuer.storage.registry import Registry
from tests.support.registry import NOW, RESOURCE, TESTER, RegistryHarness, orders


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """Make one SQLite file with the schema, to be copied by each test."""
    path = tmp_path_factory.mktemp("migrated") / "registry.db"
    Registry.open(f"sqlite:///{path}", now=lambda: NOW).close()
    return path


@pytest.fixture(scope="session")
def migrated_database(postgres):
    """Make one PostgreSQL database with the schema, to be copied by each test."""
    url = postgres.new_database()
    Registry.open(url, now=lambda: NOW, upgrade=True).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """Name a database with the schema and without content, once for each engine."""
    if request.param == "sqlite":
        migrated = request.getfixturevalue("migrated_file")
        yield f"sqlite:///{shutil.copy(migrated, tmp_path / 'registry.db')}"
        return
    postgres = request.getfixturevalue("postgres")
    postgres.start()  # a test that stopped it may have failed before it was started again
    url = postgres.new_database(like=request.getfixturevalue("migrated_database"))
    yield url
    postgres.start()
    postgres.drop_database(url)


@pytest.fixture
def clock():
    """Give a clock that is turned by hand."""
    return Clock()


@pytest.fixture
def events():
    """Give the list of what is announced."""
    return []


@pytest.fixture
def registry(database_url, clock, events):
    """Give a registry with one resource."""

    def announce(event, /, **fields):
        events.append((event, fields))

    with closing(Registry.open(database_url, now=clock, announce=announce, timeout=30)) as opened:
        opened.ensure_resources(orders())
        events.clear()
        yield RegistryHarness(opened)


@pytest.fixture
def another(registry, database_url, clock):
    """Give the same registry as another process has it."""
    with closing(Registry.open(database_url, now=clock, timeout=30)) as opened:
        yield RegistryHarness(opened)


@pytest.fixture
def administer(registry, clock):
    """Return a function that gives somebody the operations."""

    def give(by=TESTER, **options):
        return Administration(
            registry.registry,
            by=by,
            now=clock,
            random_bytes=secrets.token_bytes,
            default_resource=RESOURCE,
            **options,
        )

    return give


@pytest.fixture
def operations(administer):
    """Give the operations of whoever has the database."""
    return administer()
