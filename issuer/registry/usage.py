"""What was used last, to the minute: gathered in memory, written in batches off the token path.

Pure; the shell decides when to take a batch and where to write it.
"""

from dataclasses import dataclass

RESOLUTION = 60
"""Seconds within which a second use of the same thing is not written again."""

BOUND = 50_000
"""Things remembered; beyond it the memory starts anew, at the price of a write each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeUse:
    """When a client last got a scope of a resource; None if it never did."""

    client_id: str
    resource: str
    scope: str
    last_used_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBatch:
    """Times of use to be written: by (client, secret) and by (client, resource, scopes)."""

    secrets: dict[tuple[str, str], int]
    grants: dict[tuple[str, str, tuple[str, ...]], int]

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.secrets or self.grants)


class UsageLog:
    """Remembers uses until they are written; `note` costs two look-ups."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], int] = {}
        self._grants: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._pending = UsageBatch(secrets={}, grants={})

    def note(
        self, client_id: str, secret_id: str, resource: str, scopes: tuple[str, ...], now: int
    ) -> None:
        """Note that a client got a token with a secret, for scopes of a resource."""
        secret = (client_id, secret_id)
        if now - self._secrets.get(secret, 0) >= RESOLUTION:
            self._secrets[secret] = self._pending.secrets[secret] = now
        grant = (client_id, resource, scopes)
        if now - self._grants.get(grant, 0) >= RESOLUTION:
            self._grants[grant] = self._pending.grants[grant] = now

    def take(self) -> UsageBatch:
        """Hand over what is to be written."""
        batch, self._pending = self._pending, UsageBatch(secrets={}, grants={})
        if len(self._secrets) + len(self._grants) > BOUND:
            self._secrets.clear()
            self._grants.clear()
        return batch

    def put_back(self, batch: UsageBatch) -> None:
        """Take a batch back that could not be written; what came since is newer.

        A store that stays away costs no more memory than the bound: then the batch is let go.
        """
        if len(batch.secrets) + len(batch.grants) > BOUND:
            return
        self._pending = UsageBatch(
            secrets=batch.secrets | self._pending.secrets,
            grants=batch.grants | self._pending.grants,
        )
