"""Read and write clients: statements over one connection, no transaction of their own."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from issuer.registry.client import AuthMethod, Client, ClientGrant, ClientSecret, NewClient
from issuer.registry.errors import DuplicateClient, UnknownClient
from issuer.registry.secret_hash import SecretHash
from issuer.storage.resources import resource_row
from issuer.storage.tables import (
    client_grant_scopes,
    client_grants,
    client_secrets,
    clients,
    resource_scopes,
    resources,
)

_CLIENTS = select(clients).order_by(clients.c.client_id)
_SECRETS = select(client_secrets).order_by(client_secrets.c.created_at, client_secrets.c.secret_id)
_GRANTS = (
    select(
        client_grants.c.client_id,
        resources.c.identifier,
        resources.c.token_ttl,
        resource_scopes.c.scope,
    )
    .select_from(client_grants)
    .join(resources)
    .join(
        client_grant_scopes,
        (client_grant_scopes.c.client_id == client_grants.c.client_id)
        & (client_grant_scopes.c.resource_id == client_grants.c.resource_id),
    )
    .join(
        resource_scopes,
        (resource_scopes.c.resource_id == client_grant_scopes.c.resource_id)
        & (resource_scopes.c.scope == client_grant_scopes.c.scope),
    )
    .order_by(client_grants.c.client_id, client_grants.c.position, resource_scopes.c.position)
)


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Read one client with its grants and secrets, or None if there is no such id."""
    found = _read_clients(
        connection,
        _CLIENTS.where(clients.c.client_id == client_id),
        _GRANTS.where(client_grants.c.client_id == client_id),
        _SECRETS.where(client_secrets.c.client_id == client_id),
    )
    return found[0] if found else None


def require_client(connection: Connection, client_id: str) -> Client:
    """Read one client with its grants and secrets.

    Raises:
        UnknownClient: there is no such id.
    """
    client = find_client(connection, client_id)
    if client is None:
        raise UnknownClient(f"no such client: {client_id}")
    return client


def list_clients(connection: Connection) -> list[Client]:
    """Read all clients, by id."""
    return _read_clients(connection, _CLIENTS, _GRANTS, _SECRETS)


def insert_client(
    connection: Connection, client: NewClient, grants: Sequence[ClientGrant], *, now: int
) -> None:
    """Add a client with its first secret.

    Raises:
        DuplicateClient: its id is taken.
        UnknownResource: a grant is on a resource that does not exist.
    """
    if _exists(connection, client.client_id):
        raise DuplicateClient(f"the client exists already: {client.client_id}")
    connection.execute(
        insert(clients).values(
            client_id=client.client_id,
            display_name=client.display_name,
            auth_method=client.auth_method.value,
            token_ttl=client.token_ttl,
            disabled=False,
            created_at=now,
            updated_at=now,
        )
    )
    for position, grant in enumerate(grants):
        _insert_grant(connection, client.client_id, grant, position)
    connection.execute(
        insert(client_secrets).values(
            client_id=client.client_id,
            secret_id=client.secret_hash.secret_id,
            hash=client.secret_hash.text,
            slow=client.secret_hash.slow,
            created_at=now,
            starts_at=now,
        )
    )


def update_disabled(connection: Connection, client_id: str, disabled: bool, *, now: int) -> None:
    """Disable or enable a client.

    Raises:
        UnknownClient: there is no such id.
    """
    changed = connection.execute(
        update(clients)
        .where(clients.c.client_id == client_id)
        .values(disabled=disabled, updated_at=now)
    )
    _require_one(changed.rowcount, client_id)


def delete_client(connection: Connection, client_id: str) -> None:
    """Delete a client with its grants and secrets.

    Raises:
        UnknownClient: there is no such id.
    """
    changed = connection.execute(delete(clients).where(clients.c.client_id == client_id))
    _require_one(changed.rowcount, client_id)


def _exists(connection: Connection, client_id: str) -> bool:
    row = connection.execute(select(clients.c.client_id).where(clients.c.client_id == client_id))
    return row.first() is not None


def _require_one(count: int, client_id: str) -> None:
    if count != 1:
        raise UnknownClient(f"no such client: {client_id}")


def _insert_grant(
    connection: Connection, client_id: str, grant: ClientGrant, position: int
) -> None:
    row = resource_row(connection, grant.resource)
    connection.execute(
        insert(client_grants).values(client_id=client_id, resource_id=row, position=position)
    )
    connection.execute(
        insert(client_grant_scopes),
        [
            {"client_id": client_id, "resource_id": row, "scope": scope, "is_default": True}
            for scope in grant.scopes
        ],
    )


def _read_clients(
    connection: Connection,
    of_clients: Select[Any],
    of_grants: Select[Any],
    of_secrets: Select[Any],
) -> list[Client]:
    grants = defaultdict(tuple, _grants_by_client(connection.execute(of_grants)))
    secrets = defaultdict[str, list[ClientSecret]](list)
    for row in connection.execute(of_secrets):
        secrets[row.client_id].append(_secret(row))
    return [
        _client(row, grants[row.client_id], tuple(secrets[row.client_id]))
        for row in connection.execute(of_clients)
    ]


def _grants_by_client(rows: Iterable[Row[Any]]) -> Iterable[tuple[str, tuple[ClientGrant, ...]]]:
    for client_id, of_client in groupby(rows, key=lambda row: row.client_id):
        yield (
            client_id,
            tuple(
                ClientGrant(resource=key[0], token_ttl=key[1], scopes=tuple(r.scope for r in rows))
                for key, rows in groupby(of_client, key=lambda r: (r.identifier, r.token_ttl))
            ),
        )


def _secret(row: Row[Any]) -> ClientSecret:
    return ClientSecret(
        secret_id=row.secret_id,
        hash=SecretHash.parse(row.hash),
        created_at=row.created_at,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
    )


def _client(
    row: Row[Any], grants: tuple[ClientGrant, ...], secrets: tuple[ClientSecret, ...]
) -> Client:
    return Client(
        client_id=row.client_id,
        display_name=row.display_name,
        auth_method=AuthMethod(row.auth_method),
        grants=grants,
        secrets=secrets,
        token_ttl=row.token_ttl,
        disabled=row.disabled,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
