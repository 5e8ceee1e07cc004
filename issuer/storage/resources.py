"""Read and write resources: statements over one connection, no transaction of their own."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from issuer.registry.errors import UnknownResource
from issuer.registry.resource import RegisteredResource, Resource
from issuer.registry.schema import restored, stored
from issuer.storage.tables import resource_scopes, resources

_SELECT: Select[Any] = (
    select(resources, resource_scopes.c.scope)
    .join(resource_scopes)
    .order_by(resources.c.identifier, resource_scopes.c.position)
)

_ELSEWHERE = {"resource", "scopes"}
"""Members of a resource that have a column or a table of their own."""


def find_resource(connection: Connection, identifier: str) -> RegisteredResource | None:
    """Read one resource, or None if there is no such identifier."""
    found = _resources(
        connection.execute(_SELECT.where(resources.c.identifier == identifier)).all()
    )
    return found[0] if found else None


def list_resources(connection: Connection) -> list[RegisteredResource]:
    """Read all resources, by identifier."""
    return _resources(connection.execute(_SELECT).all())


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


def insert_resource(connection: Connection, resource: Resource, *, now: int, revision: int) -> None:
    """Add a resource whose identifier is free."""
    row = connection.execute(
        insert(resources)
        .values(
            identifier=resource.resource,
            created_at=now,
            updated_at=now,
            revision=revision,
            registration=stored(resource, without=_ELSEWHERE),
        )
        .returning(resources.c.resource_id)
    ).scalar_one()
    _insert_scopes(connection, row, list(enumerate(resource.scopes)))


def update_resource(
    connection: Connection, before: Resource, after: Resource, *, now: int, revision: int
) -> None:
    """Make a resource what it should be; no grant may hold a scope that goes."""
    row = resource_row(connection, before.resource)
    connection.execute(
        update(resources)
        .where(resources.c.resource_id == row)
        .values(updated_at=now, revision=revision, registration=stored(after, without=_ELSEWHERE))
    )
    table = resource_scopes.c
    if gone := set(before.scopes) - set(after.scopes):
        connection.execute(
            delete(resource_scopes).where(table.resource_id == row, table.scope.in_(gone))
        )
    places = list(enumerate(after.scopes))
    for position, scope in places:
        if scope in before.scopes:
            connection.execute(
                update(resource_scopes)
                .where(table.resource_id == row, table.scope == scope)
                .values(position=position)
            )
    _insert_scopes(connection, row, [each for each in places if each[1] not in before.scopes])


def delete_resource(connection: Connection, identifier: str) -> None:
    """Delete a resource that no grant points to."""
    connection.execute(delete(resources).where(resources.c.identifier == identifier))


def _insert_scopes(connection: Connection, row: int, places: Sequence[tuple[int, str]]) -> None:
    if places:
        connection.execute(
            insert(resource_scopes),
            [
                {"resource_id": row, "scope": scope, "position": position}
                for position, scope in places
            ],
        )


def _resources(rows: Sequence[Row[Any]]) -> list[RegisteredResource]:
    by_identifier = groupby(rows, lambda row: row.identifier)
    return [_resource(list(of)) for _, of in by_identifier]


def _resource(rows: Sequence[Row[Any]]) -> RegisteredResource:
    first = rows[0]
    scopes = tuple(row.scope for row in rows)
    columns = {"resource": first.identifier, "scopes": scopes}
    return RegisteredResource(
        resource=restored(Resource, first.registration, columns, of=f"resource {first.identifier}"),
        created_at=first.created_at,
        updated_at=first.updated_at,
        revision=first.revision,
    )
