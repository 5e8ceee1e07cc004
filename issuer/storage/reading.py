"""Read the registry within one transaction, which sees one state of it throughout."""

from sqlalchemy import Connection

from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client
from issuer.registry.client_secret import SecretHash
from issuer.registry.errors import UnknownClient, UnknownResource
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.resource import RegisteredResource
from issuer.registry.usage import ScopeUse
from issuer.storage import audit, clients, feed, grants, registration_tokens, resources
from issuer.storage.feed import RegistryIdentity


class RegistryReading:
    """What can be read of the registry, over the connection of a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._resources: dict[str, RegisteredResource | None] = {}

    def identity(self) -> RegistryIdentity:
        """Read which issuer the registry belongs to, and the epoch of its change feed."""
        return feed.read_identity(self._connection)

    def find_client(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        return clients.find_client(self._connection, client_id)

    def require_client(self, client_id: str) -> Client:
        """Read one client.

        Raises:
            UnknownClient: there is no such id.
        """
        client = self.find_client(client_id)
        if client is None:
            raise UnknownClient(f"no such client: {client_id}")
        return client

    def list_clients(self, after: str = "", limit: int | None = None) -> list[Client]:
        """Read clients by id, those behind `after`, all if there is no limit."""
        return clients.list_clients(self._connection, after, limit)

    def find_resource(self, identifier: str) -> RegisteredResource | None:
        """Read one resource, once in the transaction, or None if there is no such identifier."""
        if identifier not in self._resources:
            found = resources.find_resource(self._connection, identifier)
            self._resources[identifier] = found
        return self._resources[identifier]

    def require_resource(self, identifier: str) -> RegisteredResource:
        """Read one resource.

        Raises:
            UnknownResource: there is no such identifier.
        """
        resource = self.find_resource(identifier)
        if resource is None:
            raise UnknownResource(f"no such resource: {identifier}")
        return resource

    def list_resources(self) -> list[RegisteredResource]:
        """Read all resources, by identifier."""
        return resources.list_resources(self._connection)

    def scope_usage(
        self,
        client_id: str | None = None,
        resource: str | None = None,
        scope: str | None = None,
        *,
        since: int = 0,
    ) -> list[ScopeUse]:
        """List which clients got which scopes since a time, narrowed as named."""
        return grants.read_scope_usage(
            self._connection, client_id=client_id, resource=resource, scope=scope, since=since
        )

    def list_audit(
        self, *, target: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Read the audit trail, the latest first, narrowed and continued as named."""
        return audit.list_entries(self._connection, target=target, before=before, limit=limit)

    def find_registration_token(self, token_id: str) -> InitialAccessToken | None:
        """Read one initial access token, or None if there is no such id."""
        return registration_tokens.find_token(self._connection, token_id)

    def list_registration_tokens(self) -> list[InitialAccessToken]:
        """Read all initial access tokens, the oldest first."""
        return registration_tokens.list_tokens(self._connection)

    def find_registration_access(self, client_id: str) -> SecretHash | None:
        """Read the hash of what a client administers itself with; None if it cannot."""
        return registration_tokens.find_access_hash(self._connection, client_id)
