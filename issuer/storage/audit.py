"""Write and read the audit trail. There is no statement here that changes or deletes an entry."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from issuer.registry.audit import Action, Actor, AuditEntry, Via
from issuer.storage.tables import audit_entries

_entry = audit_entries.c


def append_entry(connection: Connection, entry: AuditEntry) -> None:
    """Append an entry, in the transaction of the change that it tells of."""
    connection.execute(
        insert(audit_entries).values(
            at=entry.at,
            actor=entry.actor.name,
            via=entry.actor.via.value,
            request_id=entry.actor.request_id,
            action=entry.action.value,
            target=entry.target,
            before=None if entry.before is None else dict(entry.before),
            after=None if entry.after is None else dict(entry.after),
        )
    )


def list_entries(
    connection: Connection, *, target: str | None, before: int | None, limit: int
) -> list[AuditEntry]:
    """Read entries, the latest first.

    Args:
        connection: the transaction.
        target: of this client, resource or token only.
        before: older than the entry of this number.
        limit: entries at the most.
    """
    found = select(audit_entries).order_by(_entry.number.desc()).limit(limit)
    if target is not None:
        found = found.where(_entry.target == target)
    if before is not None:
        found = found.where(_entry.number < before)
    return [_read(row) for row in connection.execute(found)]


def _read(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=Actor(name=row.actor, via=Via(row.via), request_id=row.request_id),
        action=Action(row.action),
        target=row.target,
        before=row.before,
        after=row.after,
    )
