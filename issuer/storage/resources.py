"""Read and write resources: statements over one connection, no transaction of their own."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from issuer.registry.errors import DuplicateResource, ResourceInUse, UnknownResource
from issuer.registry.resource import Resource
from issuer.storage.tables import client_grants, resource_scopes, resources

_SELECT: Select[Any] = (
    select(
        resources.c.identifier,
        resources.c.token_ttl,
        resource_scopes.c.scope,
    )
    .join(resource_scopes)
    .order_by(resources.c.identifier, resource_scopes.c.position)
)


def find_resource(connection: Connection, identifier: str) -> Resource | None:
    """Read one resource, or None if there is no such identifier."""
    found = _resources(
        connection.execute(_SELECT.where(resources.c.identifier == identifier)).all()
    )
    return found[0] if found else None


def list_resources(connection: Connection) -> list[Resource]:
    """Read all resources, by identifier."""
    return _resources(connection.execute(_SELECT).all())


def require_resource(connection: Connection, identifier: str) -> Resource:
    """Read one resource.

    Raises:
        UnknownResource: there is no such identifier.
    """
    resource = find_resource(connection, identifier)
    if resource is None:
        raise UnknownResource(f"no such resource: {identifier}")
    return resource


def resource_row(connection: Connection, identifier: str) -> int:
    """Return the row number that grants point to.

    Raises:
        UnknownResource: there is no such identifier.
    """
    row = connection.scalar(
        select(resources.c.resource_id).where(resources.c.identifier == identifier)
    )
    if row is None:
        raise UnknownResource(f"no such resource: {identifier}")
    return int(row)


def insert_resource(connection: Connection, resource: Resource, *, now: int) -> None:
    """Add a resource.

    Raises:
        DuplicateResource: its identifier is taken.
    """
    if find_resource(connection, resource.identifier) is not None:
        raise DuplicateResource(f"the resource exists already: {resource.identifier}")
    row = connection.execute(
        insert(resources)
        .values(
            identifier=resource.identifier,
            token_ttl=resource.token_ttl,
            created_at=now,
            updated_at=now,
        )
        .returning(resources.c.resource_id)
    ).scalar_one()
    connection.execute(
        insert(resource_scopes),
        [
            {"resource_id": row, "scope": scope, "position": position}
            for position, scope in enumerate(resource.scopes)
        ],
    )


def delete_resource(connection: Connection, identifier: str) -> None:
    """Delete a resource that no grant points to.

    Raises:
        UnknownResource: there is no such identifier.
        ResourceInUse: clients hold grants on it; the text names some.
    """
    row = resource_row(connection, identifier)
    holders = connection.scalars(
        select(client_grants.c.client_id)
        .where(client_grants.c.resource_id == row)
        .order_by(client_grants.c.client_id)
        .limit(4)
    ).all()
    if holders:
        names = ", ".join([*holders[:3], *(["…"] if len(holders) > 3 else [])])
        raise ResourceInUse(f"clients still hold grants on {identifier}: {names}")
    connection.execute(delete(resources).where(resources.c.resource_id == row))


def _resources(rows: Sequence[Row[Any]]) -> list[Resource]:
    return [
        Resource(identifier=identifier, token_ttl=token_ttl, scopes=tuple(row.scope for row in of))
        for (identifier, token_ttl), of in groupby(
            rows, lambda row: (row.identifier, row.token_ttl)
        )
    ]
