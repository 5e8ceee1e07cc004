"""Read and write what opens `/register`: statements over one connection, no transaction."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from issuer.registry.client import ResourcePermission
from issuer.registry.client_secret import SecretHash
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.schema import read, write
from issuer.storage.tables import clients, registration_tokens

_token = registration_tokens.c


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


def find_token(connection: Connection, token_id: str) -> InitialAccessToken | None:
    """Read one initial access token, or None if there is no such id."""
    row = connection.execute(
        select(registration_tokens).where(_token.token_id == token_id)
    ).one_or_none()
    return None if row is None else _read(row)


def list_tokens(connection: Connection) -> list[InitialAccessToken]:
    """Read all initial access tokens, the oldest first."""
    found = select(registration_tokens).order_by(_token.created_at, _token.token_id)
    return [_read(row) for row in connection.execute(found)]


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


def find_access_hash(connection: Connection, client_id: str) -> SecretHash | None:
    """Read that hash; None if there is no such client, or it cannot administer itself.

    Raises:
        InvalidSecretHash: the stored hash is damaged.
    """
    text = connection.scalar(
        select(clients.c.registration_access_hash).where(clients.c.client_id == client_id)
    )
    return None if text is None else SecretHash.parse(text)


def _read(row: Row[Any]) -> InitialAccessToken:
    return InitialAccessToken(
        token_id=row.token_id,
        hash=SecretHash.parse(row.hash),
        grants=tuple(read(ResourcePermission, each) for each in row.grants),
        token_ttl=row.token_ttl,
        uses_left=row.uses_left,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
