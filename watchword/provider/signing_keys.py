"""The signing keys as administrators see and change them, over the key store itself.

What is asked is answered from the store, so that it holds whichever worker answers; the workers
follow the store by themselves.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from issuer.administration.provider import KeyOutcome, KeyStep
from issuer.registry.audit import Action
from issuer.registry.errors import KeyChangeRefused, StoreUnavailable, UnknownSigningKey
from issuer.registry.schema import Json
from keys.errors import KeysError, KeyStoreError, NoSuchKey
from keys.lifecycle import Plan, PlanOf, apply_change, plan_rotation, plan_withdrawal
from keys.ring import RingKey, RingPolicy, derive_ring
from keys.stores.key_file import StoredKey
from keys.stores.store import Applied, KeyStore
from watchword.provider.key_ring import describe_key, describe_signing_key

_NEW = "new"
"""What a key is called that would be made; no thumbprint is so short."""


class StoredSigningKeys:
    """Lists, rotates and withdraws the keys of a store.

    Args:
        store: where they are.
        policy: the rollover rule.
        alg: the algorithm that is meant where none is named.
        withdrawal_seconds: within which validators learn that a key was withdrawn.
        clock: seconds since the epoch.
        on_change: called after each change, so that it is seen at once.
    """

    def __init__(
        self,
        store: KeyStore,
        policy: RingPolicy,
        *,
        alg: str,
        withdrawal_seconds: int,
        clock: Callable[[], int],
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._policy = policy
        self._alg = alg
        self._withdrawal_seconds = withdrawal_seconds
        self._clock = clock
        self._on_change = on_change

    def describe(self) -> list[Json]:
        """Describe all keys, in the order in which they sign.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        stored = self._read()
        return self._describe([each.ring_key for each in stored], stored, self._clock())

    def rotate(self, alg: str | None, *, dry_run: bool) -> KeyOutcome:
        """Have the prepared successor sign as soon as every validator must know it.

        Raises:
            UnknownSigningKey: no key signs with the algorithm.
            KeyChangeRefused: a rotation is under way, or the store does not take it.
            StoreUnavailable: the store cannot be read.
        """
        now = self._clock()

        def plan(ring: tuple[RingKey, ...]) -> Plan:
            return plan_rotation(ring, now, self._policy, alg or self._alg)

        planned, outcome = self._change(plan, now, dry_run=dry_run)
        dates = (getattr(change, "signs_from", None) for change in planned)
        return outcome._replace(in_force_at=min(date for date in dates if date is not None))

    def withdraw(self, kid: str, *, dry_run: bool) -> KeyOutcome:
        """Take a key out of use at once; its successor signs in its place.

        Raises:
            UnknownSigningKey: there is no such key.
            KeyChangeRefused: it is not in use any more, or the store does not take the change.
            StoreUnavailable: the store cannot be read.
        """
        now = self._clock()

        def plan(ring: tuple[RingKey, ...]) -> Plan:
            return plan_withdrawal(ring, kid, now, self._policy)

        _, outcome = self._change(plan, now, dry_run=dry_run)
        return outcome._replace(in_force_at=now + self._withdrawal_seconds)

    def _change(self, plan_of: PlanOf, now: int, *, dry_run: bool) -> tuple[Plan, KeyOutcome]:
        stored = self._read()
        ring = tuple(each.ring_key for each in stored)
        plan = _planned(plan_of)(ring)
        before = self._describe(ring, stored, now)
        if dry_run:
            for number, change in enumerate(plan):
                ring = apply_change(ring, change, f"{_NEW}{number}")
            return plan, KeyOutcome((), _changed(before, self._describe(ring, stored, now)), now)
        try:
            done = self._store.apply(_planned(plan_of), now=now, policy=self._policy)
        except KeyStoreError as error:
            raise KeyChangeRefused(str(error)) from error
        self._on_change()
        after: list[Json] = []
        with suppress(StoreUnavailable):  # it is done, whether it can be shown or not
            stored = self._read()
            after = self._describe([each.ring_key for each in stored], stored, now)
        return plan, KeyOutcome(_steps(done), _changed(before, after), now)

    def _read(self) -> tuple[StoredKey, ...]:
        try:
            return self._store.records()
        except KeysError as error:
            raise StoreUnavailable(str(error)) from error

    def _describe(
        self, ring: Sequence[RingKey], stored: Sequence[StoredKey], now: int
    ) -> list[Json]:
        by_kid = {each.kid: each for each in stored}
        return [
            describe_signing_key(entry, by_kid.get(entry.key.kid), now, self._policy)
            for entry in derive_ring(ring, now, self._policy)
        ]


def _planned(plan_of: PlanOf) -> PlanOf:
    """Have a plan that cannot be made refused as administrators know it."""

    def plan(ring: tuple[RingKey, ...]) -> Plan:
        try:
            return plan_of(ring)
        except NoSuchKey as error:
            raise UnknownSigningKey(str(error)) from error
        except KeysError as error:
            raise KeyChangeRefused(str(error)) from error

    return plan


def _changed(before: list[Json], after: list[Json]) -> list[Json]:
    return [each for each in after if each not in before]


def _steps(done: Applied) -> tuple[KeyStep, ...]:
    return tuple(
        KeyStep(
            Action(change.event.value),
            change.key.kid,
            None if change.before is None else describe_key(change.before),
            None if change.after is None else describe_key(change.after),
        )
        for change in done
    )
