"""A bounded in-memory view of the client registry, kept true by the store's change feed.

The token path calls `get_cached`, which never waits for the database; `catch_up` runs beside it, on
another thread if need be. Invariant: after a catch-up, no entry is older than the changes that the
catch-up read.
"""

from collections import OrderedDict
from threading import Lock

from issuer.ports import Changes, ClientSource
from issuer.registry.client import Client

_REFRESHED_AT_MOST = 256
"""Changed entries that one catch-up reads again; the others are dropped and read when needed."""


class ClientView:
    """The most recently used clients, at most `bound` of them. Safe for several threads.

    Args:
        source: reads the store.
        bound: how many clients are held; the least recently used goes first.
    """

    def __init__(self, source: ClientSource, *, bound: int = 10_000) -> None:
        if bound < 1:
            raise ValueError("a view holds at least one client")
        self.has_slow_secrets = False
        self.misses = 0
        """Reads of the store for a client that was not held."""
        self._source = source
        self._bound = bound
        self._entries: OrderedDict[str, Client] = OrderedDict()
        self._feed: str | None = None
        self._cursor = 0
        self._version: object = None
        # Catch-ups that failed so far, and how many had failed before the latest that succeeded.
        self._failures = 0
        self._failures_made_up_for = 0
        # Counts the batches of changes that were taken in. A read that began under an earlier count
        # may have seen the state before them, so its result is not kept.
        self._batches = 0
        self._lock = Lock()

    def __len__(self) -> int:
        """Count the clients held."""
        return len(self._entries)

    def get_cached(self, client_id: str) -> Client | None:
        """Return a client from memory; None if it is not held."""
        with self._lock:
            client = self._entries.get(client_id)
            if client is not None:
                self._entries.move_to_end(client_id)
            return client

    async def fetch(self, client_id: str) -> Client | None:
        """Read a client from the store and keep it; None if there is no such id.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        batches = self._batches
        self.misses += client_id not in self._entries
        client = await self._source.find(client_id)
        with self._lock:
            if batches == self._batches:
                self._hold(client_id, client)
        return client

    def forget(self) -> None:
        """Drop all clients: after too long an outage they may be outdated."""
        with self._lock:
            self._entries.clear()

    async def catch_up(self) -> None:
        """Read the changes of the store, and the changed entries again.

        An old entry is used until the new one is read, so that the token path does not wait. After
        a failure, and in another feed, all entries are read again: the store may have been restored
        from a backup meanwhile, and then the numbers of its feed prove nothing.

        Raises:
            StoreUnavailable: the store cannot answer; entries known to be outdated were dropped.
        """
        try:
            await self._catch_up()
        except BaseException:
            self._failures += 1
            raise

    async def _catch_up(self) -> None:
        failures = self._failures
        version = await self._source.version()
        if version == self._version and failures == self._failures_made_up_for:
            return
        changes = await self._source.changes_since(self._cursor)
        with self._lock:
            self._batches += 1
            self.has_slow_secrets = changes.any_slow_secret
            changed, doubtful = self._outdated(changes)
        await self._refresh(changed, doubtful)
        self._feed, self._cursor = changes.feed, changes.cursor
        self._version = version
        self._failures_made_up_for = failures

    def _outdated(self, changes: Changes) -> tuple[list[str], list[str]]:
        """List the entries that changed, and those that may have; most recently used first."""
        held = list(reversed(self._entries))
        same = changes.feed == self._feed
        # Of another feed, and of one that was trimmed, no entry is known to have changed.
        named = changes.client_ids if same or self._feed is None else None
        changed = [each for each in held if each in (named or ())]
        if same and named is not None and self._failures == self._failures_made_up_for:
            return changed, []
        return changed, [each for each in held if each not in (named or ())]

    async def _refresh(self, changed: list[str], doubtful: list[str]) -> None:
        again = [*changed, *doubtful][:_REFRESHED_AT_MOST]
        self._drop(changed[_REFRESHED_AT_MOST:])
        try:
            for client_id in again:
                await self._read_again(client_id)
        except BaseException:
            # What only may have changed is as good as during the outage, which goes on.
            self._drop(changed)
            raise
        self._drop(doubtful[max(0, _REFRESHED_AT_MOST - len(changed)) :])

    async def _read_again(self, client_id: str) -> None:
        batches = self._batches
        client = await self._source.find_changed(client_id)
        with self._lock:
            if client_id not in self._entries:
                return  # evicted meanwhile
            if client is None or batches != self._batches:
                del self._entries[client_id]
            else:
                self._entries[client_id] = client  # keeps its place in the order of use

    def _drop(self, client_ids: list[str]) -> None:
        with self._lock:
            for client_id in client_ids:
                self._entries.pop(client_id, None)

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
