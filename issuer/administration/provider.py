"""Administer what a running provider has beside its registry: its signing keys, and how it fares.

The registry says who may and keeps the audit trail; keys and measurements are behind two ports.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from pydantic import Field

from issuer.administration.authority import Authority
from issuer.administration.documents import read_document
from issuer.administration.transactions import Transactions
from issuer.events import EventSink
from issuer.registry.audit import Action, Actor
from issuer.registry.errors import RegistryError, StoreUnavailable
from issuer.registry.schema import Document, Json, Text, write_time
from issuer.storage.edit import RegistryEdit
from issuer.storage.reading import RegistryReading
from issuer.storage.registry import Registry


class KeyRotationDocument(Document):
    """A rotation of the key of an algorithm."""

    alg: Text | None = Field(
        None, description="the algorithm whose key is rotated; the configured one if left out"
    )
    dry_run: bool = Field(False, description="only tell what would happen, and when")


class KeyWithdrawalDocument(Document):
    """The withdrawal of a key."""

    kid: Text = Field(description="the key")
    dry_run: bool = Field(False, description="only tell what would happen, and when")


class KeyStep(NamedTuple):
    """What happened to one key, as the audit trail has it.

    Args:
        action: what.
        kid: which.
        before: the key as it was, None if it was made.
        after: the key as it is.
    """

    action: Action
    kid: str
    before: Json | None
    after: Json | None


class KeyOutcome(NamedTuple):
    """What a change of the keys comes to.

    Args:
        steps: what was done; nothing if it was only foreseen.
        keys: the keys that it touches, as they are described afterwards.
        in_force_at: when it is in force everywhere, seconds since the epoch.
    """

    steps: tuple[KeyStep, ...]
    keys: list[Json]
    in_force_at: int


class SigningKeys(Protocol):
    """The signing keys of the provider; what it is asked may take its time.

    Raises:
        UnknownSigningKey: there is no such key.
        KeyChangeRefused: the keys cannot be changed so now.
        StoreUnavailable: they cannot be read.
    """

    def describe(self) -> list[Json]:
        """Describe all keys, in the order in which they sign."""
        ...

    def rotate(self, alg: str | None, *, dry_run: bool) -> KeyOutcome:
        """Have the prepared successor sign as soon as every validator must know it."""
        ...

    def withdraw(self, kid: str, *, dry_run: bool) -> KeyOutcome:
        """Take a key out of use at once."""
        ...


Measure = Callable[[RegistryReading | None], Json]
"""Measures how the provider fares, given a reading of its registry, None if that is away."""


class ProviderAdministration:
    """The operations on a running provider.

    Args:
        registry: says who may, and has the audit trail.
        by: who asks.
        now: the clock, seconds since the epoch.
        authority: what the actor's token says that it holds.
        keys: the signing keys.
        measure: measures how the provider fares.
        events: where a change of keys is told that the audit trail could not take.

    Raises:
        RegistryError: from each, when it is refused or what it takes cannot be had.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        by: Actor,
        now: Callable[[], int],
        authority: Authority | None,
        keys: SigningKeys,
        measure: Measure,
        events: EventSink,
    ) -> None:
        self._transactions = Transactions(registry, by=by, now=now, authority=authority)
        self._by = by
        self._keys = keys
        self._measure = measure
        self._events = events

    def list_keys(self) -> list[Json]:
        """List the signing keys with their states, all their times and what happens next."""
        self._require_active()
        return self._keys.describe()

    def rotate_key(self, document: Json) -> Json:
        """Have the successor of a key sign, a `KeyRotationDocument`, or tell when it would."""
        wanted = read_document(KeyRotationDocument, document)
        self._require_active()
        outcome = self._keys.rotate(wanted.alg, dry_run=wanted.dry_run)
        return self._conclude(outcome, dry_run=wanted.dry_run)

    def withdraw_key(self, document: Json) -> Json:
        """Withdraw a key at once, a `KeyWithdrawalDocument`, or tell what it would come to."""
        wanted = read_document(KeyWithdrawalDocument, document)
        self._require_active()
        outcome = self._keys.withdraw(wanted.kid, dry_run=wanted.dry_run)
        return self._conclude(outcome, dry_run=wanted.dry_run)

    def show_health(self) -> Json:
        """Tell how the provider fares.

        While the registry is away it cannot say what the caller still holds. That is when this is
        asked for, so then the token alone counts.
        """
        try:
            return self._transactions.read(self._measure)
        except StoreUnavailable:
            return self._measure(None)

    def _require_active(self) -> None:
        """Refuse an actor that holds less by now than its token says."""
        self._transactions.read(lambda reading: None)

    def _conclude(self, outcome: KeyOutcome, *, dry_run: bool) -> Json:
        return {
            "keys": outcome.keys,
            "in_force_at": write_time(outcome.in_force_at),
            "dry_run": dry_run,
            "recorded": not dry_run and self._record(outcome.steps),
        }

    def _record(self, steps: tuple[KeyStep, ...]) -> bool:
        """Write what was done to the audit trail; if that cannot be, to the log alone.

        It was done, whatever has become of the registry since the actor was let in.
        """

        def record(edit: RegistryEdit) -> None:
            for step in steps:
                edit.record_key(*step)

        try:
            self._transactions.change(record)
        except RegistryError:
            for step in steps:
                self._events(
                    step.action.value,
                    kid=step.kid,
                    actor=self._by.name,
                    via=self._by.via.value,
                    request_id=self._by.request_id,
                )
            return False
        return True
