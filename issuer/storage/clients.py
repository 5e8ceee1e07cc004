"""Read and write clients and their secrets: statements over one connection, no transaction."""

from typing import Any

from sqlalchemy import Connection, delete, insert, text, update

from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import ClientSecret, NewSecret
from issuer.registry.schema import stored
from issuer.storage.grants import replace_grants
from issuer.storage.statements import SELECT, clients_of
from issuer.storage.tables import client_secrets, clients

_ONE = text(SELECT.format(wanted="= :client_id"))
_SOME = text(
    SELECT.format(
        wanted="IN (SELECT client_id FROM clients WHERE client_id > :after"
        " ORDER BY client_id LIMIT :size)"
    )
)
_PAGE = 500
_ELSEWHERE = {"client_id", "disabled", "expires_at", "grants"}
"""Members of a registration that have a column or tables of their own."""


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Read one client with its grants and secrets, or None if there is no such id."""
    rows = connection.execute(_ONE, {"client_id": client_id}).mappings().all()
    return next(clients_of(rows), None)


def list_clients(connection: Connection, after: str = "", limit: int | None = None) -> list[Client]:
    """Read clients by id, in the order of its bytes.

    Args:
        connection: the transaction.
        after: the last id of the page before; nothing for the first page.
        limit: clients at the most; None for all.
    """
    found: list[Client] = []
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        rows = connection.execute(_SOME, {"after": after, "size": size}).mappings().all()
        page = list(clients_of(rows))
        found += page
        if len(page) < size:
            break
        after = page[-1].client_id
    return found


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
    replace_grants(connection, registration.client_id, (), registration.grants)


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
    replace_grants(connection, before.client_id, before.grants, after.grants)


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


def _columns(registration: ClientRegistration) -> dict[str, Any]:
    return {
        "registration": stored(registration, without=_ELSEWHERE),
        "disabled": registration.disabled,
        "expires_at": registration.expires_at,
    }
