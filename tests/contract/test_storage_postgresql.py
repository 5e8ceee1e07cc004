"""The PostgreSQL engine: opening, upgrading, listening, and one clear line when it fails."""

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import closing
from urllib.parse import quote

import asyncpg
import pytest

from issuer.registry.errors import InvalidValue, SchemaMismatch, StoreUnavailable
from issuer.storage.database_url import open_database
from issuer.storage.engines.database import Statement
from issuer.storage.engines.postgresql_connection import PostgresConnector
from issuer.storage.registry import Registry, inspect_schema
from issuer.storage.schema import HEAD
from tests.support.migrations import migrate
from tests.support.provider import eventually, free_port
from tests.support.registry import NOW, RegistryHarness, new_client, orders
from tests.support.sqlite_registry import ROOT


def opened(url, **options):
    """Open a registry to be closed."""
    return closing(Registry.open(url, now=lambda: NOW, **options))


def assert_one_line(caught, *words):
    """The text is fit for a terminal."""
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


# ---- opening ----


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("@127", "x@127"), "refuses the user or password"),
        (lambda url: url + "_missing", "does not exist"),
        (lambda url: url.replace(url.split(":")[3].split("/")[0], str(free_port())), "reached"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(postgres_url, change, words):
    """Which database, what is wrong with it; the password is nobody's business."""
    url = change(postgres_url)
    with pytest.raises(StoreUnavailable) as caught, opened(url, upgrade=True):
        pass
    assert_one_line(caught, "the registry database postgresql://watchword", words)
    assert url.split(":")[2].split("@")[0] not in str(caught.value)


def _show(url, setting):
    with closing(open_database(url, timeout=5)) as database:
        return database.read_one(Statement(f"SHOW {setting}"))[0][0]


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://{user}@{folder}:{port}/{name}",
        "postgresql:///{name}?host={plain}&port={port}&user={role}&password={password}",
    ],
)
def test_a_socket_is_named_by_its_folder(postgres, postgres_url, form):
    """As libpq takes it: percent-encoded in the place of the host, or as an option."""
    user, _, place = postgres_url.removeprefix("postgresql://").partition("@")
    role, _, password = user.partition(":")
    folder = str(postgres.folder)
    url = form.format(
        user=user,
        role=role,
        password=password,
        plain=folder,
        folder=quote(folder, safe=""),
        port=postgres.port,
        name=place.partition("/")[2],
    )
    assert _show(url, "application_name") == "watchword"


def test_options_reach_the_server_or_the_connection(postgres_url):
    """Those of libpq that are for the server, and those that must not be sent to it."""
    url = postgres_url + (
        "?options=-c%20lock_timeout%3D1234&application_name=till&connect_timeout=5"
        "&channel_binding=prefer&gssencmode=disable&keepalives=0&sslmode=prefer&sslsni=1"
        "&target_session_attrs=read-write&client_encoding=utf8"
    )
    assert _show(url, "lock_timeout") == "1234ms"
    assert _show(url, "application_name") == "till"


def test_tls_is_not_given_up_quietly(postgres_url, tmp_path):
    """The tests' server has none: who asks for it is refused; a missing file is wrong usage."""
    with pytest.raises(StoreUnavailable):
        _show(postgres_url + "?sslmode=require", "application_name")
    with pytest.raises(InvalidValue, match="the file that sslrootcert names cannot be read"):
        _show(f"{postgres_url}?sslmode=verify-full&sslrootcert={tmp_path}/no.pem", "port")


