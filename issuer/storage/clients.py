"""Read and write clients: statements over one connection, no transaction of their own."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    insert,
    null,
    select,
    type_coerce,
    union_all,
    update,
)

from issuer.registry.auth_method import ALL_MATERIAL, AuthMethod
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import ClientSecret
from issuer.registry.errors import UnknownClient
from issuer.storage.grants import GRANT_ORDER, GRANTS, Granted, granted, replace_grants
from issuer.storage.secrets import SECRETS, secret_of
from issuer.storage.tables import client_grants, client_secrets, clients

# Named apart from the columns of secrets and resources, beside which they are read.
_OF_CLIENT: tuple[ColumnElement[Any], ...] = (
    clients.c.client_id,
    clients.c.display_name,
    clients.c.auth_method,
    clients.c.material,
    clients.c.grant_types,
    clients.c.token_ttl.label("client_token_ttl"),
    clients.c.dpop_bound,
    clients.c.certificate_bound,
    clients.c.disabled,
    clients.c.expires_at.label("client_expires_at"),
    clients.c.notes,
    clients.c.created_at.label("client_created_at"),
    clients.c.updated_at,
    clients.c.revision,
)
_CLIENTS = select(*_OF_CLIENT).order_by(clients.c.client_id)
_PAGE = 500
_NOTHING: Granted = ((), {})


def _statement_for_one() -> CompoundSelect[Any]:
    """Select a client with each of its secrets, and each scope that it is granted."""
    wanted: BindParameter[str] = bindparam("wanted")
    of_secrets = SECRETS.selected_columns[1:]
    of_grants = GRANTS.selected_columns[1:]
    with_secrets = (
        select(*_OF_CLIENT, *of_secrets, *_absent(of_grants))
        .join_from(clients, client_secrets, isouter=True)
        .where(clients.c.client_id == wanted)
    )
    with_grants = GRANTS.order_by(None).with_only_columns(
        client_grants.c.client_id, *_absent(_OF_CLIENT[1:]), *_absent(of_secrets), *of_grants
    )
    return union_all(with_secrets, with_grants.where(client_grants.c.client_id == wanted)).order_by(
        *GRANT_ORDER, "created_at", "secret_id"
    )


def _absent(columns: Iterable[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [type_coerce(null(), column.type).label(column.key) for column in columns]


_ONE = _statement_for_one()


def find_client(connection: Connection, client_id: str) -> Client | None:
    """Read one client with its grants and secrets, or None if there is no such id.

    In one statement, for this is what a request waits for whose client is not in memory.
    """
    rows = connection.execute(_ONE, {"wanted": client_id}).all()
    of_grants = [row for row in rows if row.identifier is not None]
    of_client = [row for row in rows if row.identifier is None]
    if not of_client:
        return None
    grants = next(granted(of_grants), (client_id, _NOTHING))[1]
    secrets = [secret_of(row) for row in of_client if row.secret_id is not None]
    return _client(of_client[0], grants, secrets)


def require_client(connection: Connection, client_id: str) -> Client:
    """Read one client with its grants and secrets.

    Raises:
        UnknownClient: there is no such id.
    """
    client = find_client(connection, client_id)
    if client is None:
        raise UnknownClient(f"no such client: {client_id}")
    return client


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
        page = _read_clients(connection, _CLIENTS.where(clients.c.client_id > after).limit(size))
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


def update_client(
    connection: Connection,
    before: ClientRegistration,
    after: ClientRegistration,
    *,
    now: int,
    revision: int,
) -> None:
    """Make a client what it should be.

    Raises:
        UnknownResource: a grant is on a resource that does not exist.
    """
    connection.execute(
        update(clients)
        .where(clients.c.client_id == before.client_id)
        .values(updated_at=now, revision=revision, **_columns(after))
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


def _columns(registration: ClientRegistration) -> dict[str, object]:
    return {
        "display_name": registration.client_name,
        "auth_method": registration.token_endpoint_auth_method.value,
        "material": {
            name: value
            for name in ALL_MATERIAL
            if (value := getattr(registration, name)) is not None
        }
        or None,
        "grant_types": " ".join(registration.grant_types),
        "token_ttl": registration.token_ttl,
        "dpop_bound": registration.dpop_bound_access_tokens,
        "certificate_bound": registration.tls_client_certificate_bound_access_tokens,
        "disabled": registration.disabled,
        "expires_at": registration.expires_at,
        "notes": dict(registration.metadata) or None,
    }


def _read_clients(connection: Connection, of_clients: Select[Any]) -> list[Client]:
    rows = connection.execute(of_clients).all()
    ids = [row.client_id for row in rows]
    if not ids:
        return []
    grants = dict(granted(connection.execute(GRANTS.where(client_grants.c.client_id.in_(ids)))))
    secrets = defaultdict[str, list[ClientSecret]](list)
    for row in connection.execute(SECRETS.where(client_secrets.c.client_id.in_(ids))):
        secrets[row.client_id].append(secret_of(row))
    return [
        _client(row, grants.get(row.client_id, _NOTHING), secrets[row.client_id]) for row in rows
    ]


def _client(row: Row[Any], of_client: Granted, secrets: Sequence[ClientSecret]) -> Client:
    grants, policies = of_client
    return Client(
        registration=ClientRegistration(
            client_id=row.client_id,
            client_name=row.display_name,
            token_endpoint_auth_method=AuthMethod(row.auth_method),
            **(row.material or {}),
            grant_types=tuple(row.grant_types.split()),
            grants=grants,
            token_ttl=row.client_token_ttl,
            dpop_bound_access_tokens=row.dpop_bound,
            tls_client_certificate_bound_access_tokens=row.certificate_bound,
            disabled=row.disabled,
            expires_at=row.client_expires_at,
            metadata=row.notes or {},
        ),
        policies=policies,
        secrets=tuple(secrets),
        created_at=row.client_created_at,
        updated_at=row.updated_at,
        revision=row.revision,
    )
