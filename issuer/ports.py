"""Ports: what the issuer needs from storage, as protocols that an adapter implements."""

from dataclasses import dataclass
from typing import Protocol

from issuer.registry.client import Client
from issuer.status.positions import Position, Status, StatusBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed in the client registry since a cursor.

    Args:
        feed: the feed that the cursor belongs to; cursors of two feeds cannot be compared.
        cursor: the end of these changes.
        client_ids: the clients that changed; None if that is not known, and any may have.
        any_slow_secret: whether any client now has a secret with a slow hash.
    """

    feed: str
    cursor: int
    client_ids: frozenset[str] | None
    any_slow_secret: bool


class ClientSource(Protocol):
    """Reads clients from the store. A call sees every change that was committed before it.

    Raises:
        StoreUnavailable: from each method, when the store cannot answer.
    """

    async def find(self, client_id: str) -> Client | None:
        """Read one client, or None if there is no such id."""
        ...

    async def find_changed(self, client_id: str) -> Client | None:
        """Read as `find` does, without waiting for the look-ups of requests."""
        ...

    async def changes_since(self, cursor: int) -> Changes:
        """Read the change feed after `cursor`; 0 is the beginning."""
        ...

    async def version(self) -> object:
        """Return a value that differs after every change of the store; cheap enough to poll."""
        ...


class HotStore(Protocol):
    """Writes of the serving loop, atomic across all workers and nodes of one registry.

    What is asked for in one turn of the loop is written together. Tokens get their places on status
    lists through it, and are revoked, and what is limited is counted; client assertions and DPoP
    proofs will claim their `jti`.

    Raises:
        StoreUnavailable: from each method, when the store cannot answer or too many calls wait. A
            claim counts as refused then, and may have been made; a block may be lost, but no number
            of it is given again.
    """

    async def claim(self, scope: str, id: str, until: int) -> bool:
        """Claim an id, once for all who ask: true for one caller, false for every other.

        Args:
            scope: what the id is unique in, such as the client that chose it.
            id: of any length; only a digest is kept.
            until: seconds since the epoch until which it stays claimed. It may stay so longer:
                claims that have expired are removed some at a time.
        """
        ...

    async def reserve(self, name: str, count: int) -> int:
        """Reserve a block of numbers of a counter, and return the first.

        No number is given twice; some may never be given, such as after a failover.

        Args:
            name: the counter.
            count: how many numbers, 1 to 2**31.

        Raises:
            ValueError: the count is out of range.
        """
        ...

    async def own(self, block: StatusBlock) -> bool:
        """Write who owns the indexes of a block; when it returns, every node can read it.

        Written twice it counts once, so a call that failed may be made again.

        Returns:
            Whether no token may have an index of it: the client was disabled or deleted meanwhile,
            perhaps by who revoked its tokens and did not find this block.
        """
        ...

    async def set_status(self, position: Position, status: Status) -> None:
        """Give a token another status; when it returns, every node can read it.

        Changes of one position are made in the order in which they were asked for. One that failed
        may have been made, and may be made again.
        """
        ...

    async def count(self, scope: str, id: str, by: int, until: int) -> int:
        """Add to a count that all who ask share, and return what it has come to.

        A call that failed may have counted.

        Args:
            scope: what the id is unique in.
            id: of any length; only a digest is kept.
            by: what is added.
            until: seconds since the epoch until which a new count is kept. It may be kept longer.
        """
        ...
