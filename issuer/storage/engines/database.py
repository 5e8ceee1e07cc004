"""What a registry database can do, whichever engine it is.

Work is a function of a connection, and runs in one transaction: all of it counts or nothing does.
Every failure of the database leaves as `StoreUnavailable`, one clear line.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]


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

    def follow(self, work: Work[T]) -> T:
        """Read as `read` does, on a connection that only `follow` and `version` use."""
        ...

    def write(self, work: Work[T]) -> T:
        """Run work that writes what no view holds, such as when a secret was last used."""
        ...

    def change(self, work: Work[T]) -> T:
        """Run work that changes the registry: one such at a time, and views are told of it."""
        ...

    def keep_copy(self, name: str) -> str | None:
        """Copy an embedded database beside itself, as it was last committed; returns where."""
        ...

    def version(self) -> object:
        """Give a value that differs after every change, by this process or another.

        Whoever asks relies on the answer: from the first time on, the database does not read from
        a place that takes no changes, nor from one that it has left.
        """
        ...

    def feed(self, connection: Connection) -> str:
        """Name the place that a connection of `follow` reads from: a file, a server.

        Numbers of the change feed cannot be compared with those of another place.
        """
        ...

    def watch(self, told: Callable[[], None]) -> None:
        """Call `told`, from whatever thread, as soon as anybody has changed the registry.

        A hint: it may come too often or, while the connection is down, not at all.
        """
        ...

    def close(self) -> None:
        """Give back connections and file handles."""
        ...
