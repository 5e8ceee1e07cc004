"""Open the hot store that belongs to a registry database."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from issuer.storage.engines.database import Database
from issuer.storage.engines.sqlite import SqliteDatabase
from issuer.storage.hot.batch import BatchedWrites

if TYPE_CHECKING:
    from issuer.storage.engines.postgresql import PostgresDatabase


def open_hot_store(database: Database, *, timeout: float, now: Callable[[], int]) -> BatchedWrites:
    """Open the `HotStore` of a database, to be used and closed on one event loop.

    Args:
        database: from `open_database`; it stays open.
        timeout: seconds to wait for other processes' transactions, and for an answer.
        now: the clock, seconds since the epoch.
    """
    if isinstance(database, SqliteDatabase):
        from issuer.storage.hot.sqlite import SqliteHotStore

        return SqliteHotStore(database, timeout=timeout, now=now)
    from issuer.storage.hot.postgresql import PostgresHotStore

    return PostgresHotStore(cast("PostgresDatabase", database), timeout=timeout, now=now)
