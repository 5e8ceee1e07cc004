"""Read and write client secrets: statements over one connection, no transaction of their own."""

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from issuer.registry.client_secret import ClientSecret, NewSecret
from issuer.registry.secret_hash import SecretHash
from issuer.storage.tables import client_secrets

_table = client_secrets.c

SECRETS: Select[Any] = select(
    _table.client_id,
    _table.secret_id,
    _table.hash,
    _table.created_at,
    _table.starts_at,
    _table.expires_at,
    _table.last_used_at,
).order_by(_table.created_at, _table.secret_id)
"""Secrets, the oldest first."""


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
        delete(client_secrets).where(_table.client_id == client_id, _table.secret_id == secret_id)
    )


def secret_of(row: Row[Any]) -> ClientSecret:
    """Build a secret from its row.

    Raises:
        InvalidSecretHash: the stored hash is damaged.
    """
    return ClientSecret(
        secret_id=row.secret_id,
        hash=SecretHash.parse(row.hash),
        created_at=row.created_at,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
