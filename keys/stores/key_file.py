"""Read and write the text of a key file: a line of public facts above a PKCS#8 PEM block.

Pure. OpenSSL skips what stands above the block, so it reads the file too. The line lets keys be
listed and published without the passphrase and without private-key work. The text describes itself
and may be encrypted, so it can be kept anywhere, not only in a file. Where the private key is kept
by something else, such as a security module, the line says where, and there is no block.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from keys.encoding import parse_json_object
from keys.errors import InvalidJwk, KeyStoreError
from keys.jwk import PUBLISHED_TEST_KEYS, PublicJwk, parse_public_jwk, public_jwk, thumbprint
from keys.key_types import KEY_TYPES
from keys.ring import RingKey

SUFFIX = ".pem"
"""What follows the kid in the name of a key file."""

_WARNING = "Watchword signing key. Reading it is enough to issue tokens: keep it secret."
_LABEL = "Watchword-Key: "
_FACTS_LINE = re.compile(rb"^Watchword-Key: [^\r\n]*", re.MULTILINE)
_REMEDY = "restore it from a backup or remove it"
_PLAIN = "PRIVATE KEY"
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
# In the year 2242; what lies beyond is damage, not a time.
_LAST_SECOND = 2**33


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """The public side of a key in the store."""

    ring_key: RingKey
    jwk: PublicJwk
    encrypted: bool = False
    """Whether a passphrase protects the private key in the text."""
    reference: Mapping[str, str] | None = field(default=None, hash=False)
    """Where the private key is, with its ``kind``, if it is not in the text."""

    @property
    def kid(self) -> str:
        """Return the key's identifier, its RFC 7638 thumbprint."""
        return self.ring_key.kid

    @property
    def bits(self) -> int:
        """Return the size of the key."""
        return self.jwk.bits


def render_private_pem(private_key: PrivateKeyTypes, passphrase: bytes | None = None) -> bytes:
    """Write a private key as a PKCS#8 PEM block, encrypted if there is a passphrase."""
    return private_key.private_bytes(
        Encoding.PEM,
        PrivateFormat.PKCS8,
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase),
    )


def render_key_file(stored: StoredKey, private_pem: bytes = b"") -> bytes:
    """Write the text of a key file, without a block if the private key is kept elsewhere."""
    return f"{_WARNING}\n{_render_facts(stored)}\n".encode() + private_pem


def replace_times(content: bytes, stored: StoredKey, ring_key: RingKey) -> bytes:
    """Write the text of a key file with other times; the private key is not touched.

    Args:
        content: the text as it is.
        stored: what `parse_key_file` read in it.
        ring_key: the same key with its new times.
    """
    facts = _render_facts(replace(stored, ring_key=ring_key)).encode()
    return _FACTS_LINE.sub(lambda _: facts, content, count=1)


def replace_passphrase(
    content: bytes, stored: StoredKey, *, old: bytes | None, new: bytes | None, name: str
) -> bytes:
    """Write the text of a key file with its private key under another passphrase.

    Args:
        content: the text as it is.
        stored: what `parse_key_file` read in it; a key that is kept elsewhere stays as it is.
        old: the passphrase that opens it.
        new: the one to encrypt it with; None leaves it in the clear.
        name: how to call the file in an error.

    Raises:
        KeyStoreError: as `load_private_key`.
    """
    if stored.reference is not None:
        return content
    private_key = load_private_key(content, stored, passphrase=old, name=name)
    facts, _, _ = content.partition(b"-----BEGIN ")
    return facts + render_private_pem(private_key, new)


def usual_bits(alg: str, known: Iterable[StoredKey]) -> int | None:
    """Return the size of the newest key of an algorithm, if there is one and a choice."""
    of_alg = [stored for stored in known if stored.jwk.alg == alg]
    newest = max(of_alg, key=lambda stored: stored.ring_key.published_at, default=None)
    is_choice = newest is not None and newest.bits in KEY_TYPES[newest.jwk.kty].sizes
    return newest.bits if newest is not None and is_choice else None


def _render_facts(stored: StoredKey) -> str:
    times = stored.ring_key
    facts: dict[str, object] = {"published_at": times.published_at, "signs_from": times.signs_from}
    if times.withdrawn_at is not None:
        facts["withdrawn_at"] = times.withdrawn_at
    if stored.reference is not None:
        facts["signer"] = dict(stored.reference)
    facts["jwk"] = stored.jwk.members()
    return _LABEL + json.dumps(facts, separators=(",", ":"))


