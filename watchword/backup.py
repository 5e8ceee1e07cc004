"""A backup of everything that the issuer cannot make again: the registry and the signing keys.

One file: a line that says what follows and its SHA-256 digest, then an SQLite database with the
tables of the registry, from whichever engine, and one of keys, as the key store has them: files, or
texts that are sealed. The database may be encrypted with AES-256-GCM, by a key that scrypt
(RFC 7914) makes of the key passphrase.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from issuer.storage.copying import replace_keys
from issuer.storage.database_url import SqliteFile
from issuer.storage.registry import MIGRATION_TIMEOUT, Registry
from keys.file_access import sync_folder
from keys.stores.key_file import SUFFIX, parse_key_file, replace_passphrase
from keys.stores.sealed import is_sealed
from keys.stores.store import KeyStore
from watchword.errors import BackupError
from watchword.key_store import find_key_records, open_key_place, open_sealer
from watchword.registry import make_data_folder
from watchword.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MAGIC = b"watchword-backup 1"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_COST = {"n": 2**15, "r": 8, "p": 1}
_UNSET = "set WATCHWORD_KEY_PASSPHRASE, with which the backup is encrypted"


def write_backup(
    settings: Settings, target: Path, *, now: Callable[[], int], encrypt: bool, replace: bool
) -> None:
    """Write a backup of the registry and the keys, as they are at one moment each.

    Args:
        settings: where both are.
        target: the file to make, with mode 0600; it is there as a whole or not at all.
        now: the clock, seconds since the epoch.
        encrypt: encrypt it with the key passphrase.
        replace: overwrite a file that is there.

    Raises:
        BackupError: it cannot be written; whatever was there is as it was.
    """
    if encrypt and settings.passphrase is None:
        raise BackupError(f"--encrypt: {_UNSET}")
    if target.exists() and not replace:
        raise BackupError(f"{target} exists already; name another file, or say --force")
    with (
        _explained("write", target),
        tempfile.TemporaryDirectory(
            prefix=".watchword-backup-", dir=target.absolute().parent
        ) as folder,
    ):
        database = Path(folder) / "registry.db"
        opened = Registry.open(settings.database, now=now, reading=True, timeout=MIGRATION_TIMEOUT)
        with closing(opened) as registry:
            registry.copy_to(SqliteFile(database))
            _put_keys(settings, registry, database)
        content = database.read_bytes()
        kind = b"plain"
        if encrypt:
            kind, content = b"encrypted", _encrypted(content, settings.passphrase or b"")
        digest = hashlib.sha256(content).hexdigest().encode()
        begun = Path(folder) / "backup"
        _write_durably(begun, b" ".join((_MAGIC, kind, digest)) + b"\n" + content)
        if replace:
            begun.replace(target)
        else:
            target.hardlink_to(begun)  # fails if the file was made meanwhile
        sync_folder(target.absolute().parent)


def restore_backup(
    settings: Settings, source: Path, *, now: Callable[[], int], replace: bool
) -> None:
    """Put the registry and the keys of a backup in the place of what is there: both or neither.

    Args:
        settings: where both go.
        source: the backup.
        now: the clock, seconds since the epoch.
        replace: give up the registry and the keys that are there.

    Raises:
        BackupError: the backup cannot be read, or something is there already.
        RegistryError: the database cannot be used, or the backup is of a newer version.
    """
    content = _opened(source, settings.passphrase)
    if settings.key_store == "files":
        _refuse_keys(settings, None, replace=replace)
    if isinstance(settings.database, SqliteFile):
        _refuse_served(settings.database.path, replace=replace)
    make_data_folder(settings.data_dir)
    with (
        _explained("restore", source),
        tempfile.TemporaryDirectory(prefix=".watchword-restore-", dir=settings.data_dir) as folder,
    ):
        database = Path(folder) / "registry.db"
        _write_durably(database, content)
        texts = _take_keys(settings, database)
        with closing(Registry.open(SqliteFile(database), now=now, upgrade=True)) as backup:
            upgrade = True if isinstance(settings.database, SqliteFile) else None
            opened = Registry.open(
                settings.database, now=now, upgrade=upgrade, timeout=MIGRATION_TIMEOUT
            )
            with (
                closing(opened) as registry,
                _keys_replaced(settings, texts, Path(folder)) as finish,
            ):
                _refuse_keys(settings, registry, replace=replace)
                registry.restore_from(backup, replace=replace, finish=finish)


def _put_keys(settings: Settings, registry: Registry, database: Path) -> None:
    """Store the keys beside the registry, as they are: encrypted or sealed if they are."""
    known = KeyStore(open_key_place(settings, registry)).records()
    place, names = find_key_records(settings, registry), [f"{each.kid}{SUFFIX}" for each in known]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE key_files (name TEXT PRIMARY KEY, content BLOB NOT NULL)")
        files = [(name, place.read(name)) for name in names]
        connection.executemany("INSERT INTO key_files VALUES (?, ?)", files)
        connection.commit()


def _take_keys(settings: Settings, database: Path) -> dict[str, bytes]:
    """Take the keys out of a backup, as texts by name."""
    texts = {}
    with closing(sqlite3.connect(database)) as connection:
        for name, content in connection.execute("SELECT name, content FROM key_files"):
            text = content
            if is_sealed(content):
                if settings.passphrase is None:
                    raise BackupError(f"the keys in the backup are sealed; {_UNSET}")
                text = open_sealer(settings.passphrase).open(name, content, where=name)
            stored = parse_key_file(text, name=name)
            texts[f"{stored.kid}{SUFFIX}"] = text
        connection.execute("DROP TABLE key_files")
        connection.commit()
    return texts


def _refuse_keys(settings: Settings, registry: Registry | None, *, replace: bool) -> None:
    place = find_key_records(settings, registry)
    if not replace and place.names():
        raise BackupError(f"there are keys in {place.place}; to give them up, say --force")


@contextmanager
def _keys_replaced(
    settings: Settings, texts: dict[str, bytes], folder: Path
) -> Iterator[Callable[["Connection"], None]]:
    """Give a function that puts keys in the place of those that are there, before the commit."""
    if settings.key_store == "files":
        restored = folder / "keys"
        restored.mkdir(mode=0o700)
        for name, text in texts.items():
            _write_durably(restored / name, text)
        with _keys_swapped(settings.keys_folder, restored) as swap:
            yield lambda _: swap()
        return
    passphrase, sealer, sealed = settings.passphrase, open_sealer(settings.passphrase), {}
    for name, text in texts.items():
        stored = parse_key_file(text, name=name)
        # One that this passphrase does not open would be lost as soon as it is sealed by it.
        closed = replace_passphrase(text, stored, old=passphrase, new=passphrase, name=name)
        sealed[name] = sealer.seal(name, closed)
    yield lambda connection: replace_keys(connection, sealed)


@contextmanager
def _keys_swapped(keys: Path, restored: Path) -> Iterator[Callable[[], None]]:
    """Give a function that swaps the folders; what fails afterwards swaps them back."""
    before = restored.with_name("before")

    def swap() -> None:
        if keys.exists():
            keys.rename(before)
        try:
            restored.rename(keys)
        except OSError:
            undo()
            raise

    def undo() -> None:
        if keys.exists():
            shutil.rmtree(keys)
        if before.exists():
            before.rename(keys)

    try:
        yield swap
    except BaseException:
        if not restored.exists():
            undo()
        raise


def _refuse_served(path: Path, *, replace: bool) -> None:
    """Refuse while any other process has the database open, as far as SQLite can tell."""
    if replace or not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            # SQLite leaves the write-ahead log only if no other process has the file open.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            raise BackupError(f"{path} is in use; stop the server first, or say --force") from None


def _opened(source: Path, passphrase: bytes | None) -> bytes:
    with _explained("read", source), source.open("rb") as file:
        head, content = file.readline(200), file.read()
    match head.rstrip(b"\n").rsplit(b" ", 2):
        case [magic, kind, digest] if magic == _MAGIC:
            pass
        case _:
            raise BackupError(f"{source} is not a backup of watchword, or of a newer version")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise BackupError(f"{source} is damaged: its content does not match its digest")
    if kind == b"plain":
        return content
    if passphrase is None:
        raise BackupError(_UNSET)
    return _decrypted(content, passphrase)


def _encrypted(content: bytes, passphrase: bytes) -> bytes:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, content, _MAGIC)


def _decrypted(content: bytes, passphrase: bytes) -> bytes:
    salt, rest = content[:_SALT_BYTES], content[_SALT_BYTES:]
    nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    try:
        return AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, _MAGIC)
    except (InvalidTag, ValueError):
        raise BackupError(
            "the backup cannot be decrypted; WATCHWORD_KEY_PASSPHRASE is not its own"
        ) from None


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **_COST).derive(passphrase)


def _write_durably(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise BackupError(f"{path} exists already; name another file, or say --force") from None
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BackupError(f"cannot {verb} {path}: {why.lower()}") from None
