"""Registries of a million clients, made by four set-based statements, the same in both engines."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, String, cast, delete, insert, literal, select, true

from bench.served import Prepared
from issuer.storage.database_url import open_database
from issuer.storage.tables import client_grant_scopes, client_grants, client_secrets, clients
from tests.support.postgresql import NoPostgres, PostgresServer

ENGINES = ("sqlite", "postgresql")
_TIMEOUT = 900.0


def member(number: int) -> str:
    """Name a client of a crowd; they are counted from 1."""
    return f"client-{number}"


def spread(count: int, of: int, *, first: int = 1) -> list[str]:
    """Name so many clients, evenly over a crowd, from the number `first` on."""
    step = of // count
    return [member(first + step * place) for place in range(count)]


def fill(data: Prepared, count: int, server: PostgresServer | None = None) -> None:
    """Put copies of the prepared client in its place, all with its secret, and ANALYZE."""
    with ExitStack() as stack:
        if data.database_url is not None and server is not None:
            stack.enter_context(_unchecked(server, data.database_url))
        database = stack.enter_context(closing(open_database(data.registry_url, timeout=_TIMEOUT)))
        database.change(lambda connection: _copy(connection, data.client_id, count))
        database.change(lambda connection: connection.exec_driver_sql("ANALYZE"))


@contextmanager
def _unchecked(server: PostgresServer, url: str) -> Iterator[None]:
    """Spare new sessions the foreign keys: row by row they take most of the time."""
    name = url.rpartition("/")[2]
    server.run_sql(f"ALTER DATABASE {name} SET session_replication_role = replica")
    yield
    server.run_sql(f"ALTER DATABASE {name} RESET session_replication_role")
    server.run_sql("VACUUM", name)  # else the server does so while something is measured


def _copy(connection: Connection, original: str, count: int) -> None:
    series = select(literal(1).label("n")).cte("series", recursive=True)
    series = series.union_all(select(series.c.n + 1).where(series.c.n < count))
    name = literal("client-") + cast(series.c.n, String)
    tables = (clients, client_grants, client_grant_scopes, client_secrets)
    for table in tables:
        others = [column for column in table.c if column.name != "client_id"]
        copies = select(name, *others).select_from(table.join(series, true()))
        connection.execute(
            insert(table).from_select(
                ["client_id", *(column.name for column in others)],
                copies.where(table.c.client_id == original),
            )
        )
    for table in reversed(tables):  # without foreign keys nothing goes with its client
        connection.execute(delete(table).where(table.c.client_id == original))


def start_postgresql() -> PostgresServer:
    """Start a server of the bench's own; the caller closes it.

    Raises:
        SystemExit: there is none on this machine, so that half of the bench would go unmeasured.
    """
    try:
        return PostgresServer()
    except NoPostgres as error:
        raise SystemExit(f"bench: BOTH ENGINES ARE NEEDED, {error}") from None


def new_url(engine: str, server: PostgresServer) -> str | None:
    """Name an empty database for `prepared`; None for a file of its own."""
    return None if engine == "sqlite" else server.new_database()


def resident_mb(pid: int) -> float:
    """Read how much memory a process holds now (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the process has gone")
