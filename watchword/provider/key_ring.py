"""The key store as the running provider sees it: who signs now, and what is published now.

State is derived from the times in the store, so workers and nodes on one store agree without
talking. The store is read off the event loop and only when its stamp changes; signers are made
before they are needed.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from issuer.endpoints.document import Document
from issuer.registry.schema import Json, write_time
from keys.errors import KeyStoreError, NoSigningKey
from keys.jwk import PublicJwk
from keys.jwks import build_jwk_set, fit_jwk_set
from keys.key_types import algorithm
from keys.ring import (
    KeyState,
    RingEntry,
    RingKey,
    RingPolicy,
    derive_ring,
    explain_too_fast,
    published,
    signing_keys,
)
from keys.signers.batch import BatchingSigner
from keys.signers.local import LocalSigner, Signer
from keys.signers.outside import OutsideSigner
from keys.signers.threads import SigningThreads, ThreadedSigner
from keys.stores.key_file import StoredKey
from keys.stores.store import KeyStore
from keys.timeline import next_step
from watchword.ambient import wall_clock
from watchword.errors import ProviderError

if TYPE_CHECKING:
    from issuer.storage.registry import Registry
    from watchword.settings import Settings

GONE_KEPT = 8
"""Keys that are gone whose signers stay in memory, the latest of them.

