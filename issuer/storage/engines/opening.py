"""Open a registry database: the engine is chosen by the URL."""

from issuer.registry.errors import InvalidValue
from issuer.storage.database_url import DatabasePlace, PostgresPlace, SqliteFile, parse_database_url
from issuer.storage.engines.database import Database


def open_database(place: DatabasePlace | str, *, timeout: float, reading: bool = False) -> Database:
    """Open the database at `place`; nothing is read or made yet.

    Args:
        place: where it is, or the URL that names it.
        timeout: seconds to wait for other processes' transactions, and for an answer.
        reading: the database refuses every change.

    Raises:
        InvalidValue: the URL is not understood, or its engine is not installed.
    """
    if isinstance(place, str):
        place = parse_database_url(place)
    load_engine(place)
    match place:
        case SqliteFile():
            from issuer.storage.engines.sqlite import SqliteDatabase

            return SqliteDatabase(place, timeout=timeout, reading=reading)
        case PostgresPlace():
            from issuer.storage.engines.postgresql import PostgresDatabase

            return PostgresDatabase(place, timeout=timeout, reading=reading)


def load_engine(place: DatabasePlace) -> None:
    """Import all that the engine of `place` needs, which processes forked later then share.

    Raises:
        InvalidValue: the engine is not installed.
    """
    if isinstance(place, SqliteFile):
        import issuer.storage.engines.sqlite

        return
    try:
        import issuer.storage.engines.postgresql  # noqa: F401
    except ModuleNotFoundError:
        raise InvalidValue(
            "PostgreSQL needs its driver; run: pip install 'watchword[server,postgresql]'"
        ) from None
