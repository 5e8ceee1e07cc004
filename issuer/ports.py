"""What the issuer needs from outside, as Protocols: each shell brings its own.

Every port is small, so that an adapter pays for nothing that it does not serve.
"""

from dataclasses import dataclass
from typing import Protocol

from issuer.registry.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed in the client registry since a cursor.

    `feed` names what the cursor counts in: cursors of two feeds cannot be compared.
    `client_ids` is None when it cannot be told any more: everything may have changed.
    `any_slow_secret` tells whether any client now has a secret with a slow hash.
    """

    feed: str
    cursor: int
    client_ids: frozenset[str] | None
    any_slow_secret: bool


class ClientSource(Protocol):
    """The store's word on clients. A call sees every change committed before it was made.

    Raises:
        StoreUnavailable: from each method, when the store cannot answer.
    """

    async def find(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        ...

    async def find_changed(self, client_id: str) -> Client | None:
        """Read as `find` does, without waiting behind the look-ups of requests."""
        ...

    async def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        ...

    async def version(self) -> object:
        """Give a value that differs once anybody has changed the store; cheap enough to poll."""
        ...
