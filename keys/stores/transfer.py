"""Move every key to another place, or have all of them under another passphrase: all or nothing."""

from collections.abc import Set

from keys.errors import KeyStoreError
from keys.stores.key_file import SUFFIX, StoredKey, replace_passphrase
from keys.stores.store import KeyStore, NamedBytes


def move_keys(
    source: NamedBytes, target: NamedBytes, *, passphrase: bytes | None
) -> tuple[StoredKey, ...]:
    """Write every key, with all of its facts, to another place; then remove them from the first.

    Args:
        source: where they are.
        target: where they go; it may hold some of them already, as after a move that was cut off.
        passphrase: opens private keys that are encrypted, and encrypts all of them.

    Returns:
        What was moved, as it was.

    Raises:
        KeyStoreError: there is nothing to move, the target holds keys that the source does not
            know, or one of them cannot be read or written. Every key is in the source then.
    """
    with source.lock():
        known, texts = _read_all(source, old=passphrase, new=passphrase)
        with target.lock():
            if foreign := set(target.names()) - texts.keys():
                raise KeyStoreError(_explain_foreign(source, target, foreign, texts.keys()))
            target.write(texts)
        source.write(dict.fromkeys(texts))
    return known


def _explain_foreign(
    source: NamedBytes, target: NamedBytes, foreign: Set[str], known: Set[str]
) -> str:
    kid = min(foreign).removesuffix(SUFFIX)
    fault = f"{target.place} holds keys that {source.place} does not know, such as {kid}"
    if known <= set(target.names()):
        # As a move leaves them that ended while it removed files: the target alone has all then.
        return (
            f"{fault}, beside all that it knows; if a move was cut off, all keys are in "
            f"{target.place}: serve from there, and delete there what was deleted here since"
        )
    return f"{fault}; delete them, or keep the keys where they are"


def change_passphrase(
    before: NamedBytes, after: NamedBytes, *, old: bytes | None, new: bytes | None
) -> tuple[StoredKey, ...]:
    """Encrypt every private key with another passphrase.

    Args:
        before: the place, as the old passphrase opens it.
        after: the same place, as the new one seals it.
        old: the passphrase; what is not encrypted needs none.
        new: the new one; None leaves the private keys in the clear.

    Returns:
        The keys as they were.

    Raises:
        KeyStoreError: there is no key, or one of them cannot be read or written; nothing has
            changed then.
    """
    with before.lock():
        known, texts = _read_all(before, old=old, new=new)
        after.write(texts)
    return known


def _read_all(
    place: NamedBytes, *, old: bytes | None, new: bytes | None
) -> tuple[tuple[StoredKey, ...], dict[str, bytes]]:
    """Read every key, and write its text with the private key under the new passphrase."""
    known = KeyStore(place).records()
    if not known:
        raise KeyStoreError(f"there is no key in {place.place}")
    texts = {}
    for stored in known:
        name = f"{stored.kid}{SUFFIX}"
        where = f"{place.place}/{name}"
        texts[name] = replace_passphrase(place.read(name), stored, old=old, new=new, name=where)
    return known, texts
