"""Copy a whole registry from one database to another, whichever engines they are."""

from sqlalchemy import Connection, func, insert, select, text

from issuer.registry.errors import StoreUnavailable
from issuer.storage.feed import begin_epoch, note_change
from issuer.storage.tables import (
    audit_entries,
    clients,
    metadata,
    registry_changes,
    resources,
)

_ROWS = 1_000
_NUMBERED = (resources.c.resource_id, registry_changes.c.seq, audit_entries.c.number)


def is_empty(connection: Connection) -> bool:
    """Tell whether a registry has neither clients nor resources."""
    return not any(
        connection.execute(select(table).limit(1)).first() for table in (clients, resources)
    )


def clear(connection: Connection) -> None:
    """Delete every row, in an order that the references between tables allow."""
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every row to tables that are empty.

    Args:
        source: a transaction that sees one state throughout.
        target: a transaction that writes.
    """
    clear(target)  # a fresh schema has an epoch
    for table in metadata.sorted_tables:
        rows = source.execution_options(yield_per=_ROWS).execute(select(table))
        for part in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in part])


def begin_anew(connection: Connection) -> None:
    """Have everybody who knows the registry as it was before a restore read it anew."""
    begin_epoch(connection)
    if connection.dialect.name == "postgresql":
        # SQLite keeps count of the numbers that rows bring; sequences do not.
        for column in _NUMBERED:
            sequence = func.pg_get_serial_sequence(column.table.name, column.name)
            latest = connection.execute(select(func.max(column))).scalar_one()
            connection.execute(select(func.setval(sequence, latest or 1, latest is not None)))
    note_change(connection, None)


def copy_whole(source: Connection, target: Connection) -> None:
    """Copy a backup, after a check that it is whole.

    Raises:
        StoreUnavailable: it is damaged.
    """
    _check_content(source)
    copy_rows(source, target)


def _check_content(connection: Connection) -> None:
    found = connection.execute(text("PRAGMA integrity_check")).scalars().all()
    if found != ["ok"] or connection.execute(text("PRAGMA foreign_key_check")).first():
        raise StoreUnavailable("the database in the backup is damaged; take another backup")
