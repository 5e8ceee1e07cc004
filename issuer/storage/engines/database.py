"""What a registry database can do, whichever engine it is.

What serves tokens runs plain statements, for which SQLAlchemy is not imported. What administers the
registry runs work: a function of a SQLAlchemy connection, in one transaction. All of a transaction
counts or nothing does, and every failure of the database leaves as `StoreUnavailable`, one clear
line.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection

CHANGE_LOCK = 0x77617463
"""Names the lock under which a PostgreSQL database is changed, among those of others."""

SERVING_LOCK = CHANGE_LOCK + 2
"""Names the lock that every server which follows a PostgreSQL database shares."""

SERVER_RUN = """concat_ws(' ',
    extract(epoch from pg_postmaster_start_time()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    pg_relation_filenode('registry_changes'))"""
"""SQL that names one run of a PostgreSQL server, and in it the table as made or last emptied.

A standby that is promoted, and a server whose data were put back, are runs of their own; so a
timeline, which not every user may read, need not be known.
"""

T = TypeVar("T")
Work = Callable[["Connection"], T]

Rows = Sequence[Any]
"""What a statement returned: tuples whose columns are also known by name."""


class Statement(NamedTuple):
    """A plain statement in the SQL that every engine understands.

    `$1` stands for the first of the arguments.
    """

    sql: str
    arguments: Sequence[object] = ()


class Database(Protocol):
    """One database, shared by the threads of a process."""

    @property
    def dialect(self) -> str:
        """The name that SQLAlchemy has for the engine: `sqlite` or `postgresql`."""
        ...

    @property
    def auto_migrate(self) -> bool:
        """Whether opening it may bring its schema up to date, since no other program has it."""
        ...

    @property
    def read_concurrency(self) -> int:
        """How many calls of `read_one` at once are worth while."""
        ...

    def exists(self) -> bool:
        """Tell whether there is a database at all; opening one with `auto_migrate` makes it."""
        ...

    def read_one(self, statement: Statement) -> Rows:
        """Run one statement, which sees one state without a transaction around it."""
        ...

    def follow(self, *statements: Statement) -> tuple[str, list[Rows]]:
        """Read one state of the database, on a connection that only `follow` and `version` use.

        Returns:
            The name of the place that was read, a file or a run of a server, and the rows of each
            statement. Numbers of the change feed cannot be compared with those of another place.
        """
        ...

    def follow_one(self, statement: Statement) -> Rows:
        """Run one statement as `read_one` does, on the connection of `follow`."""
        ...

    def write_one(self, statement: Statement) -> Rows:
        """Run one statement that writes what no view holds, and return its rows."""
        ...

    def write_many(self, *writes: tuple[str, Iterable[Sequence[object]]]) -> None:
        """Run each statement once for each of its rows of arguments, all in one transaction."""
        ...

    def read(self, work: Work[T]) -> T:
        """Run work that sees one state of the database throughout."""
        ...

    def change(self, work: Work[T]) -> T:
        """Run work that changes the registry: one such at a time, and views are told of it."""
        ...

    def exclusive(self, table: str) -> AbstractContextManager[Callable[[Statement], Rows]]:
        """Give what runs statements in one transaction, while no other session writes to a table.

        It is committed at the end, unless that is an exception. Readers do not wait. With SQLite
        no other session writes to any table.
        """
        ...

    def keep_copy(self, name: str) -> str | None:
        """Copy a file beside itself, as it was last committed, and return the path of the copy.

        None if the engine leaves backups to the operator.
        """
        ...

    def version(self) -> object:
        """Give a value that differs after every change, by this process or another.

        From the first call on, the database does not read from a place that takes no changes, nor
        from one that it has left.
        """
        ...

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change`, on any thread, as soon as the registry has changed anywhere.

        A hint: it may come too often or, while the connection is down, not at all.
        """
        ...

    def close(self) -> None:
        """Give back connections and file handles."""
        ...
