"""The change feed: every write leaves a note, so that views elsewhere know what to read again."""

from sqlalchemy import Connection, delete, func, insert, select

from issuer.ports import Changes
from issuer.storage.tables import client_secrets, registry_changes

KEPT = 10_000
"""Notes kept; a reader that is further behind reads everything again."""

READ_AT_MOST = 1_000
"""Notes that one reading lists; more count as "everything"."""


def note_change(connection: Connection, client_id: str | None) -> int:
    """Append a note to the feed, in the transaction of the change itself; returns its number.

    Args:
        connection: the transaction that changes the registry.
        client_id: who changed; None if any client may have.
    """
    seq = registry_changes.c.seq
    note = insert(registry_changes).values(client_id=client_id).returning(seq)
    latest = int(connection.execute(note).scalar_one())
    connection.execute(delete(registry_changes).where(seq <= latest - KEPT))
    return latest


def read_changes(connection: Connection, cursor: int, *, feed: str) -> Changes:
    """Read the notes after `cursor`, of the feed that the database is known to hold."""
    seq = registry_changes.c.seq
    first, last = connection.execute(
        select(
            select(func.min(seq)).scalar_subquery(),
            select(func.max(seq)).scalar_subquery(),
        )
    ).one()
    return Changes(
        feed=feed,
        cursor=last or 0,
        client_ids=_changed_since(connection, cursor, first or 1, last or 0),
        any_slow_secret=_any_slow_secret(connection),
    )


def _changed_since(
    connection: Connection, cursor: int, first: int, last: int
) -> frozenset[str] | None:
    # A gap behind the cursor means trimmed notes; a cursor ahead of the feed means another feed.
    if first > cursor + 1 or last < cursor:
        return None
    notes = connection.scalars(
        select(registry_changes.c.client_id)
        .where(registry_changes.c.seq > cursor)
        .limit(READ_AT_MOST + 1)
    ).all()
    if len(notes) > READ_AT_MOST or None in notes:
        return None
    return frozenset(notes)


def _any_slow_secret(connection: Connection) -> bool:
    owner = client_secrets.c.client_id
    # In the order of the index of slow secrets, else PostgreSQL reads a table that it has no
    # statistics of from the beginning, in the hope of meeting one soon.
    slow = select(owner).where(client_secrets.c.slow).order_by(owner).limit(1)
    return connection.execute(slow).first() is not None
