"""What a registry database can do, whichever engine it is; `open_database` picks one by its URL.

Work is a function of a connection, and runs in one transaction: all of it counts or nothing does.
Every failure of the database leaves as `StoreUnavailable`, one clear line.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from issuer.registry.errors import InvalidValue

T = TypeVar("T")
Work = Callable[[Connection], T]

_POSTGRESQL = ("postgresql", "postgres")


class Database(Protocol):
    """One database, shared by the threads of a process."""

    @property
    def embedded(self) -> bool:
        """Whether it is ours alone, so that opening it may bring its schema up to date."""
        ...

    @property
    def lookups(self) -> int:
        """How many look-ups at once are worth while."""
        ...

    def exists(self) -> bool:
        """Tell whether there is a database at all; opening one that is embedded makes it."""
        ...

    def read(self, work: Work[T]) -> T:
        """Run work that sees one state of the database throughout."""
        ...

    def look(self, work: Work[T]) -> T:
        """Run work of one statement, which sees one state without a transaction around it."""
        ...

    def write(self, work: Work[T]) -> T:
        """Run work that writes what no view holds, such as when a secret was last used."""
        ...

    def change(self, work: Work[T]) -> T:
        """Run work that changes the registry: one such at a time, and views are told of it."""
        ...

    def version(self) -> int:
        """Give a number that moves with every change, by this process or another."""
        ...

    def watch(self, told: Callable[[], None]) -> None:
        """Call `told`, from whatever thread, as soon as anybody has changed the registry.

        A hint: it may come too often or, while the connection is down, not at all.
        """
        ...

    def close(self) -> None:
        """Give back connections and file handles."""
        ...


class Engine(Protocol):
    """Makes a database of what a URL names; nothing is read or made yet."""

    def __call__(self, url: str, *, patience: float) -> Database:
        """Open it.

        Args:
            url: `sqlite:///PATH` (four slashes for an absolute path) or `postgresql://…`.
            patience: seconds to wait for other processes' transactions, and for an answer.

        Raises:
            InvalidValue: the URL names no file.
        """
        ...


def open_database(url: str, *, patience: float) -> Database:
    """Open the database that `url` names; nothing is read or made yet.

    Args:
        url: `sqlite:///PATH` (four slashes for an absolute path) or `postgresql://…`.
        patience: seconds to wait for other processes' transactions, and for an answer.

    Raises:
        InvalidValue: the URL is not understood, or its engine is not installed.
    """
    return load_engine(url)(url, patience=patience)


def load_engine(url: str) -> Engine:
    """Import all that the engine of `url` needs, which processes forked later then share.

    Raises:
        InvalidValue: the URL is not understood, or its engine is not installed.
    """
    try:
        engine = make_url(url).get_backend_name()
    except ArgumentError:
        raise InvalidValue(
            "the database URL is not understood; use sqlite:///PATH or postgresql://HOST/NAME"
        ) from None
    if engine == "sqlite":
        from issuer.storage.sqlite import SqliteDatabase

        return SqliteDatabase
    if engine in _POSTGRESQL:
        return _load_postgresql()
    raise InvalidValue(f"no database engine {engine!a}; use a sqlite: or a postgresql: URL")


def _load_postgresql() -> Engine:
    try:
        from issuer.storage.postgresql import PostgresDatabase
    except ModuleNotFoundError:
        raise InvalidValue(
            "PostgreSQL needs its driver; run: pip install 'watchword[server,postgresql]'"
        ) from None
    return PostgresDatabase