def test_the_next_host_is_tried_when_one_does_not_answer(postgres_url):
    """Whether it refuses at once, is silent or is of a name that cannot be looked up."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{silent.getsockname()[1]},{'a' * 70},"
        url = postgres_url.replace("@", "@" + hosts) + "?connect_timeout=2"
        assert _show(url, "transaction_read_only") == "off"


def test_of_several_hosts_one_that_takes_changes_is_chosen(postgres, postgres_url):
    """A registry on a server that refuses changes is of no use."""
    name = postgres_url.rpartition("/")[2]
    postgres.run_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    place = postgres_url.partition("@")[2].partition("/")[0]
    with pytest.raises(StoreUnavailable, match="is read-only"):
        _show(postgres_url.replace("@", f"@{place},"), "port")
    assert _show(postgres_url, "transaction_read_only") == "on"


def test_any_password_works_percent_encoded(postgres, postgres_url):
    """Whatever is in it; and unescaped, no part of it is told."""
    password = "hunt@er22/#?%41:&=+ é'\\\""
    quoted = password.replace("'", "''")
    postgres.run_sql(f"CREATE ROLE odd LOGIN SUPERUSER PASSWORD '{quoted}'")
    rest = "@" + postgres_url.partition("@")[2]
    try:
        assert _show(f"postgresql://odd:{quote(password, safe='')}{rest}", "port")
        with pytest.raises(InvalidValue) as caught:
            _show(f"postgresql://odd:{password}{rest}", "port")
    finally:
        postgres.run_sql("DROP ROLE odd")
    assert "hunt" not in str(caught.value)


def test_a_missing_driver_is_named_with_the_command_to_run(monkeypatch):
    """The light installs have none."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    for module in ("postgresql", "postgresql_connection"):
        monkeypatch.delitem(sys.modules, f"issuer.storage.engines.{module}", raising=False)
    with pytest.raises(InvalidValue, match=r"watchword\[server,postgresql\]"):
        open_database("postgresql://localhost/x", timeout=1)


def test_an_empty_database_is_refused_until_it_is_upgraded(postgres_url):
    """Nobody upgrades a server's database by accident; looking changes nothing."""
    with (
        pytest.raises(SchemaMismatch, match=r"empty.*run: watchword db upgrade"),
        opened(postgres_url),
    ):
        pass
    assert inspect_schema(postgres_url) is None
    with opened(postgres_url, upgrade=True) as registry:
        assert registry.schema_revision() == HEAD
    with opened(postgres_url) as registry:
        assert RegistryHarness(registry).list_clients() == []


def test_a_newer_database_is_refused(postgres, postgres_url):
    """An old program must not write what it does not understand."""
    with opened(postgres_url, upgrade=True):
        pass
    name = postgres_url.rpartition("/")[2]
    postgres.run_sql("UPDATE alembic_version SET version_num = '0999'", name)
    with pytest.raises(SchemaMismatch), opened(postgres_url):
        pass
    with pytest.raises(SchemaMismatch, match="newer version"), opened(postgres_url, upgrade=True):
        pass


def test_a_database_of_something_else_is_left_alone(postgres, postgres_url):
    """A mistyped name must not cost another program its data."""
    name = postgres_url.rpartition("/")[2]
    postgres.run_sql("CREATE TABLE clients (theirs int)", name)
    with pytest.raises(SchemaMismatch, match="something else"), opened(postgres_url, upgrade=True):
        pass
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.run_sql(tables, name) == "clients"


