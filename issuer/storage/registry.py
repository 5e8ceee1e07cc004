"""The registry that operators change: one method an operation, one transaction each.

Every change also leaves a note in the change feed, in the same transaction.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Self

from issuer.ports import Changes
from issuer.registry.client import Client, NewClient
from issuer.registry.resource import Resource, decide_grants
from issuer.storage import clients, resources
from issuer.storage.changes import note_change, read_changes
from issuer.storage.engine import Database, sqlite_path
from issuer.storage.schema import HEAD, SchemaStatus, read_status, upgrade_schema

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process's transaction before giving up."""


class Registry:
    """Clients and resources in a database. May be used by several threads.

    Raises:
        StoreUnavailable: from each method, when the database cannot answer; nothing is half done.
    """

    def __init__(self, database: Database, *, now: Callable[[], int]) -> None:
        self._database = database
        self._now = now

    @classmethod
    def open(
        cls,
        url: str,
        *,
        now: Callable[[], int],
        upgrade: bool = True,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> Self:
        """Open the registry that `url` names, making it if there is none.

        Args:
            url: `sqlite:///PATH`; four slashes for an absolute path.
            now: the clock, seconds since the epoch.
            upgrade: bring the schema up to date first.
            busy_timeout: seconds to wait for another process's transaction.

        Raises:
            InvalidValue: the URL is not understood or its engine is not available.
            SchemaMismatch: the database is from a newer version, or is not a registry.
            StoreUnavailable: the database cannot be opened.
        """
        registry = cls(Database.open(url, busy_timeout=busy_timeout), now=now)
        try:
            if upgrade:
                registry.upgrade_schema()
        except BaseException:
            registry.close()
            raise
        return registry

    def close(self) -> None:
        """Give back the file handles."""
        self._database.close()

    def schema_status(self) -> SchemaStatus:
        """Tell which schema the database has and which one this version wants."""
        with self._database.reading() as connection:
            return read_status(connection)

    def upgrade_schema(self) -> None:
        """Bring the schema up to date; two processes may do it at once.

        Raises:
            SchemaMismatch: the database is from a newer version, or is not a registry.
        """
        if not self.schema_status().up_to_date:
            with self._database.writing() as connection:
                upgrade_schema(connection)

    def create_client(self, new: NewClient) -> Client:
        """Register a client.

        Raises:
            DuplicateClient: its id is taken.
            UnknownResource: a resource does not exist.
            UnknownScope: a scope is on none of the resources.
        """
        with self._database.writing() as connection:
            known = [resources.require_resource(connection, uri) for uri in new.resources]
            grants = decide_grants(known, new.scopes)
            clients.insert_client(connection, new, grants, now=self._now())
            note_change(connection, new.client_id)
            return clients.require_client(connection, new.client_id)

    def find_client(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        with self._database.reading() as connection:
            return clients.find_client(connection, client_id)

    def list_clients(self) -> list[Client]:
        """Read all clients, by id."""
        with self._database.reading() as connection:
            return clients.list_clients(connection)

    def set_disabled(self, client_id: str, disabled: bool) -> None:
        """Disable a client, or enable it again.

        Raises:
            UnknownClient: there is no such id.
        """
        with self._database.writing() as connection:
            clients.update_disabled(connection, client_id, disabled, now=self._now())
            note_change(connection, client_id)

    def delete_client(self, client_id: str) -> None:
        """Delete a client with its grants and secrets.

        Raises:
            UnknownClient: there is no such id.
        """
        with self._database.writing() as connection:
            clients.delete_client(connection, client_id)
            note_change(connection, client_id)

    def ensure_resource(self, resource: Resource) -> None:
        """Make a resource unless its identifier exists; one that exists is left as it is."""
        if self.find_resource(resource.identifier) is not None:
            return
        with self._database.writing() as connection:
            if resources.find_resource(connection, resource.identifier) is None:
                resources.insert_resource(connection, resource, now=self._now())
                note_change(connection, None)

    def create_resource(self, resource: Resource) -> None:
        """Add a resource.

        Raises:
            DuplicateResource: its identifier is taken.
        """
        with self._database.writing() as connection:
            resources.insert_resource(connection, resource, now=self._now())
            note_change(connection, None)

    def find_resource(self, identifier: str) -> Resource | None:
        """Read one resource, or None if there is no such identifier."""
        with self._database.reading() as connection:
            return resources.find_resource(connection, identifier)

    def list_resources(self) -> list[Resource]:
        """Read all resources, by identifier."""
        with self._database.reading() as connection:
            return resources.list_resources(connection)

    def delete_resource(self, identifier: str) -> None:
        """Delete a resource that no client holds a grant on.

        Raises:
            UnknownResource: there is no such identifier.
            ResourceInUse: clients hold grants on it.
        """
        with self._database.writing() as connection:
            resources.delete_resource(connection, identifier)
            note_change(connection, None)

    def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        with self._database.reading() as connection:
            return read_changes(connection, cursor)

    def version(self) -> int:
        """Give a number that moves with every commit, by this process or another."""
        return self._database.version()


def inspect_schema(url: str) -> SchemaStatus:
    """Tell which schema a database has; one that does not exist stays that way.

    Raises:
        InvalidValue: the URL is not understood or its engine is not available.
        StoreUnavailable: the database cannot be read.
    """
    if not sqlite_path(url).exists():
        return SchemaStatus(current=None, head=HEAD)
    registry = Registry.open(url, now=lambda: 0, upgrade=False)
    with closing(registry):
        return registry.schema_status()
