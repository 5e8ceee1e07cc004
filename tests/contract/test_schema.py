"""The schema, on every engine: made at once or migrated step by step, it is the same."""

import sqlite3
import stat
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue, SchemaMismatch
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.storage.database_url import open_database
from issuer.storage.reading import RegistryReading
from issuer.storage.registry import Registry
from issuer.storage.schema import HEAD
from issuer.storage.tables import PARTIAL_INDEXES, metadata
from tests.support.migrations import migrate
from tests.support.registry import NOW, RegistryHarness, new_client, orders


@pytest.fixture(params=["sqlite", "postgresql"])
def two_urls(request, tmp_path):
    """Name two databases that are empty, on each engine."""
    if request.param == "sqlite":
        yield [f"sqlite:///{tmp_path / name}.db" for name in ("migrated", "made")]
        return
    postgres = request.getfixturevalue("postgres")
    urls = [postgres.new_database(), postgres.new_database()]
    yield urls
    for url in urls:
        postgres.drop_database(url)


def opened(url, **options):
    """Open a registry to be closed."""
    return closing(Registry.open(url, now=lambda: NOW, **options))


def reflected(connection):
    """Tell all that a database knows of its tables, whatever the order of their columns."""
    seen = inspect(connection)
    return {
        table: {
            "columns": {
                each["name"]: (
                    each["type"].compile(connection.dialect),
                    each["nullable"],
                    each["default"],
                )
                for each in seen.get_columns(table)
            },
            "key": seen.get_pk_constraint(table),
            "foreign": sorted(map(repr, seen.get_foreign_keys(table))),
            "unique": sorted(map(repr, seen.get_unique_constraints(table))),
            "indexes": sorted(map(_index, seen.get_indexes(table))),
        }
        for table in seen.get_table_names()
    }


def _index(index):
    conditions = {name: str(value) for name, value in index["dialect_options"].items()}
    return repr((index["name"], index["column_names"], index["unique"], conditions))


def look(url, work):
    """Read a database."""
    with closing(open_database(url, timeout=30)) as database:
        return database.read(work)


def test_a_made_schema_is_the_migrated_one(two_urls):
    """Names, types, defaults, keys and indexes: nobody can tell which way it came."""
    migrated, made = two_urls
    migrate(migrated, "0001")
    for url in (migrated, made):
        with opened(url, upgrade=True) as registry:
            assert registry.schema_revision() == HEAD
    found = look(migrated, reflected)
    assert found == look(made, reflected)
    assert set(metadata.tables) | {"alembic_version"} == set(found)


def test_every_registry_has_an_epoch_of_its_own(two_urls):
    """Made or migrated: the numbers of two change feeds are never taken for each other's."""
    migrated, made = two_urls
    migrate(migrated, "0002")
    for url in (migrated, made):
        with opened(url, upgrade=True):
            pass
    first, second = (look(url, lambda it: RegistryReading(it).identity()) for url in two_urls)
    assert (first.issuer, second.issuer) == (None, None)
    assert len(first.epoch) == len(second.epoch) == 32
    assert first.epoch != second.epoch


def test_the_migrations_make_the_tables_that_the_code_uses(two_urls):
    """Tables and migrations are written twice and must agree, types and collations included.

    Partial indexes are left to the comparison of databases: the tables do not have them.
    """
    url = two_urls[0]
    migrate(url, HEAD)
    partial = {statement.split()[2] for each in PARTIAL_INDEXES.values() for statement in each}
    options = {
        "compare_type": True,
        "include_object": lambda _object, name, *_: name not in partial,
    }
    differences = look(
        url,
        lambda connection: compare_metadata(
            MigrationContext.configure(connection, opts=options), metadata
        ),
    )
    assert differences == []


