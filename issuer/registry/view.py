"""A bounded in-memory view of the client registry, kept true by the store's change feed.

The token path reads `peek` and touches no database; `catch_up` runs beside it. The promise: after
a catch-up, no entry is older than the changes that it read.
"""

from collections import OrderedDict

from issuer.ports import Changes, ClientSource
from issuer.registry.client import Client

_REFRESHED_AT_MOST = 256
"""Changed entries that one catch-up reads again; the others go, and come back when asked for."""


class ClientView:
    """The clients used last, at most `bound` of them.

    Args:
        source: the store's word.
        bound: how many clients are held; the least recently used goes first.
    """

    def __init__(self, source: ClientSource, *, bound: int = 10_000) -> None:
        if bound < 1:
            raise ValueError("a view holds at least one client")
        self.has_slow_secrets = False
        self._source = source
        self._bound = bound
        self._entries: OrderedDict[str, Client] = OrderedDict()
        self._cursor = 0
        self._version: int | None = None
        # Counts the batches of changes learnt. A read that began under an earlier count may have
        # seen the state before them, so what it found is not kept.
        self._batches = 0

    def __len__(self) -> int:
        """Count the clients held."""
        return len(self._entries)

    def peek(self, client_id: str) -> Client | None:
        """Give a client from memory, or None if it is not held."""
        client = self._entries.get(client_id)
        if client is not None:
            self._entries.move_to_end(client_id)
        return client

    async def fetch(self, client_id: str) -> Client | None:
        """Ask the store for a client and hold on to it; None if there is no such id.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        batches = self._batches
        client = await self._source.find(client_id)
        if batches == self._batches:
            self._hold(client_id, client)
        return client

    def forget(self) -> None:
        """Let go of everything: after too long an outage, what is held may not be true any more."""
        self._entries.clear()

    async def catch_up(self) -> None:
        """Learn what anybody has changed and read the changed entries again.

        The old entry answers until the new one is there, so that the token path need not wait.

        Raises:
            StoreUnavailable: the store cannot answer; nothing known to be outdated is held.
        """
        version = await self._source.version()
        if version == self._version:
            return
        changes = await self._source.changes_since(self._cursor)
        self._batches += 1
        self.has_slow_secrets = changes.any_slow_secret
        await self._refresh(self._outdated(changes))
        self._cursor = changes.cursor
        self._version = version

    def _outdated(self, changes: Changes) -> list[str]:
        """List the entries that changed, most recently used first."""
        if changes.client_ids is None:
            return list(reversed(self._entries))
        return [held for held in reversed(self._entries) if held in changes.client_ids]

    async def _refresh(self, outdated: list[str]) -> None:
        for client_id in outdated[_REFRESHED_AT_MOST:]:
            self._entries.pop(client_id, None)
        again = outdated[:_REFRESHED_AT_MOST]
        try:
            for client_id in again:
                await self._read_again(client_id)
        except BaseException:
            for client_id in again:
                self._entries.pop(client_id, None)
            raise

    async def _read_again(self, client_id: str) -> None:
        batches = self._batches
        client = await self._source.find(client_id)
        if client_id not in self._entries:
            return  # it has made room for others meanwhile
        if client is None or batches != self._batches:
            del self._entries[client_id]
        else:
            self._entries[client_id] = client  # keeps its place in the order of use

    def _hold(self, client_id: str, client: Client | None) -> None:
        if client is None:
            self._entries.pop(client_id, None)
            return
        self._entries[client_id] = client
        self._entries.move_to_end(client_id)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)
        if any(secret.hash.slow for secret in client.secrets):
            self.has_slow_secrets = True
