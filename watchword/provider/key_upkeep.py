"""See to the keys while the provider runs: follow the store, prepare successors, record changes.

Every worker of every node does the same. What changes the store is planned again under its lock, so
one of them does it; what is recorded is written once by the database.
"""

from collections import deque
from collections.abc import Callable, Collection

from issuer.events import EventSink
from issuer.registry.audit import SYSTEM, Action, AuditEntry
from issuer.registry.errors import RegistryError
from issuer.storage.registry import Registry
from keys.errors import KeyStoreError
from keys.events import KeyEvent
from keys.lifecycle import find_dated_ahead, plan_upkeep, write_time
from keys.ring import KeyState, RingEntry, RingKey, RingPolicy
from keys.stores.store import KeyStore
from watchword.provider.key_ring import KeyRing, describe_key

EVERY_SECONDS = 60.0
"""Between two looks whether the store needs anything, if it does not change."""

FIRST_SECONDS = 2.0
"""After the start: making a key takes a processor for up to 0.2 s, and the start comes first."""

_UNWRITTEN = 1_000
"""Changes that wait for the registry; of more the oldest are lost."""

_REACHED = {
    KeyState.ACTIVE: KeyEvent.ACTIVATED,
    KeyState.RETIRING: KeyEvent.RETIRED,
    KeyState.GONE: KeyEvent.GONE,
}


class KeyUpkeep:
    """Looks after the keys, off the event loop that serves.

    Args:
        keys: the keys as this process sees them.
        store: where they are kept.
        policy: the rollover rule.
        algorithms: gives those that tokens are signed with.
        registry: where changes are recorded; while it is away they wait.
        events: where changes are logged that this process makes or notices.
        monotonic: seconds that no clock change touches.
    """

    def __init__(
        self,
        keys: KeyRing,
        store: KeyStore,
        policy: RingPolicy,
        *,
        algorithms: Callable[[], Collection[str]],
        registry: Registry,
        events: EventSink,
        monotonic: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._store = store
        self._policy = policy
        self._algorithms = algorithms
        self._registry = registry
        self._events = events
        self._monotonic = monotonic
        self._due = monotonic() + FIRST_SECONDS
        self._is_settled = False
        self._refusal: str | None = None
        self._reached: dict[str, KeyEvent] = {}
        self._unwritten: deque[AuditEntry] = deque(maxlen=_UNWRITTEN)

    def look(self, now: int) -> None:
        """Follow the store and the clock; make what is missing when it is time to look for it.

        Raises:
            KeysError: the store cannot be read; what was known before stays in use.
        """
        is_changed = self._keys.refresh(now)
        if self._monotonic() >= self._due or (is_changed and self._is_settled):
            self._keep_up(now)
            self._due, self._is_settled = self._monotonic() + EVERY_SECONDS, True
        if self._is_settled:
            self._notice(now)

    def record(self) -> None:
        """Write what happened to the audit trail; while the registry is away it waits.

        Apart from `look`, which must not wait for a database.
        """
        entries = [self._unwritten.popleft() for _ in range(len(self._unwritten))]
        if entries:
            try:
                self._registry.record_once(entries)
            except Exception as error:
                room = _UNWRITTEN - len(self._unwritten)  # a full deque would drop the newest
                self._unwritten.extendleft(reversed(entries[max(len(entries) - room, 0) :]))
                if not isinstance(error, RegistryError):  # the job "registry" reports the outage
                    raise

    def _keep_up(self, now: int) -> None:
        algorithms = self._algorithms()
        ring = tuple(entry.key for entry in self._keys.entries(now))
        ahead = find_dated_ahead(ring, now, self._policy, algorithms)
        refusal = None if ahead is None else _explain_date(ahead)
        if plan_upkeep(ring, now, self._policy, algorithms):
            try:
                self._apply(now, algorithms)
            except KeyStoreError as error:
                refusal = str(error)
        # The keys that are there go on signing; the log has to say so, once.
        if refusal is not None and refusal != self._refusal:
            self._events(KeyEvent.UPKEEP_REFUSED, reason=refusal)
        self._refusal = refusal

    def _apply(self, now: int, algorithms: Collection[str]) -> None:
        done = self._store.apply(
            lambda current: plan_upkeep(current, now, self._policy, algorithms),
            now=now,
            policy=self._policy,
        )
        for change in done:
            self._tell(change.event, change.key, change.before, now)
        self._keys.refresh(now)

    def _notice(self, now: int) -> None:
        """Tell which keys have reached another state since the last look."""
        entries = self._keys.entries(now)
        for entry in entries:
            event = _REACHED.get(entry.state)
            if event is not None and self._reached.get(entry.key.kid) is not event:
                self._reached[entry.key.kid] = event
                self._tell(event, entry.key, entry.key, now, entry)
                if event is KeyEvent.ACTIVATED:
                    self._due = self._monotonic()  # it was the prepared one, so there is none now
        for kid in self._reached.keys() - {entry.key.kid for entry in entries}:
            del self._reached[kid]

    def _tell(
        self,
        event: KeyEvent,
        key: RingKey,
        before: RingKey | None,
        now: int,
        entry: RingEntry | None = None,
    ) -> None:
        self._events(event, kid=key.kid, alg=key.alg)
        self._unwritten.append(
            AuditEntry(
                at=now,
                actor=SYSTEM,
                action=Action(event.value),
                target=key.kid,
                before=None if before is None else describe_key(before),
                after=describe_key(key, entry),
            )
        )


def _explain_date(key: RingKey) -> str:
    return (
        f"key {key.kid} is dated {write_time(key.published_at)}, after this machine's clock, so no "
        f"successor is prepared for {key.alg}; correct the clock, or if it is right remove the "
        "key: watchword keys delete, or watchword keys revoke where it signs"
    )