def test_an_older_schema_is_upgraded_only_when_asked_and_a_copy_is_kept(tmp_path):
    """The copy is the database as it was, its log included, for the owner alone."""
    path, told = tmp_path / "old.db", []
    migrate(f"sqlite:///{path}", "0002")
    content = path.read_bytes()
    for options in ({}, {"reading": True}):
        with pytest.raises(SchemaMismatch, match="run: watchword db upgrade"):
            opened(f"sqlite:///{path}", **options)
    assert path.read_bytes() == content
    with closing(sqlite3.connect(path)) as other:  # its change is still in the log
        other.execute("INSERT INTO resources VALUES (1, 'urn:a', 60, 5, 6, NULL, 0, 0, 0)")
        other.commit()
        options = {
            "upgrade": True,
            "announce": lambda *event, **fields: told.append((event, fields)),
        }
        with opened(f"sqlite:///{path}", **options) as registry:
            assert registry.schema_revision() == HEAD
    copy = tmp_path / "old.db.schema-0002"
    assert told == [(("registry.upgraded",), {"schema": HEAD, "before": "0002", "copy": str(copy)})]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
        assert kept.execute("SELECT identifier FROM resources").fetchall() == [("urn:a",)]
    with opened(f"sqlite:///{path}", upgrade=True):
        assert len(told) == 1


OF_0004 = (
    "INSERT INTO resources (resource_id, identifier, token_ttl, created_at, updated_at,"
    " signing_alg, dpop_required, certificate_required, revision)"
    " VALUES (1, 'urn:a', 60, 5, 6, 'RS256', true, false, 2),"
    " (2, 'urn:b', NULL, 5, 6, NULL, false, true, 3)",
    "INSERT INTO resource_scopes VALUES (1, 'write', 0), (1, 'read', 1), (2, 'bill', 0)",
    "INSERT INTO clients (client_id, display_name, auth_method, token_ttl, disabled, created_at,"
    " updated_at, material, grant_types, dpop_bound, certificate_bound, expires_at, notes,"
    " revision, registration_access_hash) VALUES"
    " ('full', 'Kasse №1', 'private_key_jwt', 9, true, 7, 8,"
    """ '{"jwks_uri": "https://keys.example/jwks"}', 'client_credentials', true, true,"""
    """ 1800000000, '{"team": {"size": 3, "name": null}}', 4, 'hash'),"""
    " ('bare', NULL, 'client_secret_basic', NULL, false, 7, 8, NULL, '', false, false, NULL, NULL,"
    " 5, NULL),"
    """ ('card', NULL, 'tls_client_auth', NULL, false, 7, 8, '{"tls_client_auth_san_ip": "::1"}',"""
    " 'client_credentials', false, false, NULL, NULL, 6, NULL)",
    "INSERT INTO client_grants VALUES ('full', 2, 0), ('full', 1, 1)",
    "INSERT INTO client_grant_scopes (client_id, resource_id, scope, is_default, position)"
    " VALUES ('full', 1, 'read', true, 1), ('full', 1, 'write', false, 0),"
    " ('full', 2, 'bill', true, 0)",
)
FULL = ClientRegistration(
    client_id="full",
    client_name="Kasse №1",
    token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
    jwks_uri="https://keys.example/jwks",
    grants=(
        ResourcePermission(resource="urn:b", scopes=("bill",)),
        ResourcePermission(resource="urn:a", scopes=("write", "read"), default_scopes=("read",)),
    ),
    token_ttl=9,
    dpop_bound_access_tokens=True,
    tls_client_certificate_bound_access_tokens=True,
    disabled=True,
    expires_at=1_800_000_000,
    metadata={"team": {"size": 3, "name": None}},
)
CARD = ClientRegistration(
    client_id="card",
    token_endpoint_auth_method=AuthMethod.TLS_CLIENT_AUTH,
    tls_client_auth_san_ip="::1",
)


