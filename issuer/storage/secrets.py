"""Read and write client secrets: statements over one connection, no transaction of their own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update

from issuer.registry.client_secret import ClientSecret, NewSecret
from issuer.registry.secret_hash import SecretHash
from issuer.storage.tables import client_secrets

_table = client_secrets.c
_DAY = 86_400

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

_USED = (
    update(client_secrets)
    .where(
        _table.client_id == bindparam("of_client"),
        _table.secret_id == bindparam("of_secret"),
        or_(_table.last_used_at.is_(None), _table.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"))
)


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


def write_secret_usage(connection: Connection, uses: Mapping[tuple[str, str], int]) -> None:
    """Write when secrets were last used; what is there already is never set back."""
    if uses:
        connection.execute(
            _USED,
            # In one order, so that two writers never wait for each other in a circle.
            [
                {"of_client": client_id, "of_secret": secret_id, "at": at}
                for (client_id, secret_id), at in sorted(uses.items())
            ],
        )


def claim_expiring(
    connection: Connection, *, now: int, until: int, started: int
) -> list[tuple[str, str, int]]:
    """Take the secrets that end by `until` and are to be announced, each for one caller a day.

    Args:
        connection: a transaction that writes.
        now: the time.
        until: the latest end that is announced.
        started: what was announced before this is announced again.

    Returns:
        Client id, secret id and end of each.
    """
    due = connection.execute(
        update(client_secrets)
        .where(
            _table.expires_at > now,
            _table.expires_at <= until,
            or_(
                _table.expiry_announced_at.is_(None),
                _table.expiry_announced_at < max(started, now - _DAY + 1),
                _table.expiry_announced_at > now + _DAY,  # by a clock that was wrong
            ),
        )
        .values(expiry_announced_at=now)
        .returning(_table.client_id, _table.secret_id, _table.expires_at)
    )
    return sorted((row.client_id, row.secret_id, row.expires_at) for row in due)


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
