"""Own the key store in a folder: one file a key, 0600 in 0700, replaced atomically, under one lock.

The only place where keys meet the file system. Every refusal is one line that names the file and
the mend; a store with one bad file is refused as a whole, for a key left out silently would make
tokens unverifiable.
"""

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from keys.errors import KeyStoreError
from keys.generate import generate_private_key
from keys.jwk import public_jwk
from keys.jwks import MAXIMUM_KEYS, fits_jwk_set
from keys.ring import RingPolicy, derive_ring, place_key, published
from keys.stores.file_access import file_fault, folder_fault, folders_above
from keys.stores.key_file import (
    StoredKey,
    load_private_key,
    parse_key_file,
    render_key_file,
    render_private_pem,
)

_SUFFIX = ".pem"
_UNFINISHED = ".unfinished"
_LOCK = ".lock"
_KID = re.compile(r"[A-Za-z0-9_-]{43}")  # a SHA-256 thumbprint; nothing that walks the file system
_MAXIMUM_FILE_BYTES = 65_536


class FileKeyStore:
    """Signing keys in a folder of this machine."""

    def __init__(self, folder: Path, *, passphrase: bytes | None = None) -> None:
        """Name the folder, which need not exist yet.

        Args:
            folder: where the key files are; made with mode 0700 when the first key is.
            passphrase: encrypts private keys written from now on, and opens encrypted ones.

        Raises:
            KeyStoreError: if the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise KeyStoreError("the key passphrase is empty; unset it or give one")
        self._folder = folder
        self._passphrase = passphrase

    def __repr__(self) -> str:
        """Name the folder, never the passphrase."""
        return f"FileKeyStore({str(self._folder)!r})"

    def records(self) -> tuple[StoredKey, ...]:
        """Read the public side of every key, in no particular order; needs no passphrase.

        Raises:
            KeyStoreError: if the folder or any file in it is not as it must be.
        """
        return tuple(self._read(path)[1] for path in self._key_files())

    def load_private(self, kid: str) -> RSAPrivateKey:
        """Read one private key; slow, so do it once.

        Raises:
            KeyStoreError: if there is no such key, or its file is not as it must be.
        """
        path = self._folder / f"{kid}{_SUFFIX}"
        if _KID.fullmatch(kid) is None or path not in self._key_files():
            raise KeyStoreError(f"there is no such key in {self._folder}; see: watchword keys list")
        content, stored = self._read(path)
        return load_private_key(content, stored, passphrase=self._passphrase, name=str(path))

    def export_private(self, kid: str) -> bytes:
        """Return one private key as an unencrypted PKCS#8 PEM block.

        Raises:
            KeyStoreError: as ``load_private``.
        """
        return render_private_pem(self.load_private(kid))

    def generate(
        self,
        *,
        alg: str = "RS256",
        bits: int = 2048,
        now: int,
        policy: RingPolicy,
        activate_in: int | None = None,
    ) -> StoredKey:
        """Make a new key, place it in the ring and write it; all of it or nothing.

        Args:
            alg: the algorithm that the key will serve.
            bits: the size of the key.
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
        self._make_folder()
        private_key = generate_private_key(alg, bits=bits)
        jwk = public_jwk(private_key, alg)
        private_pem = render_private_pem(private_key, self._passphrase)
        # Reading the ring and adding to it is one step: of two first keys only one signs at once.
        with self._locked():
            records = self.records()
            ring = [stored.ring_key for stored in records]
            placed = place_key(
                ring, kid=jwk.kid, alg=alg, now=now, policy=policy, activate_in=activate_in
            )
            stored = StoredKey(ring_key=placed, jwk=jwk)
            _require_room([*records, stored], now, policy)
            self._write(f"{jwk.kid}{_SUFFIX}", render_key_file(stored, private_pem))
        return stored

    def stamp(self) -> Hashable:
        """Return a value that changes when any key file is added, changed or removed.

        Costs a handful of system calls and reads no file, so it may be asked every second.

        Raises:
            KeyStoreError: if the folder cannot be listed.
        """
        try:
            # A Secret volume of Kubernetes has links in the place of files.
            facts = ((path.name, path.stat()) for path in self._key_files())
            return tuple((name, f.st_ino, f.st_size, f.st_ctime_ns) for name, f in facts)
        except OSError as error:
            raise _refusal("read", self._folder, error) from error

    def _key_files(self) -> list[Path]:
        """List the key files by name; an absent folder is an empty store."""
        try:
            self._check_folder()
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _refusal("read", self._folder, error) from error
        return [self._folder / name for name in names if _is_key_file(name)]

    def _check_folder(self) -> int:
        """Refuse a folder in which another account could read or replace keys; return its mode."""
        self._check_parent()
        facts = self._folder.stat()
        if not stat.S_ISDIR(facts.st_mode):
            raise KeyStoreError(f"{self._folder} is not a folder; move the file away")
        if fault := folder_fault(self._folder, facts, private=True):
            raise KeyStoreError(f"key folder {fault}")
        return facts.st_mode

    def _check_parent(self) -> None:
        """Refuse a folder above in which another account could replace the key folder."""
        for parent in folders_above(self._folder):
            if fault := folder_fault(parent, parent.stat(), private=False):
                raise KeyStoreError(f"folder {fault}")

    def _read(self, path: Path) -> tuple[bytes, StoredKey]:
        try:
            content = _read_private_file(path)
        except OSError as error:
            raise _refusal("read", path, error) from error
        stored = parse_key_file(content, name=str(path))
        if path.name != f"{stored.kid}{_SUFFIX}":
            raise KeyStoreError(f"key file {path} must be named {stored.kid}{_SUFFIX}; rename it")
        return content, stored

    def _make_folder(self) -> None:
        """Make the folder and those above it where they are missing; no one else may look in."""
        try:
            above = [self._folder, *self._folder.parents]
            missing = [each for each in above if not each.exists()]
            if missing == [self._folder]:
                self._check_parent()
            for folder in reversed(missing):
                folder.mkdir(mode=0o700, exist_ok=True)
            mode = self._check_folder()
        except OSError as error:
            raise _refusal("make", self._folder, error) from error
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            raise KeyStoreError(
                f"key folder {self._folder} is not writable; run: chmod 700 {self._folder}"
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store's lock; it ends with the process, so a crash leaves nothing locked."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self._folder / _LOCK, flags, 0o600)
        except OSError as error:
            raise _refusal("write", self._folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, name: str, content: bytes) -> None:
        """Write a file so that a reader, or a crash, meets all of it or none of it."""
        unfinished = self._folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
        try:
            self._remove_unfinished()
            _write_durably(unfinished, content)
            unfinished.rename(self._folder / name)
            _sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise _refusal("write", self._folder / name, error) from error

    def _remove_unfinished(self) -> None:
        """Remove what a crash left behind: under the lock, nobody else is writing."""
        for path in self._folder.glob(f".*{_UNFINISHED}"):
            path.unlink()


def _is_key_file(name: str) -> bool:
    return name.endswith(_SUFFIX) and not name.startswith(".")


def _read_private_file(path: Path) -> bytes:
    """Read a file that other accounts cannot; what is judged is what is read, links followed."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    with os.fdopen(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise KeyStoreError(f"key file {path} is not a regular file; remove it")
        if fault := file_fault(path, facts):
            raise KeyStoreError(f"key file {fault}")
        content = file.read(_MAXIMUM_FILE_BYTES + 1)
    if len(content) > _MAXIMUM_FILE_BYTES:
        raise KeyStoreError(f"key file {path} is too large to be one; remove it")
    return content


def _write_durably(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_room(records: Sequence[StoredKey], now: int, policy: RingPolicy) -> None:
    """Refuse a key with which the published set would be larger than any validator takes."""
    ring = derive_ring([stored.ring_key for stored in records], now, policy)
    kids = {key.kid for key in published(ring)}
    if not fits_jwk_set([stored.jwk for stored in records if stored.kid in kids]):
        raise KeyStoreError(
            f"the published set is full: validators take {MAXIMUM_KEYS} keys of 64 KB in all; wait "
            "until one is gone, or remove the file of a pending one; see: watchword keys list"
        )


def _refusal(verb: str, path: Path, error: OSError) -> KeyStoreError:
    reason = (error.strerror or "input/output error").lower()
    return KeyStoreError(
        f"cannot {verb} {path}: {reason}; check its owner, mode and the free space"
    )
