"""The key store that the settings name: files in the data folder, or rows of the database."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from keys.events import EventSink, ignore_event
from keys.stores.folder import KeyFolder
from keys.stores.store import KeyStore, NamedBytes
from watchword.ambient import wall_clock

if TYPE_CHECKING:
    from issuer.storage.registry import Registry
    from keys.signers.outside import KeyHolder
    from keys.stores.sealed import Sealer
    from watchword.settings import Settings


def open_key_store(
    settings: "Settings",
    events: EventSink = ignore_event,
    *,
    registry: "Registry | None" = None,
) -> KeyStore:
    """Return the key store that the settings name; nothing is read yet.

    Args:
        settings: all settings, checked.
        events: where it is reported that keys outside of this process do not sign.
        registry: where the keys are, if they are in its database.

    Raises:
        KeyStoreError: what keeps new keys needs a package that is not installed.
    """
    return KeyStore(
        open_key_place(settings, registry),
        passphrase=settings.passphrase,
        holder=_open_holder(settings, events),
    )


@contextmanager
def opened_key_store(settings: "Settings", *, reading: bool = False) -> "Iterator[KeyStore]":
    """Open the key store for the length of a command.

    Args:
        settings: all settings, checked.
        reading: nothing is changed; a database is not even made.

    Raises:
        RegistryError, DataFolderError: the database of the keys cannot be used.
        KeyStoreError: as `open_key_store`.
    """
    with opened_registry_of_keys(settings, reading=reading) as registry:
        yield open_key_store(settings, registry=registry)


@contextmanager
def opened_registry_of_keys(
    settings: "Settings", *, reading: bool = False
) -> "Iterator[Registry | None]":
    """Open the registry for the length of a command, if the keys are in its database."""
    if settings.key_store == "files":
        yield None
        return
    from watchword.registry import open_registry, read_registry

    open_it = read_registry if reading else open_registry
    with closing(open_it(settings, now=wall_clock)) as registry:
        yield registry


def open_key_place(settings: "Settings", registry: "Registry | None") -> NamedBytes:
    """Return where the texts of the keys are, as the passphrase opens them."""
    return open_key_places(settings, registry, settings.passphrase)[0]


def open_key_places(
    settings: "Settings", registry: "Registry | None", *passphrases: bytes | None
) -> Sequence[NamedBytes]:
    """Return where the texts of the keys are, as each of some passphrases opens them."""
    records = find_key_records(settings, registry)
    if settings.key_store == "files":
        return [records] * len(passphrases)  # the texts themselves are encrypted
    from keys.stores.sealed import SealedBytes

    return [SealedBytes(records, open_sealer(each)) for each in passphrases]


def find_key_records(settings: "Settings", registry: "Registry | None") -> NamedBytes:
    """Return where the keys are, with all that is there as it is: sealed in a database."""
    if settings.key_store == "files":
        return KeyFolder(settings.keys_folder)
    assert registry is not None  # noqa: S101 - the caller opens it if the keys are in it
    return registry.key_records(settings.database.shown)


@lru_cache(maxsize=2)
def open_sealer(passphrase: bytes | None) -> "Sealer":
    """Return what seals texts with a passphrase, without which the settings are refused.

    The same one each time, since its keys take long to make.
    """
    from keys.stores.sealed import Sealer

    return Sealer(passphrase or b"", random_bytes=secrets.token_bytes)


def _open_holder(settings: "Settings", events: EventSink) -> "KeyHolder | None":
    # Only what is used is imported: these packages are optional, and slow to load.
    if settings.key_signer == "pkcs11":
        from keys.signers.pkcs11 import Pkcs11Holder

        module, token, pin = settings.pkcs11
        return Pkcs11Holder(module, token, pin, events)
    if settings.key_signer == "aws-kms":
        from keys.signers.aws_kms import AwsKmsHolder

        return AwsKmsHolder(events)
    return None