@pytest.mark.parametrize("first", [True, False], ids=["from-0001", "from-nothing"])
def test_nodes_may_upgrade_at_once(postgres_url, first):
    """One does the work, the others wait and find it done."""
    if first:
        migrate(postgres_url, "0001")
    code = (
        "import sys\nfrom issuer.storage.registry import HEAD, Registry\nimport alembic.command\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "registry = Registry.open(sys.argv[1], now=lambda: 0, upgrade=True)\n"
        "assert registry.schema_revision() == HEAD\nregistry.close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, postgres_url],
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
    for process in processes:  # all at once: nobody waits for another's end
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended


# ---- the work of others ----


def test_a_change_that_waits_too_long_is_given_up(database_url, clock):
    """Changes come one at a time; the text says what to do."""
    held, go_on = threading.Event(), threading.Event()

    def hold(edit):
        held.set()
        assert go_on.wait(20)

    with (
        closing(Registry.open(database_url, now=clock)) as first,
        closing(Registry.open(database_url, now=clock, timeout=0.5)) as second,
    ):
        holder = threading.Thread(
            target=lambda: RegistryHarness(first).registry.change(hold, by=None)
        )
        holder.start()
        assert held.wait(20)
        with pytest.raises(StoreUnavailable) as caught:
            RegistryHarness(second).create_resource(orders())
        assert_one_line(caught, "try again")
        assert RegistryHarness(second).list_clients() == []  # readers are not held up
        go_on.set()
        holder.join()
        RegistryHarness(second).create_resource(orders())


def test_whoever_watches_is_told_of_changes_elsewhere(postgres_url):
    """Also after the connection that listened was cut."""
    told = threading.Event()
    with opened(postgres_url, upgrade=True) as watcher, opened(postgres_url) as other:
        watcher.watch(told.set)
        assert told.wait(20)  # once at the beginning: something may have been missed
        assert eventually(lambda: _hears(told, RegistryHarness(other)))


def test_listening_outlives_whatever_goes_wrong_in_it(postgres_url, monkeypatch):
    """Neither a bug in making the connection ends it, nor one in who is told, then or later."""
    told, connecting, telling = threading.Event(), ["a bug"], ["a bug", "a bug"]
    connect = PostgresConnector._connect_to

    async def fail_to_connect(self, host, port):
        if connecting:
            raise RuntimeError(connecting.pop())
        return await connect(self, host, port)

    def tell():
        if telling:
            raise RuntimeError(telling.pop())
        told.set()

    with opened(postgres_url, upgrade=True) as watcher, opened(postgres_url) as other:
        monkeypatch.setattr(PostgresConnector, "_connect_to", fail_to_connect)
        watcher.watch(tell)
        assert told.wait(20)
        assert eventually(lambda: _hears(told, RegistryHarness(other)))


def _hears(told, harness):
    told.clear()
    harness.create_resource(orders(identifier=f"urn:r{len(harness.list_resources())}"))
    return told.wait(1)


def test_a_restart_costs_the_next_call_nothing(postgres, postgres_url):
    """Connections that died are found dead before they are used."""
    with opened(postgres_url, upgrade=True) as registry:
        RegistryHarness(registry).create_resource(orders())
        postgres.stop("immediate")
        with pytest.raises(StoreUnavailable):
            RegistryHarness(registry).list_clients()
        postgres.start()
        assert len(RegistryHarness(registry).list_resources()) == 1
        RegistryHarness(registry).create_client(new_client())


def test_errors_hold_no_hash(postgres, postgres_url):
    """What reaches a terminal or a log names no secret material."""
    with opened(postgres_url, upgrade=True) as registry:
        RegistryHarness(registry).create_resource(orders())
        postgres.run_sql("DROP TABLE client_secrets", postgres_url.rpartition("/")[2])
        with pytest.raises(StoreUnavailable) as caught:
            RegistryHarness(registry).create_client(new_client())
    assert_one_line(caught, "cannot be used")
    assert "sha256" not in f"{caught.value} {caught.value.__cause__}"


def test_a_closed_registry_can_be_closed_again(postgres_url):
    """Shutdown paths may meet; what comes after the end is refused."""
    with opened(postgres_url, upgrade=True) as registry:
        for _ in range(2):
            registry.close()
        with pytest.raises(StoreUnavailable):
            registry.find_client("till")


def test_a_session_that_the_server_ended_is_not_used_again(postgres_url):
    """An error of a statement leaves the connection as it is, a fatal one ends it."""
    with closing(open_database(postgres_url, timeout=30)) as database:
        read = database.read_one
        session = "SELECT pg_backend_pid() AS pid"
        first = read(Statement(session))[0]["pid"]
        with pytest.raises(StoreUnavailable):
            read(Statement("SELECT 1 / 0"))
        assert read(Statement(session))[0]["pid"] == first
        with pytest.raises(StoreUnavailable):
            read(Statement("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert database._plain._idle == []
        assert read(Statement(session))[0]["pid"] != first


def test_a_confused_exchange_is_an_outage(postgres_url):
    """The driver has an error for it that is neither the server's nor one of misuse."""
    with closing(open_database(postgres_url, timeout=30)) as database:
        with pytest.raises(StoreUnavailable) as caught, database.explained():
            raise asyncpg.InternalClientError("cannot switch to state 12")
        assert_one_line(caught, "in the middle of an exchange; try again")


def test_a_cancellation_that_is_swallowed_does_not_delay_the_end(postgres_url, monkeypatch):
    """As `asyncio.wait_for` may do it when what it waits for is done at the same moment."""
    connecting = threading.Event()

    async def connect():
        connecting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("swallowed") from None

    database = open_database(postgres_url, timeout=30)
    monkeypatch.setattr(database.connector, "connect", connect)
    database.watch(lambda: None)
    assert connecting.wait(30)
    closing_thread = threading.Thread(target=database.close, daemon=True)
    closing_thread.start()
    closing_thread.join(30)
    assert not closing_thread.is_alive()
