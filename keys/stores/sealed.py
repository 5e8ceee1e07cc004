"""Seal the texts of a key store for a place that others can read or write, such as a database.

Pure but for the random bytes, which come from an argument. AES-256-GCM, by a key that scrypt
(RFC 7914) makes of the passphrase. A sealed text begins with a line that says how it was sealed;
the cipher authenticates this line and the name, so nothing can be altered and no two texts swapped.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from keys.errors import KeyStoreError
from keys.stores.store import NamedBytes

_SALT_BYTES, _NONCE_BYTES = 16, 12
# OWASP's cheat sheet on password storage gives these among equals; 32 MB and a quarter of a second.
_COST = "n=32768,r=8,p=3"
_MOST_MEMORY = 2**17
_HEAD = re.compile(
    rb"watchword-sealed 1 scrypt (?P<kdf>n=(?P<n>[1-9][0-9]{4,5}),r=8,p=(?P<p>[1-4]) "
    rb"(?P<salt>[0-9a-f]{32})) (?P<nonce>[0-9a-f]{24})\n"
)
_LARGEST_HEAD = 128
_KEPT_KEYS = 8


def is_sealed(content: bytes) -> bool:
    """Tell a sealed text from one that is not, without a look at whether it opens."""
    return content.startswith(b"watchword-sealed ")


class Sealer:
    """Seals and opens texts with one passphrase; the keys that it makes of it are kept.

    Args:
        passphrase: what the keys are made of.
        random_bytes: gives that many bytes that cannot be predicted.
    """

    def __init__(self, passphrase: bytes, *, random_bytes: Callable[[int], bytes]) -> None:
        self._passphrase = passphrase
        self._random_bytes = random_bytes
        self._keys: dict[bytes, AESGCM] = {}
        self._kdf: bytes | None = None

    def seal(self, name: str, text: bytes) -> bytes:
        """Seal a text, with the salt of the one that was opened or sealed last."""
        if self._kdf is None:
            self._kdf = f"{_COST} {self._random_bytes(_SALT_BYTES).hex()}".encode()
        nonce = self._random_bytes(_NONCE_BYTES)
        head = b"watchword-sealed 1 scrypt %s %s\n" % (self._kdf, nonce.hex().encode())
        return head + self._key(self._kdf).encrypt(nonce, text, head + name.encode())

    def open(self, name: str, sealed: bytes, *, where: str) -> bytes:
        """Return the text that was sealed under this name.

        Args:
            name: the name.
            sealed: what ``seal`` returned.
            where: how to call it in an error.

        Raises:
            KeyStoreError: it is damaged, altered, of another name or passphrase, or asks for more
                work than a genuine one.
        """
        head = _HEAD.match(sealed[:_LARGEST_HEAD])
        if head is None or not _is_bounded(int(head["n"])):
            raise KeyStoreError(
                f"key {where} is damaged, or sealed by a newer version; restore it from a backup"
            )
        nonce, content = bytes.fromhex(head["nonce"].decode()), sealed[head.end() :]
        try:
            text = self._key(head["kdf"]).decrypt(nonce, content, head[0] + name.encode())
        except InvalidTag:
            raise KeyStoreError(
                f"key {where} does not open: WATCHWORD_KEY_PASSPHRASE is not the one that it was "
                "sealed with, or it was altered; set the right one, or restore it from a backup"
            ) from None
        self._kdf = head["kdf"]
        return text

    def _key(self, kdf: bytes) -> AESGCM:
        """Make the key, which takes long, unless it is known."""
        if kdf not in self._keys:
            if len(self._keys) >= _KEPT_KEYS:
                del self._keys[next(iter(self._keys))]
            cost, salt = kdf.decode().split(" ")
            n, r, p = (int(part.partition("=")[2]) for part in cost.split(","))
            scrypt = Scrypt(salt=bytes.fromhex(salt), length=32, n=n, r=r, p=p)
            self._keys[kdf] = AESGCM(scrypt.derive(self._passphrase))
        return self._keys[kdf]


def _is_bounded(n: int) -> bool:
    """Tell whether scrypt takes this cost, a power of two, and no more than 128 MB for it."""
    return 2**15 <= n <= _MOST_MEMORY and n.bit_count() == 1


class SealedBytes:
    """Key texts in a place that holds them sealed. See `NamedBytes` for the methods.

    Args:
        records: the place.
        sealer: opens what is read there, and seals what is written.
    """

    def __init__(self, records: NamedBytes, sealer: Sealer) -> None:
        self._records = records
        self._sealer = sealer

    @property
    def place(self) -> str:  # noqa: D102
        return self._records.place

    def names(self) -> Sequence[str]:  # noqa: D102
        return self._records.names()

    def read(self, name: str) -> bytes:  # noqa: D102
        sealed = self._records.read(name)
        return self._sealer.open(name, sealed, where=f"{self.place}/{name}")

    def write(self, changes: Mapping[str, bytes | None]) -> None:  # noqa: D102
        self._records.write(
            {
                name: None if text is None else self._sealer.seal(name, text)
                for name, text in changes.items()
            }
        )

    def stamp(self) -> Hashable:  # noqa: D102
        return self._records.stamp()

    def lock(self) -> AbstractContextManager[None]:  # noqa: D102
        return self._records.lock()
