"""Open what seals the secrets of client_secret_jwt: a key in the registry, under the passphrase."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from issuer.registry.audit import SYSTEM
from issuer.registry.secret_seal import KEY_BYTES, SecretSeal
from keys.encoding import decode_base64url, encode_base64url
from keys.errors import KeyStoreError
from watchword.ambient import wall_clock
from watchword.errors import ClientSealError
from watchword.key_store import open_sealer

if TYPE_CHECKING:
    from issuer.storage.edit import RegistryEdit
    from issuer.storage.reading import RegistryReading
    from issuer.storage.registry import Registry
    from watchword.settings import Settings

_NAME = "key of client secrets"


def open_seal(settings: "Settings", registry: "Registry", *, reading: bool = False) -> SecretSeal:
    """Return what seals secrets; its key is made unless there is one that any secret needs.

    Args:
        settings: with a passphrase.
        registry: where the key is kept.
        reading: nothing is written, so a key that is made is good for nothing.

    Raises:
        ClientSealError: the key does not open.
        StoreUnavailable: the database cannot answer.
    """

    def find(known: "RegistryReading") -> bytes | None:
        wrapped = known.identity().seal_key
        try:
            return None if wrapped is None else _unwrap(wrapped, settings.passphrase)
        except ClientSealError:
            if known.has_sealed_secrets():
                raise
            return None

    def find_or_make(edit: "RegistryEdit") -> bytes:
        key = find(edit)
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            edit.write_seal_key(_wrap(key, settings.passphrase))
        return key

    key = registry.read(find)
    if key is None and not reading:
        key = registry.change(find_or_make, by=SYSTEM)
    return SecretSeal(key or bytes(KEY_BYTES), random_bytes=secrets.token_bytes)


@contextmanager
def seal_key_under(settings: "Settings", passphrase: bytes | None) -> Iterator[None]:
    """Have the key under another passphrase from then on; not so if what follows fails.

    Args:
        settings: with the present passphrase.
        passphrase: the next one.

    Raises:
        ClientSealError: the key does not open, or there is no next passphrase.
    """
    from watchword.registry import is_missing, open_registry

    if is_missing(settings):
        yield
        return
    with closing(open_registry(settings, now=wall_clock)) as registry:
        before = registry.read(lambda known: known.identity().seal_key)
        if before is None:
            yield
            return
        if passphrase is None:
            raise ClientSealError(
                "the secrets of client_secret_jwt are always sealed; revoke them, or keep the"
                " passphrase"
            )
        after = _wrap(_unwrap(before, settings.passphrase), passphrase)
        _write(registry, after)
        try:
            yield
        except BaseException:
            _write(registry, before)
            raise


def _write(registry: "Registry", wrapped: str) -> None:
    registry.change(lambda edit: edit.write_seal_key(wrapped), by=SYSTEM)


def _wrap(key: bytes, passphrase: bytes | None) -> str:
    return encode_base64url(open_sealer(passphrase).seal(_NAME, key))


def _unwrap(wrapped: str, passphrase: bytes | None) -> bytes:
    try:
        return open_sealer(passphrase).open(_NAME, decode_base64url(wrapped), where=_NAME)
    except (KeyStoreError, ValueError):
        raise ClientSealError(
            "the secrets of client_secret_jwt do not open: set WATCHWORD_KEY_PASSPHRASE to the"
            " passphrase that they were sealed with, or set WATCHWORD_CLIENT_SECRET_JWT=off and"
            " revoke them: watchword clients secrets revoke"
        ) from None
