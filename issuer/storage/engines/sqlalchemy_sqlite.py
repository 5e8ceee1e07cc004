"""SQLAlchemy over connections to SQLite: imported once something is administered."""

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, StaticPool, create_engine, event

from issuer.storage.engines.database import T, Work

_WRITES = "watchword_writes"
"""Execution option of transactions that will write."""


def sqlite_engine(connect: Callable[[], sqlite3.Connection], *, shared: bool) -> Engine:
    """Return an engine over SQLite.

    Args:
        connect: opens a connection without a transaction of the driver's own.
        shared: `connect` always returns the same one.
    """
    options: dict[str, Any] = {"poolclass": StaticPool}
    if not shared:  # as many as there are threads: none waits for another's
        options = {"poolclass": QueuePool, "max_overflow": -1}
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        hide_parameters=True,  # secret hashes stay out of error texts
        **options,
    )
    event.listen(engine, "begin", _begin)
    return engine


def run_in_sqlite(engine: Engine, work: Work[T], *, writes: bool) -> T:
    """Run work in one transaction."""
    with engine.execution_options(**{_WRITES: writes}).begin() as connection:
        return work(connection)


def _begin(connection: Connection) -> None:
    # A deferred transaction that turns into a writer can fail halfway, when another has written
    # since its first read. IMMEDIATE takes the write lock at once, waiting up to the busy timeout.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