def parse_key_file(content: bytes, *, name: str) -> StoredKey:
    """Read the public side of a key file, without touching the private key.

    Args:
        content: the whole file.
        name: how to call the file in an error.

    Raises:
        KeyStoreError: if the file is empty, damaged or half-written, or holds a key that is weak or
            printed in an RFC.
    """
    if not content:
        raise KeyStoreError(f"key file {name} is empty; {_REMEDY}")
    lines = _FACTS_LINE.findall(content)
    if not lines:
        _read_block(content, name)  # a file that was cut short is told apart from a foreign one
    if len(lines) != 1:
        raise KeyStoreError(f"key file {name} has no Watchword-Key line; {_REMEDY}")
    try:
        facts = parse_json_object(lines[0].removeprefix(_LABEL.encode()))
        stored = _read_facts(facts)
    except InvalidJwk as error:
        raise KeyStoreError(f"key file {name} is not usable: {error}; {_REMEDY}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise KeyStoreError(
            f"key file {name} has a damaged Watchword-Key line; {_REMEDY}"
        ) from error
    if stored.reference is not None:
        if b"-----BEGIN " in content:
            raise KeyStoreError(
                f"key file {name} names a signer and holds a private key as well; {_REMEDY}"
            )
    elif _read_block(content, name) == _ENCRYPTED:
        stored = replace(stored, encrypted=True)
    if stored.kid in PUBLISHED_TEST_KEYS:
        raise KeyStoreError(
            f"key file {name} holds the test key printed in {PUBLISHED_TEST_KEYS[stored.kid]}, "
            "whose private key is public; remove it"
        )
    return stored


def load_private_key(
    content: bytes, stored: StoredKey, *, passphrase: bytes | None, name: str
) -> PrivateKeyTypes:
    """Read the private key of a key file, and check that it belongs to its public side.

    Raises:
        KeyStoreError: if the passphrase is missing or wrong, or the block damaged or foreign.
    """
    if stored.encrypted and passphrase is None:
        raise KeyStoreError(f"key file {name} is encrypted; set WATCHWORD_KEY_PASSPHRASE")
    try:
        private_key = load_pem_private_key(content, passphrase if stored.encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        cause = "does not open with this passphrase, or is damaged; check WATCHWORD_KEY_PASSPHRASE"
        remedy = f"{cause}, or {_REMEDY}" if stored.encrypted else f"is damaged; {_REMEDY}"
        raise KeyStoreError(f"key file {name} {remedy}") from error
    kty = stored.jwk.kty
    if not isinstance(private_key, KEY_TYPES[kty].private):
        raise KeyStoreError(f"key file {name} does not hold an {kty} key; {_REMEDY}")
    try:
        belongs = public_jwk(private_key, stored.jwk.alg).kid == stored.kid
    except InvalidJwk as error:
        raise KeyStoreError(f"key file {name} is not usable: {error}; {_REMEDY}") from error
    if not belongs:
        raise KeyStoreError(f"key file {name} holds another key than it says; {_REMEDY}")
    return private_key


def _read_block(content: bytes, name: str) -> str:
    """Tell the kind of the PEM block.

    Raises:
        KeyStoreError: if it is cut short, as a crash or a full disk would leave it.
    """
    lines = content.decode("latin-1").splitlines()
    for kind in (_PLAIN, _ENCRYPTED):
        if lines.count(f"-----BEGIN {kind}-----") == lines.count(f"-----END {kind}-----") == 1:
            return kind
    raise KeyStoreError(f"key file {name} is damaged or only half written; {_REMEDY}")


def _read_facts(facts: dict[str, Any]) -> StoredKey:
    members = facts["jwk"]
    if not isinstance(members, dict):
        raise ValueError("not a JWK")
    jwk = parse_public_jwk(members)
    if jwk.kid != thumbprint(jwk.members()):
        raise InvalidJwk("the kid is not the thumbprint of the key")
    signs_from, withdrawn_at = facts["signs_from"], facts.get("withdrawn_at")
    ring_key = RingKey(
        kid=jwk.kid,
        alg=jwk.alg,
        published_at=_read_time(facts["published_at"]),
        signs_from=None if signs_from is None else _read_time(signs_from),
        withdrawn_at=None if withdrawn_at is None else _read_time(withdrawn_at),
    )
    reference = _read_reference(facts["signer"]) if "signer" in facts else None
    return StoredKey(ring_key=ring_key, jwk=jwk, reference=reference)


def _read_time(seconds: object) -> int:
    if type(seconds) is not int or not 0 <= seconds <= _LAST_SECOND:
        raise ValueError("not a time")
    return seconds


def _read_reference(members: object) -> dict[str, str]:
    if not isinstance(members, dict) or "kind" not in members:
        raise ValueError("not a reference to a signer")
    if not all(isinstance(value, str) for value in members.values()):
        raise ValueError("not a reference to a signer")
    return members
