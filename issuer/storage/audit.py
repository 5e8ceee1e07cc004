"""The audit trail, and the answers that are kept for retries: statements, no transaction.

No statement here changes or deletes an entry of the trail. Of requests only hashes are kept, and
answers without what must not be shown again.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from issuer.registry.audit import Action, Actor, AuditEntry, Via
from issuer.registry.schema import Json
from issuer.storage.tables import audit_entries, idempotent_answers

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


KEPT_SECONDS = 86_400
"""How long an answer is kept; the same key afterwards is a new request."""

_answer = idempotent_answers.c


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer, and the hash of what it answers."""

    fingerprint: str
    answer: Json


def find_answer(connection: Connection, key_hash: str, *, now: int) -> KeptAnswer | None:
    """Read what was answered under this key; what is too old is deleted on the way."""
    oldest = now - KEPT_SECONDS
    connection.execute(delete(idempotent_answers).where(_answer.created_at <= oldest))
    row = connection.execute(
        select(idempotent_answers).where(_answer.key_hash == key_hash)
    ).one_or_none()
    return None if row is None else KeptAnswer(fingerprint=row.fingerprint, answer=row.answer)


def insert_answer(connection: Connection, key_hash: str, kept: KeptAnswer, *, now: int) -> None:
    """Keep an answer under a key that has none."""
    connection.execute(
        insert(idempotent_answers).values(
            key_hash=key_hash, fingerprint=kept.fingerprint, answer=kept.answer, created_at=now
        )
    )
