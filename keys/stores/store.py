"""The key store: signing keys as texts of `key_file`, over a narrow port of named bytes.

The store knows the ring, the PEM and the passphrase; the port knows where the bytes are and how
they are locked. A store with one bad text is refused as a whole, for a key left out silently would
make tokens unverifiable.
"""

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from keys.errors import KeyStoreError
from keys.jwk import public_jwk
from keys.jwks import MAXIMUM_KEYS, fits_jwk_set
from keys.key_types import generate_private_key
from keys.ring import RingPolicy, derive_ring, place_key, published
from keys.signers.local import LocalSigner
from keys.stores.key_file import (
    SUFFIX,
    StoredKey,
    load_private_key,
    parse_key_file,
    render_key_file,
    render_private_pem,
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

    def write_new(self, name: str, content: bytes) -> None:
        """Write durably, so that a reader, or a crash, meets all of it or none; under the lock."""
        ...

    def stamp(self) -> Hashable:
        """Return a value that changes when anything is added, changed or removed; reads nothing."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Make the place if it is missing, and keep every other writer away from it."""
        ...


class KeyStore:
    """Signing keys, kept as named texts."""

    def __init__(self, records: NamedBytes, *, passphrase: bytes | None = None) -> None:
        """Name the place, which need not exist yet.

        Args:
            records: where the texts are.
            passphrase: encrypts private keys written from now on, and opens encrypted ones.

        Raises:
            KeyStoreError: if the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise KeyStoreError("the key passphrase is empty; unset it or give one")
        self._records = records
        self._passphrase = passphrase

    def __repr__(self) -> str:
        """Name the place, never the passphrase."""
        return f"KeyStore({self._records.place!r})"

    def records(self) -> tuple[StoredKey, ...]:
        """Read the public side of every key, in no particular order; needs no passphrase.

        Raises:
            KeyStoreError: if the place or any text in it is not as it must be.
        """
        return tuple(self._read(name)[1] for name in self._records.names())

    def signer(self, kid: str) -> LocalSigner:
        """Return the signer of one key, whose private key it loads; slow, so do it once.

        Raises:
            KeyStoreError: if there is no such key, or its text is not as it must be.
        """
        stored, private_key = self._load(kid)
        return LocalSigner(stored.kid, stored.jwk.alg, private_key)

    def export_private(self, kid: str) -> bytes:
        """Return one private key as an unencrypted PKCS#8 PEM block.

        Raises:
            KeyStoreError: as ``signer``.
        """
        return render_private_pem(self._load(kid)[1])

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
            bits: the size of an RSA key; None for the usual one.
            now: seconds since the epoch.
            policy: the rollover rule, which says when the key signs.
            activate_in: seconds until it signs, instead of the rule; the first key of a store signs
                at once in any case.

        Raises:
            KeyFromTheFuture: if the time of the new key cannot be told; see ``place_key``.
            KeyStoreError: if the store cannot be read or written, or the key would be one more than
                validators take.
            UnknownAlgorithm: if ``alg`` is not in the table.
            ValueError: if ``bits`` or ``activate_in`` cannot be.
        """
        private_key = generate_private_key(alg, bits=bits)
        jwk = public_jwk(private_key, alg)
        private_pem = render_private_pem(private_key, self._passphrase)
        # Reading the ring and adding to it is one step: of two first keys only one signs at once.
        with self._records.lock():
            records = self.records()
            ring = [stored.ring_key for stored in records]
            placed = place_key(
                ring, kid=jwk.kid, alg=alg, now=now, policy=policy, activate_in=activate_in
            )
            stored = StoredKey(ring_key=placed, jwk=jwk)
            _require_room([*records, stored], now, policy)
            self._records.write_new(f"{jwk.kid}{SUFFIX}", render_key_file(stored, private_pem))
        return stored

    def stamp(self) -> Hashable:
        """Return a value that changes when any key is added, changed or removed.

        Reads no key, so it may be asked for every second.

        Raises:
            KeyStoreError: if the place cannot be listed.
        """
        return self._records.stamp()

    def _read(self, name: str) -> tuple[bytes, StoredKey]:
        where = f"{self._records.place}/{name}"
        content = self._records.read(name)
        stored = parse_key_file(content, name=where)
        if name != f"{stored.kid}{SUFFIX}":
            raise KeyStoreError(f"key file {where} must be named {stored.kid}{SUFFIX}; rename it")
        return content, stored

    def _load(self, kid: str) -> tuple[StoredKey, PrivateKeyTypes]:
        name, place = f"{kid}{SUFFIX}", self._records.place
        # A look-up among the names, not an access by name: no kid can lead to another place.
        if name not in self._records.names():
            raise KeyStoreError(f"there is no such key in {place}; see: watchword keys list")
        content, stored = self._read(name)
        private_key = load_private_key(
            content, stored, passphrase=self._passphrase, name=f"{place}/{name}"
        )
        return stored, private_key


def _require_room(records: Sequence[StoredKey], now: int, policy: RingPolicy) -> None:
    """Refuse a key with which the published set would be larger than any validator takes."""
    ring = derive_ring([stored.ring_key for stored in records], now, policy)
    kids = {key.kid for key in published(ring)}
    if not fits_jwk_set([stored.jwk for stored in records if stored.kid in kids]):
        raise KeyStoreError(
            f"the published set is full: validators take {MAXIMUM_KEYS} keys of 64 KB in all; wait "
            "until one is gone, or remove the file of a pending one; see: watchword keys list"
        )
