"""Read the registry within one transaction, which sees one state of it throughout."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, literal, or_, select, text, tuple_

from issuer.registry.audit import Action, Actor, AuditEntry, Via
from issuer.registry.client import Client
from issuer.registry.client_description import EVERY_CLIENT, ClientFilter
from issuer.registry.credentials import SecretHash
from issuer.registry.errors import UnknownClient, UnknownResource
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.permission import ResourcePermission, Right
from issuer.registry.resource import RegisteredResource, Resource
from issuer.registry.schema import read, restored
from issuer.registry.usage import LastUse
from issuer.storage.client_filter import conditions
from issuer.storage.rows import EPOCH, ISSUER, SEAL_KEY
from issuer.storage.schema import read_revision
from issuer.storage.statements import SELECT, clients_of
from issuer.storage.status_changes import IndexRange, TokenSelection, find_owners, find_ranges
from issuer.storage.tables import (
    audit_entries,
    claims,
    client_grant_scopes,
    client_grants,
    client_secrets,
    clients,
    registration_tokens,
    registry_identity,
    resource_scopes,
    resources,
)
from keys.replay import claim_digest

_ONE_CLIENT = text(SELECT.format(wanted="= :client_id"))
_SOME_CLIENTS = text(SELECT.format(wanted="IN :client_ids")).bindparams(
    bindparam("client_ids", expanding=True)
)
_PAGE = 500
_RESOURCES: Select[Any] = (
    select(resources, resource_scopes.c.scope)
    .join(resource_scopes)
    .order_by(resources.c.identifier, resource_scopes.c.position)
)
_scopes = client_grant_scopes.c
_token = registration_tokens.c


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryIdentity:
    """Whose registry it is, and which feed its numbers belong to.

    Args:
        issuer: the issuer identifier that it serves; None until it is first served or written.
        epoch: random, chosen anew whenever the content is replaced from outside the feed: two
            numbers of the change feed are comparable only within one epoch.
        seal_key: of sealed client secrets, itself sealed; None until it is made.
    """

    issuer: str | None
    epoch: str
    seal_key: str | None = field(repr=False)


class RegistryReading:
    """What can be read of the registry, over the connection of a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._resources: dict[str, RegisteredResource | None] = {}

    def identity(self) -> RegistryIdentity:
        """Read which issuer the registry belongs to, and what its nodes share."""
        rows = self._connection.execute(select(registry_identity))
        found = {row.name: row.value for row in rows}
        return RegistryIdentity(
            issuer=found.get(ISSUER),
            epoch=found.get(EPOCH, ""),
            seal_key=found.get(SEAL_KEY),
        )

    def shared_key(self, name: str) -> str | None:
        """Read a key of `issuer.storage.shared_keys`, in hexadecimal; None until it is made."""
        wanted = select(registry_identity.c.value).where(registry_identity.c.name == name)
        return self._connection.scalars(wanted).one_or_none()

    def is_claimed(self, scope: str, id: str) -> bool:
        """Tell whether an id was claimed in this database and is not forgotten."""
        digest = claims.c.digest
        wanted = select(digest).where(digest == claim_digest(scope, id))
        return self._connection.execute(wanted).first() is not None

    def has_sealed_secrets(self) -> bool:
        """Tell whether any client has a secret that has to be recovered."""
        wanted = select(client_secrets.c.secret_id).where(client_secrets.c.hash.like("$sealed$%"))
        return self._connection.execute(wanted.limit(1)).first() is not None

    def clock(self) -> int:
        """Read the time that the database has, in seconds since the epoch."""
        moment: datetime = self._connection.scalars(select(func.now())).one()
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

    def schema(self) -> str | None:
        """Read which revision of the schema the database has."""
        return read_revision(self._connection)

    def find_client(self, client_id: str) -> Client | None:
        """Read one client with its grants and secrets, or None if there is no such id."""
        rows = self._connection.execute(_ONE_CLIENT, {"client_id": client_id})
        return next(clients_of(rows.mappings().all()), None)

    def require_client(self, client_id: str) -> Client:
        """Read one client.

        Raises:
            UnknownClient: there is no such id.
        """
        client = self.find_client(client_id)
        if client is None:
            raise UnknownClient(f"no such client: {client_id}")
        return client

    def list_clients(
        self,
        after: str = "",
        limit: int | None = None,
        *,
        wanted: ClientFilter = EVERY_CLIENT,
        now: int = 0,
    ) -> list[Client]:
        """Read clients by id, in the order of its bytes.

        Args:
            after: the last id of the page before; nothing for the first page.
            limit: clients at the most; None for all.
            wanted: which; what it says of times counts from `now`.
            now: seconds since the epoch.
        """
        ids = select(clients.c.client_id).where(*conditions(wanted, now))
        found: list[Client] = []
        while limit is None or len(found) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            following = ids.where(clients.c.client_id > after)
            page = following.order_by(clients.c.client_id).limit(size)
            client_ids = list(self._connection.scalars(page))
            if not client_ids:
                break
            rows = self._connection.execute(_SOME_CLIENTS, {"client_ids": client_ids})
            found += clients_of(rows.mappings().all())
            if len(client_ids) < size:
                break
            after = client_ids[-1]
        return found

    def find_tokens(self, selection: TokenSelection, now: int) -> list[IndexRange]:
        """Find the indexes of tokens that may be alive; see `find_ranges`."""
        return find_ranges(self._connection, selection, now)

    def find_token_owners(
        self, selection: TokenSelection, now: int, *, among: str | None = None
    ) -> list[str]:
        """Find the clients that tokens were issued to; only of those for a resource, if named."""
        return find_owners(self._connection, selection, now, among=among)

    def find_resource(self, identifier: str) -> RegisteredResource | None:
        """Read one resource, once in the transaction, or None if there is no such identifier."""
        if identifier not in self._resources:
            wanted = _RESOURCES.where(resources.c.identifier == identifier)
            rows = self._connection.execute(wanted).all()
            self._resources[identifier] = _resource(rows) if rows else None
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
        rows = self._connection.execute(_RESOURCES).all()
        return [_resource(list(of)) for _, of in groupby(rows, lambda row: row.identifier)]

    def holders(self, resource: str) -> list[str]:
        """List clients with a grant on a resource; by id, at most four."""
        found = (
            select(client_grants.c.client_id)
            .distinct()
            .join(resources)
            .where(resources.c.identifier == resource)
            .order_by(client_grants.c.client_id)
            .limit(4)
        )
        return list(self._connection.scalars(found))

    def clients_holding(self, resource: str, rights: Collection[Right]) -> list[str]:
        """List all clients that hold one of some rights on a resource, by id."""
        scopes = [each.name for each in rights if each.kind == "scope"]
        types = {each.name for each in rights if each.kind != "scope"}
        of_scopes = (
            select(_scopes.client_id)
            .distinct()
            .join(resources, resources.c.resource_id == _scopes.resource_id)
            .where(resources.c.identifier == resource, _scopes.scope.in_(scopes))
        )
        found = set(self._connection.scalars(of_scopes)) if scopes else set()
        if types:
            of_types = (
                select(client_grants.c.client_id, client_grants.c.authorization_details_types)
                .join(resources)
                .where(
                    resources.c.identifier == resource,
                    client_grants.c.authorization_details_types.is_not(None),
                )
            )
            found |= {
                client_id
                for client_id, held in self._connection.execute(of_types)
                if not types.isdisjoint(held)
            }
        return sorted(found)

    def scope_usage(
        self,
        client_id: str | None = None,
        resource: str | None = None,
        scope: str | None = None,
        *,
        since: int = 0,
    ) -> list[LastUse]:
        """List who got which scopes since a time, narrowed as named; by client and resource."""
        identifier = resources.c.identifier
        uses = (
            select(_scopes.client_id, identifier, _scopes.scope, _scopes.last_used_at)
            .join(resources, resources.c.resource_id == _scopes.resource_id)
            .where(_scopes.last_used_at >= since)
            .order_by(_scopes.client_id, identifier, _scopes.scope)
        )
        named = ((_scopes.client_id, client_id), (identifier, resource), (_scopes.scope, scope))
        for column, value in named:
            if value is not None:
                uses = uses.where(column == value)
        return [
            LastUse(client_id=client, resource=on, scope=used, last_used_at=at)
            for client, on, used, at in self._connection.execute(uses)
        ]

    def list_usage(
        self,
        *,
        client_id: str | None = None,
        resource: str | None = None,
        scope: str | None = None,
        unused_since: int | None = None,
        after: tuple[str, str, str] = ("", "", ""),
        limit: int = 100,
    ) -> list[LastUse]:
        """List who may use which scope of which resource, and when each was last used.

        Args:
            client_id: of this client only.
            resource: of this resource only.
            scope: of this scope only.
            unused_since: only what was not used at this time or later.
            after: client, resource and scope that the page is behind.
            limit: uses at the most.
        """
        place = (_scopes.client_id, resources.c.identifier, _scopes.scope)
        uses = (
            select(*place, _scopes.last_used_at)
            .join(resources, resources.c.resource_id == _scopes.resource_id)
            .where(tuple_(*place) > tuple_(*map(literal, after)))
            .order_by(*place)
            .limit(limit)
        )
        for column, value in zip(place, (client_id, resource, scope), strict=True):
            if value is not None:
                uses = uses.where(column == value)
        if unused_since is not None:
            unused = or_(_scopes.last_used_at.is_(None), _scopes.last_used_at < unused_since)
            uses = uses.where(unused)
        return [
            LastUse(client_id=client, resource=on, scope=used, last_used_at=at)
            for client, on, used, at in self._connection.execute(uses)
        ]

    def list_audit(
        self,
        *,
        target: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: int | None = None,
        until: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Read the audit trail, the latest entry first.

        Args:
            target: of this client, resource or token only.
            actor: of this one only.
            action: this only, or if it is the first word of actions, such as `client`, those.
            since: made at this time or later.
            until: made before this time.
            before: older than the entry of this number.
            limit: entries at the most.
        """
        entry = audit_entries.c
        found = select(audit_entries).order_by(entry.number.desc()).limit(limit)
        for column, value in ((entry.target, target), (entry.actor, actor)):
            if value is not None:
                found = found.where(column == value)
        if action is not None:
            named = [each.value for each in Action if action in (each, each.partition(".")[0])]
            found = found.where(entry.action.in_(named))
        if since is not None:
            found = found.where(entry.at >= since)
        if until is not None:
            found = found.where(entry.at < until)
        if before is not None:
            found = found.where(entry.number < before)
        return [_entry(row) for row in self._connection.execute(found)]

    def find_registration_token(self, token_id: str) -> InitialAccessToken | None:
        """Read one initial access token, or None if there is no such id."""
        wanted = select(registration_tokens).where(_token.token_id == token_id)
        row = self._connection.execute(wanted).one_or_none()
        return None if row is None else _registration_token(row)

    def list_registration_tokens(self) -> list[InitialAccessToken]:
        """Read all initial access tokens, the oldest first."""
        found = select(registration_tokens).order_by(_token.created_at, _token.token_id)
        return [_registration_token(row) for row in self._connection.execute(found)]

    def find_registration_access(self, client_id: str) -> SecretHash | None:
        """Read the hash of the token that a client administers itself with (RFC 7592 §3).

        None if there is no such client, or it cannot administer itself.

        Raises:
            InvalidSecretHash: the stored hash is damaged.
        """
        stored = self._connection.scalar(
            select(clients.c.registration_access_hash).where(clients.c.client_id == client_id)
        )
        return None if stored is None else SecretHash.parse(stored)


def _resource(rows: Sequence[Row[Any]]) -> RegisteredResource:
    first = rows[0]
    columns = {"resource": first.identifier, "scopes": tuple(row.scope for row in rows)}
    return RegisteredResource(
        resource=restored(Resource, first.registration, columns, of=f"resource {first.identifier}"),
        created_at=first.created_at,
        updated_at=first.updated_at,
        revision=first.revision,
    )


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=Actor(name=row.actor, via=Via(row.via), request_id=row.request_id),
        action=Action(row.action),
        target=row.target,
        before=row.before,
        after=row.after,
    )


def _registration_token(row: Row[Any]) -> InitialAccessToken:
    return InitialAccessToken(
        token_id=row.token_id,
        hash=SecretHash.parse(row.hash),
        grants=tuple(read(ResourcePermission, each) for each in row.grants),
        token_ttl=row.token_ttl,
        uses_left=row.uses_left,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
