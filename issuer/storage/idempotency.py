"""Keep answers to requests that a retry must not carry out twice: statements, no transaction.

Only hashes of keys and requests are kept, and answers without what must not be shown again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from issuer.registry.schema import Json
from issuer.storage.tables import idempotent_answers

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
