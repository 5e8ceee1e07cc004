"""The change feed: every write appends a note, so that other processes know what to read again."""

from sqlalchemy import Connection, delete, insert

from issuer.storage.tables import registry_changes

KEPT = 10_000
"""Notes kept; a reader that is further behind reads everything again."""


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
