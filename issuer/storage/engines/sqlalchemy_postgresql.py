"""SQLAlchemy over connections to PostgreSQL: imported once something is administered.

Its greenlets let the same synchronous code run over asyncpg.
"""

from typing import Any

import sqlalchemy.dialects.postgresql.asyncpg  # noqa: F401 - SQLAlchemy would only at first use
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from issuer.storage.engines.database import T, Work
from issuer.storage.engines.postgresql_connection import PostgresConnector

_CONNECTIONS = 2
"""Beside those of the plain statements."""


class PostgresEngine:
    """An engine over asyncpg, all of whose methods run on one event loop.

    Args:
        connector: makes the connections.
    """

    def __init__(self, connector: PostgresConnector) -> None:
        self._connector = connector
        self._writing = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connector.connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=connector.timeout,
            hide_parameters=True,  # secret hashes stay out of error texts
        )
        event.listen(self._writing.sync_engine, "connect", self._note_generation)
        event.listen(self._writing.sync_engine, "checkout", self._pass_over)
        # A transaction of several readings sees one state; those that write wait for each other
        # first, and must see what the one before has written.
        self._reading = self._writing.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    async def read(self, work: Work[T]) -> T:
        """Run work that sees one state of the database throughout."""
        return await _run(self._reading, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in one transaction that writes."""
        return await _run(self._writing, work)

    async def close(self) -> None:
        """Close the connections."""
        await self._writing.dispose()

    def _note_generation(self, _connection: object, record: Any) -> None:  # noqa: ANN401
        record.info["generation"] = self._connector.generation

    def _pass_over(self, connection: Any, record: Any, _proxy: object) -> None:  # noqa: ANN401
        """Have the pool replace a connection that has ended or must not be used any more."""
        renewed = record.info["generation"] != self._connector.generation
        if renewed or connection.driver_connection.is_closed():
            raise DisconnectionError


async def _run(engine: AsyncEngine, work: Work[T]) -> T:
    # All in one greenlet: `AsyncEngine.begin` takes one for each of its steps.
    try:
        return await greenlet_spawn(_work, engine.sync_engine, work)
    except PoolExhausted:
        raise TimeoutError from None


def _work(engine: Engine, work: Work[T]) -> T:
    with engine.begin() as connection:
        return work(connection)