By a clock that is far ahead these are the key that signs and the successors that are planned. All
others are gone for good, and need not be kept in the memory of a process.
"""

_READINGS = 5
"""How often a store that others change meanwhile is read before a later look has to do."""


def ring_policy(settings: "Settings") -> RingPolicy:
    """Return the rollover rule that follows from the settings."""
    return RingPolicy(
        jwks_max_age=settings.jwks_max_age,
        longest_token=settings.max_token_ttl,
        rotate_every=settings.rotate_every,
    )


def describe_key(key: RingKey, entry: RingEntry | None = None) -> dict[str, object]:
    """Describe a key for the audit trail: its times and, where it is told, its state."""
    return {
        "alg": key.alg,
        "state": entry and entry.state.value,
        "published_at": write_time(key.published_at),
        "signs_from": write_time(key.signs_from),
        "withdrawn_at": write_time(key.withdrawn_at),
    }


def describe_signing_key(
    entry: RingEntry, stored: StoredKey | None, now: int, policy: RingPolicy
) -> Json:
    """Describe a key to administrators: its state, all its times, and what happens to it next.

    Args:
        entry: the key with its state.
        stored: the key as the store has it; None for one that would be made.
        now: seconds since the epoch.
        policy: the rollover rule.
    """
    step = next_step(entry, now, policy)
    reference = None if stored is None else stored.reference
    return {
        "kid": None if stored is None else stored.kid,
        "alg": entry.key.alg,
        "bits": None if stored is None else stored.bits,
        "state": entry.state.value,
        "published_at": write_time(entry.key.published_at),
        "signs_from": write_time(entry.key.signs_from),
        "superseded_at": write_time(entry.superseded_at),
        "gone_at": write_time(entry.gone_at),
        "withdrawn_at": write_time(entry.key.withdrawn_at),
        "encrypted": stored is not None and stored.encrypted,
        "signer": reference["kind"] if reference else "local",
        "next": {"state": step.state, "at": write_time(step.at)},
    }


def published_set(
    ring: Sequence[RingEntry], records: Mapping[str, StoredKey]
) -> dict[str, list[dict[str, str]]]:
    """Build the JWK set that validators need, never larger than they take.

    Keys that were put there by hand can be too many: then those go whose turn is farthest away.

    Args:
        ring: the keys with their states.
        records: the keys by kid.
    """
    public = [records[key.kid].jwk for key in published(ring)]
    signing = [entry.key.kid for entry in ring if entry.state is KeyState.ACTIVE]
    around = next((turn for turn, jwk in enumerate(public) if jwk.kid in signing), 0)
    return build_jwk_set(fit_jwk_set(public, around=around))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What one reading of the store gave; replaced as a whole, so no thread sees half of it."""

    stamp: Hashable = None
    records: Mapping[str, StoredKey] = field(default_factory=dict)  # by kid
    signers: Mapping[str, Signer] = field(default_factory=dict)  # by kid


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What holds from one change of the ring to the next: a half-open span of seconds."""

    reading: _Reading
    since: int
    until: float
    signers: Mapping[str, Signer]  # by algorithm
    jwks: bytes
    published: Mapping[str, PublicJwk]
    """The keys of the published set by kid."""
    algorithms: frozenset[str]
    """Theirs."""
    is_complete: bool
    """Whether every key that is published has a signer: not after the clock was far ahead."""


class KeyRing:
    """Knows the signing key and the published set at any time.

    Args:
        store: where keys are kept.
        policy: the durations of the rollover rule.
        alg: the algorithm that tokens are signed with.
        threads: how many sign with RSA keys beside the event loop.
    """

    def __init__(self, store: KeyStore, policy: RingPolicy, *, alg: str, threads: int = 0) -> None:
        self._store = store
        self._policy = policy
        self._alg = alg
        self._threads = SigningThreads(threads) if threads else None
        self._reading = _Reading()
        self._moment: _Moment | None = None

    def refresh(self, now: int) -> bool:
        """Read the store again if it changed; returns whether it had. Blocks: call it off the loop.

        Raises:
            KeysError: a key cannot be read, or there are none any more; what was known before
                stays in force.
        """
        stamp, before = self._store.stamp(), self._reading
        if stamp == before.stamp and self._at(now).is_complete:
            return False
        stamp, records = self._read(stamp)
        if before.records and not records:
            raise KeyStoreError(
                "the key store is empty, and the keys that it had stay in use; restore them from a "
                "backup, or make a new one and restart: watchword keys generate"
            )
        ring = derive_ring([stored.ring_key for stored in records.values()], now, self._policy)
        # A clock that jumps may make it any key's turn again: retiring keys have a signer too, and
        # the latest that were loaded stay, though their keys are gone by this clock.
        gone = [e.key.kid for e in ring if e.state is KeyState.GONE and e.key.kid in before.signers]
        signers = {
            entry.key.kid: before.signers.get(entry.key.kid)
            or self._prepare(self._store.signer(entry.key.kid))
            for entry in ring
            if entry.state not in (KeyState.REVOKED, KeyState.GONE)
            or entry.key.kid in gone[-GONE_KEPT:]
        }
        self._reading = _Reading(stamp=stamp, records=records, signers=signers)
        return True

    def _read(self, stamp: Hashable) -> tuple[Hashable, dict[str, StoredKey]]:
        """Read every key, again if the store is changed meanwhile."""
        for _ in range(_READINGS):
            try:
                records = {stored.kid: stored for stored in self._store.records()}
            except KeyStoreError:
                if self._store.stamp() == stamp:
                    raise
            else:
                if self._store.stamp() == stamp:
                    return stamp, records
            stamp = self._store.stamp()
        raise KeyStoreError("the key store changes while it is read; it is read again")

    def entries(self, now: int) -> tuple[RingEntry, ...]:
        """Return the keys with their states at `now`, in the order in which they sign."""
        return self._entries(self._reading, now)

    def signer(self, now: int, alg: str | None = None) -> Signer:
        """Return the signer of the key that signs at `now`, with the configured algorithm if None.

        Raises:
            NoSigningKey: there is none.
        """
        signer = self._at(now).signers.get(alg or self._alg)
        if signer is None:
            raise NoSigningKey(self._explain_none(now, alg or self._alg))
        return signer

    def check(self, now: int) -> None:
        """Make sure that the key of the configured algorithm signs, wherever it is; blocks.

        Raises:
            NoSigningKey: there is none.
            KeyStoreError: what keeps it gives no signature.
        """
        signer = self.signer(now)
        if isinstance(signer, OutsideSigner):
            signer.check()

    def _explain_none(self, now: int, alg: str) -> str:
        if not self._reading.records:
            return "there is no signing key; run: watchword keys generate"
        dates = [each.key.signs_from for each in self.entries(now) if each.key.alg == alg]
        coming = min((date for date in dates if date is not None and date > now), default=None)
        if coming is not None:
            return f"no key signs with {alg} before {write_time(coming)}"
        return f"no key signs with {alg}; run: watchword keys generate --alg {alg}"

    def document(self, now: int) -> Document:
        """Return the published JWK set at `now`."""
        return Document(self._at(now).jwks, self._policy.jwks_max_age)

    def public_key(self, kid: str, now: int) -> PublicJwk | None:
        """Return a key that is published at `now`; None if there is none of this kid."""
        return self._at(now).published.get(kid)

    def next_step(self, now: int) -> float:
        """Return when a key next changes its state; infinity while no change is due."""
        return self._at(now).until

    @property
    def waiting(self) -> int:
        """How many signatures wait to be made."""
        return sum(
            signer.waiting
            for signer in self._reading.signers.values()
            if isinstance(signer, BatchingSigner | ThreadedSigner | OutsideSigner)
        )

    def algorithms(self, now: int) -> frozenset[str]:
        """Return the algorithms of the keys that are published at `now`."""
        return self._at(now).algorithms

    def close(self) -> None:
        """End the threads that sign, once what waits is signed."""
        if self._threads is not None:
            self._threads.close()

    def _prepare(self, signer: Signer) -> Signer:
        if not isinstance(signer, LocalSigner):
            return signer
        # A signature by another key takes no longer than handing it to a thread and back.
        if self._threads is not None and algorithm(signer.alg).kty == "RSA":
            return ThreadedSigner(signer, self._threads)
        return BatchingSigner(signer)

    def _entries(self, reading: _Reading, now: int) -> tuple[RingEntry, ...]:
        ring_keys = [stored.ring_key for stored in reading.records.values()]
        return derive_ring(ring_keys, now, self._policy)

    def _at(self, now: int) -> _Moment:
        moment, reading = self._moment, self._reading
        # What the loop derives while another thread reads the store is of the reading before: it
        # must not outlive that, for a key may have been withdrawn.
        if (
            moment is None
            or moment.reading is not reading
            or not moment.since <= now < moment.until
        ):
            moment = self._derive(reading, now)
            self._moment = moment
        return moment

    def _derive(self, reading: _Reading, now: int) -> _Moment:
        ring = self._entries(reading, now)
        signing = signing_keys(ring)
        turns = [time for entry in ring for time in (entry.key.signs_from, entry.gone_at) if time]
        jwks = published_set(ring, reading.records)
        public = {jwk["kid"]: reading.records[jwk["kid"]].jwk for jwk in jwks["keys"]}
        return _Moment(
            reading=reading,
            since=now,
            until=min((time for time in turns if time > now), default=float("inf")),
            # A key that was gone when the store was read has no signer, should the clock jump back.
            signers={
                alg: reading.signers[key.kid]
                for alg, key in signing.items()
                if key.kid in reading.signers
            },
            jwks=json.dumps(jwks, separators=(",", ":")).encode(),
            published=public,
            algorithms=frozenset(jwk.alg for jwk in public.values()),
            is_complete=all(key.kid in reading.signers for key in published(ring)),
        )


def check_rotation(settings: "Settings", registry: "Registry") -> None:
    """Refuse a rotation by time that overfills the key set with those of all resources.

    Raises:
        ProviderError: it would.
    """
    # The settings were checked with the configured algorithm alone.
    algorithms = {settings.signing_alg, *registry.list_signing_algs()}
    why = explain_too_fast(ring_policy(settings), *sorted(algorithms))
    if why is not None:
        raise ProviderError(f"WATCHWORD_ROTATE_EVERY: with the algorithms of the resources, {why}")


def open_key_ring(settings: "Settings", store: KeyStore, *, check: bool) -> KeyRing:
    """Return the keys of a store, of which one signs.

    Args:
        settings: all settings, checked.
        store: where the keys are.
        check: whether each key that signs is tried.

    Raises:
        KeysError: the store cannot be read, no key signs, or one that should cannot.
    """
    ring = KeyRing(
        store,
        ring_policy(settings),
        alg=settings.signing_alg,
        threads=settings.signing_threads,
    )
    ring.refresh(wall_clock())
    ring.signer(wall_clock())  # without a key there is nothing to serve
    if check:
        ring.check(wall_clock())
    return ring
