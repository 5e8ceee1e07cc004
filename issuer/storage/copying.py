"""Copy a whole registry from one database to another, whichever engines they are."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text, tuple_, update

from issuer.registry.errors import RegistryNotEmpty, StoreUnavailable
from issuer.status.positions import Status
from issuer.storage.engines.database import SERVING_LOCK
from issuer.storage.key_records import new_revision
from issuer.storage.rows import begin_epoch, note_change
from issuer.storage.tables import (
    audit_entries,
    claims,
    clients,
    counters,
    limit_counts,
    metadata,
    registry_changes,
    resources,
    signing_keys,
    status_blocks,
    status_changes,
)

_ROWS = 1_000
_KEPT = (claims, counters, limit_counts, signing_keys, status_blocks, status_changes)
_REPLACED = [each for each in metadata.sorted_tables if each not in _KEPT]
_NUMBERED = (resources.c.resource_id, registry_changes.c.seq, audit_entries.c.number)


def refuse_to_replace(connection: Connection) -> None:
    """Refuse to give up a registry that has clients or resources, or that a server follows.

    Args:
        connection: a transaction that changes it.

    Raises:
        RegistryNotEmpty: it must not be replaced unasked.
    """
    if connection.dialect.name == "postgresql":  # SQLite locks its file
        alone = f"SELECT pg_try_advisory_xact_lock({SERVING_LOCK})"
        if not connection.exec_driver_sql(alone).scalar():
            raise RegistryNotEmpty("the registry is in use; stop the servers first, or say --force")
    if any(connection.execute(select(table).limit(1)).first() for table in (clients, resources)):
        raise RegistryNotEmpty(
            "the registry has clients or resources; to give them up, say --force"
        )


def copy_rows(source: Connection, target: Connection) -> None:
    """Give a registry the rows of another instead of its own.

    Claims, counters and the status of tokens are not set back: an id that was claimed stays so, no
    number is given twice, and a token that was revoked stays so, whichever of the two knows of it.
    Counts of the last minute and signing keys are not of the registry.

    Args:
        source: a transaction that sees one state throughout.
        target: a transaction that writes.
    """
    for table in reversed(_REPLACED):
        target.execute(table.delete())
    for table in _REPLACED:
        for rows in _parts(source, table):
            target.execute(insert(table), rows)
    _keep_claims(source, target)
    _keep_counters(source, target)
    _keep_status(source, target)


def _keep_claims(source: Connection, target: Connection) -> None:
    for rows in _parts(source, claims):
        digests = claims.c.digest.in_([row["digest"] for row in rows])
        held = set(target.scalars(select(claims.c.digest).where(digests)))
        if new := [row for row in rows if row["digest"] not in held]:
            target.execute(insert(claims), new)


def _keep_counters(source: Connection, target: Connection) -> None:
    for rows in _parts(source, counters):
        for row in rows:
            named = counters.c.name == row["name"]
            behind = update(counters).where(named, counters.c.next < row["next"])
            if not target.scalar(select(counters.c.name).where(named)):
                target.execute(insert(counters), [row])
            target.execute(behind.values(next=row["next"]))


def _keep_status(source: Connection, target: Connection) -> None:
    """Add what the source alone knows of the status of tokens.

    Of a bucket that the target knows, only what revokes or suspends is added: the target may know
    better than an older backup what was restored since. Numbers are the target's own.
    """
    known = {
        bucket
        for table in (status_blocks, status_changes)
        for bucket in target.scalars(select(table.c.bucket).distinct())
    }
    columns = status_changes.c
    what = (columns.bucket, columns.first, columns.size, columns.status)
    held = set(map(tuple, target.execute(select(*what).where(columns.status != Status.VALID))))
    for rows in _parts(source, status_changes):
        if new := [
            row
            for row in ({each.name: row[each.name] for each in what} for row in rows)
            if row["bucket"] not in known
            or (row["status"] != Status.VALID and tuple(row.values()) not in held)
        ]:
            target.execute(insert(status_changes), new)
    key = (status_blocks.c.bucket, status_blocks.c.first)
    for rows in _parts(source, status_blocks):
        keys = [(row["bucket"], row["first"]) for row in rows]
        there = set(map(tuple, target.execute(select(*key).where(tuple_(*key).in_(keys)))))
        if new := [row for row in rows if (row["bucket"], row["first"]) not in there]:
            target.execute(insert(status_blocks), new)


def _parts(source: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    ordered = select(table).order_by(*table.primary_key)
    rows = source.execution_options(yield_per=_ROWS).execute(ordered)
    for part in rows.mappings().partitions():
        yield [dict(row) for row in part]


def begin_anew(connection: Connection) -> None:
    """Have every process that knows the registry as it was before a restore read it anew."""
    begin_epoch(connection)
    if connection.dialect.name == "postgresql":
        # SQLite keeps count of the numbers that rows bring; sequences do not.
        for column in _NUMBERED:
            sequence = func.pg_get_serial_sequence(column.table.name, column.name)
            latest = connection.execute(select(func.max(column))).scalar_one()
            connection.execute(select(func.setval(sequence, latest or 1, latest is not None)))
    note_change(connection, None)


def replace_keys(connection: Connection, contents: Mapping[str, bytes]) -> None:
    """Have these signing keys, by name, instead of those that are there."""
    connection.execute(signing_keys.delete())
    for name, content in contents.items():
        row = {"name": name, "content": content, "revision": new_revision()}
        connection.execute(insert(signing_keys), [row])


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
