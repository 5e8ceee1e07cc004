"""The PostgreSQL server of the tests is a real one, keeps what is committed, and cleans up."""

import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.support.command import ROOT, clean_environment
from tests.support.provider import eventually

LEFT_ALONE = """
from tests.support.postgresql import PostgresServer
server = PostgresServer()
print(server.folder, server.port, flush=True)
input()
"""


async def fetch(url, query):
    """Return one value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_fresh_database_is_empty_and_writable(postgres_url):
    """Nothing is in it; the role of the URL may write there and rules nothing else."""
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert await fetch(postgres_url, tables) == 0
    await fetch(postgres_url, "CREATE TABLE note AS SELECT 'äöü' AS text")
    assert await fetch(postgres_url, "SELECT text FROM note") == "äöü"
    powers = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = user"
    assert await fetch(postgres_url, powers) is False


async def test_databases_share_nothing(postgres, postgres_url):
    """What one test writes, no other test sees; and nobody enters without the password."""
    other = postgres.new_database()
    await fetch(postgres_url, "CREATE TABLE note ()")
    assert await fetch(other, "SELECT to_regclass('note')") is None
    postgres.drop_database(other)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await fetch(other, "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_url, password="wrong")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_keeps_the_port_and_what_is_committed(postgres, postgres_url, mode):
    """Sessions break, the address is dead, then it is there again with the data."""
    session = await asyncpg.connect(postgres_url)
    await session.execute("CREATE TABLE note AS SELECT 42 AS number")
    postgres.stop(mode)
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await session.fetchval("SELECT 1")
    with pytest.raises(ConnectionRefusedError):
        await fetch(postgres_url, "SELECT 1")
    postgres.start()
    assert await fetch(postgres_url, "SELECT number FROM note") == 42


def test_nothing_is_left_when_the_tests_are_killed(postgres):
    """Not even a kill leaves a server or its data behind."""
    tests = subprocess.Popen(
        [sys.executable, "-c", LEFT_ALONE],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    folder, port = tests.stdout.readline().split()
    socket.create_connection(("127.0.0.1", int(port))).close()
    tests.kill()
    tests.communicate()
    assert eventually(lambda: not Path(folder).exists())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
