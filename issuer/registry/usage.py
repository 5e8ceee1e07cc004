"""When credentials and scopes were last used: gathered in memory, written in batches by a job.

Pure; the shell decides when to take a batch and where to write it.
"""

from dataclasses import dataclass

RESOLUTION = 60
"""Seconds within which a second use of the same thing is not written again."""

BOUND = 50_000
"""Uses remembered; beyond it all are forgotten, which costs one more write of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUse:
    """When a client last used a scope of a resource, or a secret; None if never."""

    client_id: str
    last_used_at: int | None
    resource: str | None = None
    scope: str | None = None
    secret_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBatch:
    """Times of use to be written: by (client, credential) and by (client, resource, scopes)."""

    credentials: dict[tuple[str, str], int]
    grants: dict[tuple[str, str, tuple[str, ...]], int]

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.credentials or self.grants)


class UsageLog:
    """Remembers uses until they are written; `note` costs two dictionary look-ups."""

    def __init__(self) -> None:
        self._credentials: dict[tuple[str, str], int] = {}
        self._grants: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._pending = UsageBatch(credentials={}, grants={})

    def note(
        self, client_id: str, credential_id: str, resource: str, scopes: tuple[str, ...], now: int
    ) -> None:
        """Note that a client got a token with a credential, for scopes of a resource."""
        self.note_credential(client_id, credential_id, now)
        grant = (client_id, resource, scopes)
        if now - self._grants.get(grant, 0) >= RESOLUTION:
            self._grants[grant] = self._pending.grants[grant] = now

    def note_credential(self, client_id: str, credential_id: str, now: int) -> None:
        """Note that a client proved its identity with a credential."""
        credential = (client_id, credential_id)
        if now - self._credentials.get(credential, 0) >= RESOLUTION:
            self._credentials[credential] = self._pending.credentials[credential] = now

    def take(self) -> UsageBatch:
        """Return the uses to be written, and start a new batch."""
        batch, self._pending = self._pending, UsageBatch(credentials={}, grants={})
        if len(self._credentials) + len(self._grants) > BOUND:
            self._credentials.clear()
            self._grants.clear()
        return batch

    def put_back(self, batch: UsageBatch) -> None:
        """Keep a batch that could not be written; uses noted since then are newer.

        Memory stays bounded while the store is unavailable: a batch beyond the bound is dropped.
        """
        if len(batch.credentials) + len(batch.grants) > BOUND:
            return
        self._pending = UsageBatch(
            credentials=batch.credentials | self._pending.credentials,
            grants=batch.grants | self._pending.grants,
        )
