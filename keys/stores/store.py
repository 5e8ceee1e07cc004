"""The key store: signing keys as texts of `key_file`, over a narrow port of named bytes.

The store knows the ring, the PEM and the passphrase; the port knows where the bytes are and how
they are locked. A store with one bad text is refused as a whole, for a key left out silently would
make tokens unverifiable.
"""

import secrets
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from keys.errors import KeyStoreError
from keys.events import KeyEvent
from keys.jwk import public_jwk
from keys.jwks import MAXIMUM_KEYS, fits_jwk_set
from keys.key_types import generate_private_key
from keys.lifecycle import (
    Change,
    Delete,
    Generate,
    Plan,
    PlanOf,
    Withdraw,
    apply_change,
    plan_generation,
)
from keys.ring import RingKey, RingPolicy, derive_ring, published
from keys.signers.local import LocalSigner, Signer
from keys.signers.outside import KeyHolder
from keys.stores.key_file import (
    SUFFIX,
    StoredKey,
    load_private_key,
    parse_key_file,
    render_key_file,
    render_private_pem,
    replace_times,
    usual_bits,
)


class NamedBytes(Protocol):
    """Where the texts of a key store are kept; every method raises KeyStoreError if it cannot."""

    @property
    def place(self) -> str:
        """Return what errors call the place, such as the path of a folder."""
        ...

    def names(self) -> Sequence[str]:
        """List the names in a fixed order; a place that does not exist yet has none."""
        ...

    def read(self, name: str) -> bytes:
        """Return the bytes of one name."""
        ...

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """Write, replace and remove (None) names durably, in this order; under the lock.

        Either all of it happens or nothing does, and a reader meets each text whole.
        """
        ...

    def stamp(self) -> Hashable:
        """Return a value that changes when anything is added, changed or removed; reads nothing."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Make the place if it is missing, and keep every other writer away from it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What happened to one key, for logs and the audit trail."""

    event: KeyEvent
    before: RingKey | None
    after: RingKey | None

    @property
    def key(self) -> RingKey:
        """Return the key as it is, or as it was if it is there no more."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a change has one of them
        return found


Applied = tuple[KeyChange, ...]
_Texts = dict[str, tuple[StoredKey, bytes]]
"""What the store holds, by kid, while it is changed."""


class KeyStore:
    """Signing keys, kept as named texts."""

    def __init__(
        self,
        records: NamedBytes,
        *,
        passphrase: bytes | None = None,
        holder: KeyHolder | None = None,
    ) -> None:
        """Name the place, which need not exist yet.

        Args:
            records: where the texts are.
            passphrase: encrypts private keys written from now on, and opens encrypted ones.
            holder: makes new keys, which never leave it; without one they are made in this process
                and kept in the texts.

        Raises:
            KeyStoreError: if the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise KeyStoreError("the key passphrase is empty; unset it or give one")
        self._records = records
        self._passphrase = passphrase
        self._holder = holder

    def __repr__(self) -> str:
        """Name the place, never the passphrase."""
        return f"KeyStore({self._records.place!r})"

    def records(self) -> tuple[StoredKey, ...]:
        """Read the public side of every key, in no particular order; needs no passphrase.

        Raises:
            KeyStoreError: if the place or any text in it is not as it must be.
        """
        return tuple(self._read(name)[1] for name in self._records.names())

    def signer(self, kid: str) -> Signer:
        """Return the signer of one key; slow if its private key is loaded for it, so do it once.

        Raises:
            KeyStoreError: if there is no such key, its text is not as it must be, or its private
                key is kept by what is not configured.
        """
        content, stored = self._find(kid)
        if stored.reference is None:
            return LocalSigner(stored.kid, stored.jwk.alg, self._load(content, stored))
        return self._holder_of(stored.reference).signer(stored)

    def export_private(self, kid: str) -> bytes:
        """Return one private key as an unencrypted PKCS#8 PEM block.

        Raises:
            KeyStoreError: as ``signer``, and if the private key cannot leave what keeps it.
        """
        content, stored = self._find(kid)
        if stored.reference is not None:
            kind = stored.reference["kind"]
            raise KeyStoreError(f"the private key of {kid} is kept by {kind} and cannot leave it")
        return render_private_pem(self._load(content, stored))

    def generate(
        self,
        *,
        alg: str,
        bits: int | None = None,
        now: int,
        policy: RingPolicy,
        activate_in: int | None = None,
    ) -> StoredKey:
        """Make a new key, place it in the ring and write it; all of it or nothing.

        Args:
            alg: the algorithm that the key will serve.
            bits: the size of an RSA key; None for that of the newest one, or the usual one.
            now: seconds since the epoch.
            policy: the rollover rule, which says when the key signs.
            activate_in: seconds until it signs, instead of the rule; the first key of a store signs
                at once in any case.

        Raises:
            KeyFromTheFuture: if the time of the new key cannot be told; see ``plan_generation``.
            KeyStoreError: if the store cannot be read or written, or the key would be one more than
                validators take.
            UnknownAlgorithm: if ``alg`` is not in the table.
            ValueError: if ``bits`` or ``activate_in`` cannot be.
        """
        (change,) = self.apply(
            lambda ring: plan_generation(ring, now, policy, alg, activate_in=activate_in),
            now=now,
            policy=policy,
            bits=bits,
        )
        return self._find(change.key.kid)[1]

    def apply(
        self, plan_of: PlanOf, *, now: int, policy: RingPolicy, bits: int | None = None
    ) -> Applied:
        """Change the store by a plan that is made of its keys under the lock, in one write.

        Where keys are made outside of this process, or the passphrase is not that of the keys, a
        withdrawal is written before the keys that are made with it, and stands if they cannot be
        made.

        Args:
            plan_of: makes the plan of the keys as they are; called under the lock.
            now: seconds since the epoch.
            policy: the rollover rule, which says what is published.
            bits: the size of new keys; None for that of the newest one of the algorithm.

        Returns:
            What happened, in the order of the plan; nothing if the plan is empty.

        Raises:
            KeyStoreError: if the plan is refused, the store cannot be read or written, a new key
                would be one more than validators take, or the passphrase does not open the keys
                that it would be beside; the store is as it was then.
        """
        with self._records.lock():
            before = self._read_all()
            texts = dict(before)
            plan = plan_of(tuple(stored.ring_key for stored, _ in texts.values()))
            first, then = self._urgent_first(plan, texts)
            done = self._carry_out_all(first, texts, now, policy, bits)
        self._destroy_removed(before, texts)
        if then:
            # Under a lock of its own: a database commits when it ends. Upkeep makes what cannot be
            # made now.
            with suppress(KeyStoreError):
                done += self._apply_rest(then, texts, now, policy, bits)
        return done

    def _destroy_removed(self, before: _Texts, texts: _Texts) -> None:
        try:
            self._discard(before, kept=texts)
        except KeyStoreError:
            # The private key is still there, so the text that refers to it stays too.
            with self._records.lock():
                self._write({kid: text for kid, text in before.items() if kid not in texts}, {})
            raise

    def _apply_rest(
        self, then: Plan, expected: _Texts, now: int, policy: RingPolicy, bits: int | None
    ) -> Applied:
        """Carry out the rest of a plan, unless the store was changed since its first part."""
        with self._records.lock():
            texts = self._read_all()
            return self._carry_out_all(then if texts == expected else (), texts, now, policy, bits)

    def stamp(self) -> Hashable:
        """Return a value that changes when any key is added, changed or removed.

        Reads no key, so it may be asked for every second.

        Raises:
            KeyStoreError: if the place cannot be listed.
        """
        return self._records.stamp()

    def _carry_out_all(
        self, plan: Plan, texts: _Texts, now: int, policy: RingPolicy, bits: int | None
    ) -> Applied:
        """Carry out a plan in one write; ``texts`` are what is stored then."""
        planned = dict(texts)
        try:
            done = tuple(self._carry_out(change, planned, bits) for change in plan)
            # A key that must not be used any more is withdrawn whatever there is room for.
            if not any(isinstance(change, Withdraw) for change in plan):
                _require_room(planned, texts, now, policy)
            self._write(planned, texts)
        except BaseException:
            with suppress(KeyStoreError):  # the first fault is the one to report
                self._discard(planned, kept=texts)
            raise
        texts.clear()
        texts.update(planned)
        return done

    def _carry_out(self, change: Change, texts: _Texts, bits: int | None) -> KeyChange:
        """Carry out one step on the texts in memory."""
        if isinstance(change, Generate):
            stored, content = self._make(change, texts, bits)
            texts[stored.kid] = stored, content
            return KeyChange(event=KeyEvent.GENERATED, before=None, after=stored.ring_key)
        if isinstance(change, Delete):
            stored, _ = texts.pop(change.kid)
            return KeyChange(event=KeyEvent.DELETED, before=stored.ring_key, after=None)
        stored, content = texts[change.kid]
        (ring_key,) = apply_change((stored.ring_key,), change)
        content = replace_times(content, stored, ring_key)
        texts[change.kid] = self._parse(content, f"{change.kid}{SUFFIX}"), content
        event = KeyEvent.REVOKED if isinstance(change, Withdraw) else KeyEvent.SCHEDULED
        return KeyChange(event=event, before=stored.ring_key, after=ring_key)

    def _make(self, change: Generate, texts: _Texts, bits: int | None) -> tuple[StoredKey, bytes]:
        size = bits or usual_bits(change.alg, (stored for stored, _ in texts.values()))
        if self._holder is None:
            self._check_passphrase(texts)
            private_key = generate_private_key(change.alg, bits=size)
            jwk, reference = public_jwk(private_key, change.alg), None
            block = render_private_pem(private_key, self._passphrase)
        else:
            name = f"watchword-{secrets.token_hex(8)}"
            public_key, reference = self._holder.generate(change.alg, size, name)
            jwk, block = public_jwk(public_key, change.alg), b""
        (ring_key,) = apply_change((), change, jwk.kid)
        stored = StoredKey(ring_key=ring_key, jwk=jwk, reference=reference)
        content = render_key_file(stored, block)
        return self._parse(content, f"{jwk.kid}{SUFFIX}"), content

    def _urgent_first(self, plan: Plan, texts: _Texts) -> tuple[Plan, Plan]:
        """Part a withdrawal from the keys that are made with it, which may be late."""
        new = tuple(change for change in plan if isinstance(change, Generate))
        if not new or not any(isinstance(change, Withdraw) for change in plan):
            return plan, ()
        with suppress(KeyStoreError):
            if self._holder is None:
                self._check_passphrase(texts)
                return plan, ()
        return tuple(change for change in plan if change not in new), new

    def _check_passphrase(self, texts: _Texts) -> None:
        """Refuse to make a key that would not open with the passphrase of the others.

        After a change of the passphrase, a node that was not restarted yet has the old one.
        """
        encrypted = (each for each in texts.values() if each[0].encrypted)
        for stored, content in islice(encrypted, 1):
            self._load(content, stored)

    def _write(self, texts: _Texts, before: _Texts) -> None:
        """Write what differs: new texts first, so that a key signs after every step."""
        written = {kid: content for kid, (_, content) in texts.items()}
        changes: dict[str, bytes | None] = {
            f"{kid}{SUFFIX}": content
            for kid, content in sorted(written.items(), key=lambda each: each[0] in before)
            if kid not in before or before[kid][1] != content
        }
        changes |= {f"{kid}{SUFFIX}": None for kid in before if kid not in texts}
        if changes:
            self._records.write(changes)

    def _discard(self, texts: _Texts, *, kept: _Texts) -> None:
        """Have those private keys destroyed outside of the store that no text refers to."""
        for kid, (stored, _) in texts.items():
            if kid not in kept and stored.reference is not None:
                self._holder_of(stored.reference).delete(stored.reference)

    def _holder_of(self, reference: Mapping[str, str]) -> KeyHolder:
        kind = reference["kind"]
        if self._holder is None or self._holder.kind != kind:
            raise KeyStoreError(
                f"a private key is kept by {kind}, which is not configured; "
                f"set WATCHWORD_KEY_SIGNER={kind} and what belongs to it"
            )
        return self._holder

    def _read_all(self) -> _Texts:
        texts = {}
        for name in self._records.names():
            content, stored = self._read(name)
            texts[stored.kid] = stored, content
        return texts

    def _read(self, name: str) -> tuple[bytes, StoredKey]:
        content = self._records.read(name)
        return content, self._parse(content, name)

    def _parse(self, content: bytes, name: str) -> StoredKey:
        where = f"{self._records.place}/{name}"
        stored = parse_key_file(content, name=where)
        if name != f"{stored.kid}{SUFFIX}":
            raise KeyStoreError(f"key file {where} must be named {stored.kid}{SUFFIX}; rename it")
        return stored

    def _find(self, kid: str) -> tuple[bytes, StoredKey]:
        name = f"{kid}{SUFFIX}"
        # A look-up among the names, not an access by name: no kid can lead to another place.
        if name not in self._records.names():
            place = self._records.place
            raise KeyStoreError(f"there is no such key in {place}; see: watchword keys list")
        return self._read(name)

    def _load(self, content: bytes, stored: StoredKey) -> PrivateKeyTypes:
        where = f"{self._records.place}/{stored.kid}{SUFFIX}"
        return load_private_key(content, stored, passphrase=self._passphrase, name=where)


def _require_room(texts: _Texts, before: _Texts, now: int, policy: RingPolicy) -> None:
    """Refuse a key with which the published set would be larger than any validator takes."""
    ring = derive_ring([stored.ring_key for stored, _ in texts.values()], now, policy)
    public = [texts[key.kid][0].jwk for key in published(ring)]
    if texts.keys() - before.keys() and not fits_jwk_set(public):
        raise KeyStoreError(
            f"the published set is full: validators take {MAXIMUM_KEYS} keys of 64 KB in all; wait "
            "until one is gone, or remove a pending one; see: watchword keys list"
        )
