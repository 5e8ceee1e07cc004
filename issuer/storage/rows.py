"""Write the rows of the registry: statements over one connection, no rule and no transaction.

Every change leaves a note in the change feed, so that other processes know what to read again, and
an entry in the audit trail, of which no statement here changes or deletes any. Of requests and
secrets only hashes are kept, and answers without what must not be shown again.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.credentials import ClientSecret, NewSecret, SecretHash
from issuer.registry.errors import UnknownResource
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import Resource
from issuer.registry.schema import Json, stored, write
from issuer.storage.tables import (
    audit_entries,
    client_grant_scopes,
    client_grants,
    client_secrets,
    clients,
    idempotent_answers,
    registration_tokens,
    registry_changes,
    registry_identity,
    resource_scopes,
    resources,
)

KEPT = 10_000
"""Notes kept; a reader that is further behind reads everything again."""

KEPT_SECONDS = 86_400
"""How long an answer is kept; the same key afterwards is a new request."""

ISSUER = "issuer"
EPOCH = "epoch"
SEAL_KEY = "seal_key"
"""The names of what identifies the registry, and of what all of its nodes share."""

_EPOCH_BYTES = 16
_OF_CLIENT = {"client_id", "disabled", "expires_at", "grants"}
_OF_RESOURCE = {"resource", "scopes"}
"""Members that have a column or tables of their own."""

_answer = idempotent_answers.c
_identity = registry_identity.c
_scopes = client_grant_scopes.c
_token = registration_tokens.c


def note_change(connection: Connection, client_id: str | None) -> int:
    """Append a note to the feed, in the transaction of the change itself; returns its number.

    Args:
        connection: the transaction that changes the registry.
        client_id: which client changed; None if any client may have.
    """
    seq = registry_changes.c.seq
    note = insert(registry_changes).values(client_id=client_id).returning(seq)
    latest = int(connection.execute(note).scalar_one())
    connection.execute(delete(registry_changes).where(seq <= latest - KEPT))
    return latest


def append_entry(connection: Connection, entry: AuditEntry) -> None:
    """Append an entry, in the transaction of the change that it tells of."""
    connection.execute(
        insert(audit_entries).values(
            at=entry.at,
            actor=entry.actor.name,
            via=entry.actor.via.value,
            request_id=entry.actor.request_id,
            action=entry.action.value,
            target=entry.target,
            before=None if entry.before is None else dict(entry.before),
            after=None if entry.after is None else dict(entry.after),
        )
    )


def begin_epoch(connection: Connection) -> None:
    """Begin a new epoch: what processes remember of the feed is not valid any more."""
    write_identity(connection, EPOCH, secrets.token_hex(_EPOCH_BYTES))


def write_identity(connection: Connection, name: str, value: str) -> None:
    """Write a member of the identity of the registry."""
    connection.execute(delete(registry_identity).where(_identity.name == name))
    connection.execute(insert(registry_identity).values(name=name, value=value))


def insert_client(
    connection: Connection, registration: ClientRegistration, *, now: int, revision: int
) -> None:
    """Add a client whose id is free.

    Raises:
        UnknownResource: a grant is on a resource that does not exist.
    """
    connection.execute(
        insert(clients).values(
            client_id=registration.client_id,
            created_at=now,
            updated_at=now,
            revision=revision,
            **_columns(registration),
        )
    )
    _replace_grants(connection, registration.client_id, (), registration.grants)


def update_client(connection: Connection, before: Client, after: Client) -> None:
    """Make a client what it should be.

    Raises:
        UnknownResource: a grant is on a resource that does not exist.
    """
    connection.execute(
        update(clients)
        .where(clients.c.client_id == before.client_id)
        .values(
            updated_at=after.updated_at, revision=after.revision, **_columns(after.registration)
        )
    )
    _replace_grants(connection, before.client_id, before.grants, after.grants)


def touch_client(connection: Connection, client_id: str, *, now: int, revision: int) -> None:
    """Note that something of a client has changed."""
    connection.execute(
        update(clients)
        .where(clients.c.client_id == client_id)
        .values(updated_at=now, revision=revision)
    )


def delete_client(connection: Connection, client_id: str) -> None:
    """Delete a client with its grants and secrets."""
    connection.execute(delete(clients).where(clients.c.client_id == client_id))


def _columns(registration: ClientRegistration) -> dict[str, Any]:
    return {
        "registration": stored(registration, without=_OF_CLIENT),
        "disabled": registration.disabled,
        "expires_at": registration.expires_at,
    }


def insert_secret(
    connection: Connection, client_id: str, new: NewSecret, *, now: int
) -> ClientSecret:
    """Add a secret to a client, and return it as it is kept."""
    secret = ClientSecret(
        secret_id=new.hash.secret_id,
        hash=new.hash,
        created_at=now,
        starts_at=now if new.starts_at is None else new.starts_at,
        expires_at=new.expires_at,
    )
    connection.execute(
        insert(client_secrets).values(
            client_id=client_id,
            secret_id=secret.secret_id,
            hash=secret.hash.text,
            slow=secret.hash.slow,
            created_at=secret.created_at,
            starts_at=secret.starts_at,
            expires_at=secret.expires_at,
        )
    )
    return secret


def delete_secret(connection: Connection, client_id: str, secret_id: str) -> None:
    """Delete a secret, if it is there."""
    connection.execute(
        delete(client_secrets).where(
            client_secrets.c.client_id == client_id, client_secrets.c.secret_id == secret_id
        )
    )


def _replace_grants(
    connection: Connection,
    client_id: str,
    before: Sequence[ResourcePermission],
    after: Sequence[ResourcePermission],
) -> None:
    """Make the grants of a client what they should be; what stays keeps when it was last used.

    Raises:
        UnknownResource: a grant is on a resource that does not exist.
    """
    table = client_grants.c
    of_client = table.client_id == client_id
    kept = {grant.resource for grant in after}
    for grant in before:
        if grant.resource not in kept:
            row = _resource_row(connection, grant.resource)
            connection.execute(delete(client_grants).where(of_client, table.resource_id == row))
    held = {grant.resource: grant.scopes for grant in before}
    for position, grant in enumerate(after):
        row = _resource_row(connection, grant.resource)
        types = list(grant.authorization_details_types) or None
        values: dict[str, Any] = {"position": position, "authorization_details_types": types}
        if grant.resource in held:
            of_grant = and_(of_client, table.resource_id == row)
            connection.execute(update(client_grants).where(of_grant).values(**values))
        else:
            values |= {"client_id": client_id, "resource_id": row}
            connection.execute(insert(client_grants).values(**values))
        _replace_scopes(connection, client_id, row, held.get(grant.resource, ()), grant)


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


def insert_resource(connection: Connection, resource: Resource, *, now: int, revision: int) -> None:
    """Add a resource whose identifier is free."""
    row = connection.execute(
        insert(resources)
        .values(
            identifier=resource.resource,
            created_at=now,
            updated_at=now,
            revision=revision,
            registration=stored(resource, without=_OF_RESOURCE),
        )
        .returning(resources.c.resource_id)
    ).scalar_one()
    _insert_scopes(connection, row, list(enumerate(resource.scopes)))


def update_resource(
    connection: Connection, before: Resource, after: Resource, *, now: int, revision: int
) -> None:
    """Make a resource what it should be; no grant may hold a scope that goes."""
    row = _resource_row(connection, before.resource)
    connection.execute(
        update(resources)
        .where(resources.c.resource_id == row)
        .values(
            updated_at=now,
            revision=revision,
            registration=stored(after, without=_OF_RESOURCE),
        )
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


def _resource_row(connection: Connection, identifier: str) -> int:
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


def insert_token(connection: Connection, token: InitialAccessToken) -> None:
    """Add an initial access token."""
    connection.execute(
        insert(registration_tokens).values(
            token_id=token.token_id,
            hash=token.hash.text,
            grants=[write(grant) for grant in token.grants],
            token_ttl=token.token_ttl,
            uses_left=token.uses_left,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )
    )


def delete_token(connection: Connection, token_id: str) -> None:
    """Delete an initial access token."""
    connection.execute(delete(registration_tokens).where(_token.token_id == token_id))


def claim_use(connection: Connection, token_id: str, *, now: int) -> bool:
    """Take one use of an initial access token in one statement; False if there is none to take."""
    claimed = connection.execute(
        update(registration_tokens)
        .where(
            _token.token_id == token_id,
            or_(_token.uses_left.is_(None), _token.uses_left > 0),
            or_(_token.expires_at.is_(None), _token.expires_at > now),
        )
        .values(uses_left=_token.uses_left - 1)  # none stays none: as many as come
    )
    return claimed.rowcount == 1


def write_access_hash(connection: Connection, client_id: str, access: SecretHash) -> None:
    """Note the hash of the token that a client administers itself with (RFC 7592 §3)."""
    connection.execute(
        update(clients)
        .where(clients.c.client_id == client_id)
        .values(registration_access_hash=access.text)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer, and the hash of what it answers."""

    fingerprint: str
    answer: Json


def find_answer(connection: Connection, key_hash: str, *, now: int) -> KeptAnswer | None:
    """Read what was answered under this key; what is too old is deleted on the way."""
    oldest = now - KEPT_SECONDS
    connection.execute(delete(idempotent_answers).where(_answer.created_at <= oldest))
    row = connection.execute(
        select(idempotent_answers).where(_answer.key_hash == key_hash)
    ).one_or_none()
    return None if row is None else KeptAnswer(fingerprint=row.fingerprint, answer=row.answer)


def insert_answer(connection: Connection, key_hash: str, kept: KeptAnswer, *, now: int) -> None:
    """Keep an answer under a key that has none."""
    connection.execute(
        insert(idempotent_answers).values(
            key_hash=key_hash, fingerprint=kept.fingerprint, answer=kept.answer, created_at=now
        )
    )
