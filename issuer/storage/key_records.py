"""Signing keys in the database of the registry, as the named bytes that a key store needs.

What is in them is the store's business: they are to be sealed before they come here. They are read
on the connection that follows the changes, which no load of requests delays.
"""

import re
import secrets
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from threading import local

from issuer.registry.errors import StoreUnavailable
from issuer.storage.engines.database import Database, Rows, Statement
from keys.errors import KeyStoreError

_TABLE = "signing_keys"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\.pem", re.ASCII)
_MAXIMUM_BYTES = 65_536
_REVISION_BYTES = 8

_READ = f"SELECT substr(content, 1, {_MAXIMUM_BYTES + 1}) AS content FROM {_TABLE} WHERE name = $1"  # noqa: S608 - no input
_WRITE = """
INSERT INTO signing_keys (name, content, revision) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET content = $2, revision = $3
"""


class KeyRecords:
    """The rows of the keys. See `NamedBytes` for the methods.

    Args:
        database: gives the database, or raises StoreUnavailable.
        place: how to call it in errors; no password is in it.
    """

    def __init__(self, database: Callable[[], Database], place: str) -> None:
        self._database = database
        self.place = place
        self._own = local()

    def names(self) -> list[str]:
        """List the names of the keys.

        Raises:
            KeyStoreError: the database cannot be read, or one is no name of a key.
        """
        names = [row["name"] for row in self._run(f"SELECT name FROM {_TABLE}")]  # noqa: S608
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise KeyStoreError(
                f"{self.place} has a row in {_TABLE} whose name is none of a key; remove it"
            )
        return sorted(names)

    def read(self, name: str) -> bytes:
        """Read one row, if it is no larger than a key can be.

        Raises:
            KeyStoreError: it cannot be read, is not there any more, or is too large.
        """
        rows = self._run(_READ, name)
        if not rows:
            raise KeyStoreError(f"key {self.place}/{name} was removed at this moment; try again")
        content = rows[0]["content"]
        if not isinstance(content, bytes) or len(content) > _MAXIMUM_BYTES:
            raise KeyStoreError(f"key {self.place}/{name} is none; restore it from a backup")
        return content

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write, replace and remove (None) rows, in the transaction of the lock.

        Raises:
            KeyStoreError: it cannot be done; everything is as it was then.
        """
        for name, content in changes.items():
            if content is None:
                self._run(f"DELETE FROM {_TABLE} WHERE name = $1", name)  # noqa: S608
            else:
                self._run(_WRITE, name, content, new_revision())

    def stamp(self) -> Hashable:
        """Return a value that changes when any row is written or removed; one short statement.

        Raises:
            KeyStoreError: the database cannot be read.
        """
        rows = self._run(f"SELECT name, revision FROM {_TABLE}")  # noqa: S608
        return frozenset((row["name"], row["revision"]) for row in rows)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the table for one transaction, in which this thread reads and writes.

        Raises:
            KeyStoreError: the database cannot be written, or another writer takes too long; also
                at the end, if it cannot be committed.
        """
        with _explained(), self._database().exclusive(_TABLE) as run:
            self._own.run = run
            try:
                yield
            finally:
                del self._own.run

    def _run(self, sql: str, *arguments: object) -> Rows:
        with _explained():
            run: Callable[[Statement], Rows] | None = getattr(self._own, "run", None)
            return (run or self._database().follow_one)(Statement(sql, arguments))


def new_revision() -> str:
    """Return what a row says of itself from now on: nothing that it ever said before."""
    return secrets.token_hex(_REVISION_BYTES)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        raise KeyStoreError(str(error)) from error