def test_what_had_columns_of_its_own_is_in_the_registration(two_urls):
    """Schema 0005 has one column for what 0004 had many for; nothing is lost or set anew."""
    url = two_urls[0]
    migrate(url, "0004")

    def fill(connection):
        for statement in OF_0004:
            connection.exec_driver_sql(statement)

    with closing(open_database(url, timeout=30)) as database:
        database.change(fill)
    with opened(url, upgrade=True) as registry:
        full, bare, card = (registry.find_client(name) for name in ("full", "bare", "card"))
        assert RegistryHarness(registry).list_clients() == [bare, card, full]
        resources = {
            each.resource.resource: each for each in RegistryHarness(registry).list_resources()
        }
    assert (full.registration, card.registration) == (FULL, CARD)
    assert bare.registration == ClientRegistration(client_id="bare", grant_types=())
    assert (full.created_at, full.updated_at, full.revision) == (7, 8, 4)
    policy = {"token_ttl": 60, "signing_alg": "RS256", "dpop_bound_access_tokens_required": True}
    bound = {"tls_client_certificate_bound_access_tokens": True}
    assert full.policies == {"urn:a": TokenPolicy(**policy), "urn:b": TokenPolicy(**bound)}
    assert resources["urn:a"].resource == orders("write", "read", identifier="urn:a", **policy)
    assert resources["urn:b"].resource == orders("bill", identifier="urn:b", **bound)
    kept = look(
        url,
        lambda connection: connection.exec_driver_sql(
            "SELECT registration_access_hash FROM clients WHERE client_id = 'full'"
        ).scalar(),
    )
    assert kept == "hash"


def test_a_registration_that_is_damaged_is_refused(two_urls):
    """A client is read as its registration says or not at all, whoever wrote into the database."""
    url = two_urls[0]
    with opened(url, upgrade=True) as registry:
        desk = RegistryHarness(registry)
        desk.create_resource(orders())
        desk.create_client(new_client())
    for damage in (
        """'{"token_ttl": 0}'""",
        """'{"token_endpoint_auth_method": "client_secret_basic", "colour": "red"}'""",
        """'{"token_endpoint_auth_method": "private_key_jwt"}'""",
        """'{}'""",
        """'[]'""",
    ):

        def spoil(connection, damage=damage):
            connection.exec_driver_sql(f"UPDATE clients SET registration = {damage}")

        with closing(open_database(url, timeout=30)) as database:
            database.change(spoil)
        with opened(url) as registry, pytest.raises(InvalidValue, match="of client till"):
            registry.find_client("till")


def test_a_registry_of_the_first_version_keeps_all_it_has(tmp_path):
    """What 0001 stored reads after the upgrade as it did before."""
    path = tmp_path / "old.db"
    migrate(f"sqlite:///{path}", "0001")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            INSERT INTO resources VALUES (1, 'urn:a', 60, 5, 6);
            INSERT INTO resource_scopes VALUES (1, 'write', 0), (1, 'read', 1);
            INSERT INTO clients VALUES ('old', 'Old', 'client_secret_post', 9, 1, 7, 8);
            INSERT INTO client_grants VALUES ('old', 1, 0);
            INSERT INTO client_grant_scopes VALUES ('old', 1, 'read', 1), ('old', 1, 'write', 1);
            INSERT INTO client_secrets VALUES ('old', 'ab', '$sha256$', 0, 7, 7, NULL);
            """
        )
        hashed = new_client().secret_hash.text
        connection.execute("UPDATE client_secrets SET hash = ?", (hashed,))
        connection.commit()
    with opened(f"sqlite:///{path}", upgrade=True) as registry:
        assert registry.schema_revision() == HEAD
        client = registry.find_client("old")
        resource = RegistryHarness(registry).find_resource("urn:a").resource
    assert (client.registration.client_name, client.registration.token_ttl) == ("Old", 9)
    assert client.registration.disabled
    assert (client.grants[0].scopes, client.grants[0].default_scopes) == (("write", "read"), None)
    assert client.registration.grant_types == ("client_credentials",)
    assert client.secrets[0].hash.text == hashed
    assert resource == orders("write", "read", identifier="urn:a", token_ttl=60)
