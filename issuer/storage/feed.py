"""The change feed, and what identifies a registry: its issuer and the epoch of its feed.

Every write appends a note to the feed, so that other processes know what to read again.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from issuer.storage.tables import registry_changes, registry_identity

KEPT = 10_000
"""Notes kept; a reader that is further behind reads everything again."""

_EPOCH = "epoch"
_ISSUER = "issuer"
_EPOCH_BYTES = 16

_identity = registry_identity.c


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryIdentity:
    """Whose registry it is, and which feed its numbers belong to.

    Args:
        issuer: the issuer identifier that it serves; None until it is first served or written.
        epoch: random, chosen anew whenever the content is replaced from outside the feed: two
            numbers of the change feed are comparable only within one epoch.
    """

    issuer: str | None
    epoch: str


def read_identity(connection: Connection) -> RegistryIdentity:
    """Read what identifies the registry."""
    rows = connection.execute(select(_identity.name, _identity.value))
    found = {row.name: row.value for row in rows}
    return RegistryIdentity(issuer=found.get(_ISSUER), epoch=found.get(_EPOCH, ""))


def write_issuer(connection: Connection, issuer: str) -> None:
    """Write which issuer the registry belongs to."""
    _write(connection, _ISSUER, issuer)


def begin_epoch(connection: Connection) -> None:
    """Begin a new epoch: what processes remember of the feed is not valid any more."""
    _write(connection, _EPOCH, secrets.token_hex(_EPOCH_BYTES))


def _write(connection: Connection, name: str, value: str) -> None:
    connection.execute(delete(registry_identity).where(_identity.name == name))
    connection.execute(insert(registry_identity).values(name=name, value=value))
