"""Read and write what clients are granted: statements over one connection, no transaction."""

from collections.abc import Iterable, Sequence

from sqlalchemy import (
    Connection,
    and_,
    delete,
    insert,
    select,
    update,
)

from issuer.registry.client import ResourcePermission
from issuer.registry.usage import ScopeUse
from issuer.storage.resources import resource_row
from issuer.storage.tables import client_grant_scopes, client_grants, resources

_scopes = client_grant_scopes.c


def replace_grants(
    connection: Connection,
    client_id: str,
    before: Sequence[ResourcePermission],
    after: Sequence[ResourcePermission],
) -> None:
    """Make the grants of a client what they should be; what stays keeps when it was last used.

    Raises:
        UnknownResource: a grant is on a resource that does not exist.
    """
    kept = {grant.resource for grant in after}
    for grant in before:
        if grant.resource not in kept:
            _delete_grant(connection, client_id, resource_row(connection, grant.resource))
    scopes = {grant.resource: grant.scopes for grant in before}
    for position, grant in enumerate(after):
        row = resource_row(connection, grant.resource)
        held = scopes.get(grant.resource)
        if held is None:
            connection.execute(
                insert(client_grants).values(
                    client_id=client_id, resource_id=row, position=position
                )
            )
        else:
            _move_grant(connection, client_id, row, position)
        _replace_scopes(connection, client_id, row, held or (), grant)


def _delete_grant(connection: Connection, client_id: str, row: int) -> None:
    connection.execute(
        delete(client_grants).where(
            client_grants.c.client_id == client_id, client_grants.c.resource_id == row
        )
    )


def _move_grant(connection: Connection, client_id: str, row: int, position: int) -> None:
    connection.execute(
        update(client_grants)
        .where(client_grants.c.client_id == client_id, client_grants.c.resource_id == row)
        .values(position=position)
    )


def _replace_scopes(
    connection: Connection, client_id: str, row: int, held: Sequence[str], grant: ResourcePermission
) -> None:
    of_grant = and_(_scopes.client_id == client_id, _scopes.resource_id == row)
    if gone := set(held) - set(grant.scopes):
        connection.execute(delete(client_grant_scopes).where(of_grant, _scopes.scope.in_(gone)))
    added = []
    for position, scope in enumerate(grant.scopes):
        values = {"is_default": scope in grant.defaults, "position": position}
        if scope in held:
            connection.execute(
                update(client_grant_scopes).where(of_grant, _scopes.scope == scope).values(**values)
            )
        else:
            added.append({"client_id": client_id, "resource_id": row, "scope": scope} | values)
    if added:
        connection.execute(insert(client_grant_scopes), added)


def holders(connection: Connection, resource: str, scope: str | None = None) -> list[str]:
    """List clients with a grant on a resource, or on one scope of it; by id, four at the most."""
    found = (
        select(client_grants.c.client_id)
        .distinct()
        .join(resources)
        .where(resources.c.identifier == resource)
        .order_by(client_grants.c.client_id)
        .limit(4)
    )
    if scope is not None:
        found = found.join(
            client_grant_scopes,
            and_(
                _scopes.client_id == client_grants.c.client_id,
                _scopes.resource_id == client_grants.c.resource_id,
            ),
        ).where(_scopes.scope == scope)
    return list(connection.scalars(found))


def clients_holding(connection: Connection, resource: str, scopes: Iterable[str]) -> list[str]:
    """List all clients that hold one of the scopes of a resource, by id."""
    return list(
        connection.scalars(
            select(_scopes.client_id)
            .distinct()
            .join(resources, resources.c.resource_id == _scopes.resource_id)
            .where(resources.c.identifier == resource, _scopes.scope.in_(list(scopes)))
            .order_by(_scopes.client_id)
        )
    )


def read_scope_usage(
    connection: Connection,
    *,
    client_id: str | None = None,
    resource: str | None = None,
    scope: str | None = None,
    since: int = 0,
) -> list[ScopeUse]:
    """List who used what since a time, narrowed as named; by client, resource and scope."""
    uses = (
        select(_scopes.client_id, resources.c.identifier, _scopes.scope, _scopes.last_used_at)
        .join(resources, resources.c.resource_id == _scopes.resource_id)
        .where(_scopes.last_used_at >= since)
        .order_by(_scopes.client_id, resources.c.identifier, _scopes.scope)
    )
    if client_id is not None:
        uses = uses.where(_scopes.client_id == client_id)
    if resource is not None:
        uses = uses.where(resources.c.identifier == resource)
    if scope is not None:
        uses = uses.where(_scopes.scope == scope)
    return [
        ScopeUse(
            client_id=row.client_id,
            resource=row.identifier,
            scope=row.scope,
            last_used_at=row.last_used_at,
        )
        for row in connection.execute(uses)
    ]
