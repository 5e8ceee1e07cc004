"""The `watchword doctor` command: checks of this installation, each finding with its remedy."""

import asyncio
import os
import pwd
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from watchword import doctor as checks
from watchword.ambient import wall_clock
from watchword.cli.output import say
from watchword.cli.printing import TABLE, Output, prints_table
from watchword.cli.progress import still_working
from watchword.cli.tables import Column
from watchword.doctor import Finding, Folder

if TYPE_CHECKING:
    from keys.ring import RingEntry
    from keys.stores.store import KeyStore
    from watchword.settings import Settings

_TIMEOUT = 10.0
"""Seconds for the issuer to answer."""
_COLUMNS = (Column("check"), Column("found", "words"), Column("remedy", "words"))


@prints_table
def doctor(output: Output = TABLE) -> None:
    """Check this installation and say what mends each finding; exit 0 if there is none, else 1.

    Settings, folders, disk, clock and schema of the database, methods of clients, profile, replay
    store, keys, the issuer's URL.

    Example: watchword doctor
    """
    from watchword.settings import SettingsError, load_settings

    keys: list[dict[str, Any]] = []
    secured = False
    try:
        settings = load_settings()
    except SettingsError as error:
        mend = "set it as the settings reference says"
        found = [Finding("settings", line, mend) for line in error.lines]
    else:
        with still_working(output):
            found = [each for part in _PARTS for each in _examine(part, settings)]
            keys = _describe_keys(settings)
        secured = settings.tls_cert is not None
    if output.is_document:
        findings = [each._asdict() for each in found]
        output.document({"ok": not found, "findings": findings, "keys": keys})
    elif found:
        output.table(_COLUMNS, (each._asdict() for each in found))
    else:
        say(
            "Nothing was found: settings, folders, database, keys and issuer are as they should be."
        )
    if not output.is_document:
        _say_more(keys, secured=secured)
    raise typer.Exit(1 if found else 0)


def _examine(
    part: "Callable[[Settings], Iterator[Finding]]", settings: "Settings"
) -> Iterator[Finding]:
    """Yield what a part of the installation shows; that it cannot be read is a finding too."""
    from issuer.registry.errors import RegistryError
    from keys.errors import KeysError
    from watchword.errors import ProviderError

    name = part.__name__.removeprefix("_")
    try:
        yield from part(settings)
    except (RegistryError, KeysError, ProviderError, OSError) as error:
        yield _unreadable(name, error)


def _unreadable(part: str, error: Exception) -> Finding:
    """Tell of a part that cannot be read, with the remedy of the error itself if it has one."""
    from issuer.registry.errors import RegistryError
    from keys.errors import KeyStoreError, SignerUnavailable

    match error, error.__cause__:
        case _, SignerUnavailable():
            return Finding(part, str(error), _REMEDIES["signer"])
        case (RegistryError(), _) | (_, RegistryError()):
            return Finding(part, str(error), _REMEDIES["database"])
        case KeyStoreError(), _:  # its text ends with the remedy
            found, _, remedy = str(error).rpartition("; ")
            return Finding(part, found or remedy, remedy if found else _REMEDIES[part])
    return Finding(part, str(error), _REMEDIES[part])


def _folders(settings: "Settings") -> Iterator[Finding]:
    folder = settings.data_dir
    owner = folder.stat().st_uid
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    kept = [
        folder,
        settings.keys_folder,
        folder / "registry.db",
        *settings.keys_folder.glob("*.pem"),
    ]
    for path in kept:
        if path.exists():
            found = path.stat()
            known = Folder(str(path.absolute()), found.st_mode, found.st_uid)
            yield from checks.check_folder(known, user=owner, user_name=name)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("folders", f"{folder.absolute()} is not writable", f"run it as {name}")
    yield from checks.check_space(shutil.disk_usage(folder).free, str(folder.absolute()))


def _database(settings: "Settings") -> Iterator[Finding]:
    from issuer.registry.client_description import ClientFilter
    from issuer.storage.registry import inspect_schema
    from issuer.storage.schema import HEAD
    from watchword.contradictions import find_missing_setting
    from watchword.registry import is_missing, read_registry

    if is_missing(settings):
        remedy = "the first change makes it; check WATCHWORD_DATA_DIR"
        yield Finding("database", f"there is no registry yet: {settings.database.shown}", remedy)
        return
    outdated = list(checks.check_schema(inspect_schema(settings.database), HEAD))
    yield from outdated
    if not outdated:
        with closing(read_registry(settings, now=wall_clock)) as registry:
            there = registry.read(lambda reading: reading.clock())
            wanted, now = ClientFilter(state="enabled"), wall_clock()
            used = registry.read(lambda reading: reading.list_clients(wanted=wanted, now=now))
        yield from checks.check_clock(wall_clock(), there)
        for client in used:
            method = client.registration.token_endpoint_auth_method
            missing = find_missing_setting(method, settings)
            yield from checks.check_method(client.client_id, method, missing)


def _profile(settings: "Settings") -> Iterator[Finding]:
    from issuer.profile import PROFILES
    from watchword.registry import is_missing, read_registry

    profile = PROFILES[settings.profile]
    if settings.profile is None or is_missing(settings):
        return
    with closing(read_registry(settings, now=wall_clock)) as registry:
        clients = registry.read(lambda reading: reading.list_clients())
        resources = registry.read(lambda reading: reading.list_resources())
    for client in clients:
        yield from checks.check_profile(profile, client.client_id, client.registration)
    for each in resources:
        yield from checks.check_profile(profile, each.resource.resource, each.resource)


def _keys(settings: "Settings") -> Iterator[Finding]:
    from keys.errors import KeysError
    from keys.ring import published
    from watchword.key_store import opened_key_store
    from watchword.provider.key_ring import ring_policy

    with opened_key_store(settings, reading=True) as store:
        ring = _ring(settings, store)
        yield from checks.check_keys([entry.state for entry in ring])
        yield from checks.check_successors(ring, wall_clock(), ring_policy(settings))
        for key in published(ring):
            try:
                store.signer(key.kid)
            except KeysError as error:
                yield _unreadable("keys", error)


def _client_secrets(settings: "Settings") -> Iterator[Finding]:
    from watchword.client_seal import open_seal
    from watchword.registry import read_registry

    if settings.client_secret_jwt:
        with closing(read_registry(settings, now=wall_clock)) as registry:
            open_seal(settings, registry, reading=True)
    yield from ()


def _replays(settings: "Settings") -> Iterator[Finding]:
    from watchword.provider.replay_store import StoreForgets, check_redis

    try:
        check_redis(settings)
    except StoreForgets as error:
        mend = "run: redis-cli CONFIG SET maxmemory-policy noeviction, and write it to its file"
        yield Finding("replays", str(error), mend)


def _issuer(settings: "Settings") -> Iterator[Finding]:
    from keys.ring import published
    from watchword.key_store import opened_key_store

    served = asyncio.run(_fetch_kids(settings))
    with opened_key_store(settings, reading=True) as store:
        here = [key.kid for key in published(_ring(settings, store))]
    yield from checks.check_published(here, served)


_PARTS = (_folders, _database, _profile, _replays, _keys, _client_secrets, _issuer)
_REMEDIES = {
    "folders": "set WATCHWORD_DATA_DIR to the service's folder, or run: watchword keys generate",
    "database": "start the database, or set WATCHWORD_DATABASE_URL and WATCHWORD_ISSUER to it",
    "profile": "start the database, or set WATCHWORD_DATABASE_URL and WATCHWORD_ISSUER to it",
    "replays": "start the replay store, or set WATCHWORD_REPLAY_STORE to it",
    "keys": "check WATCHWORD_DATA_DIR, and the settings that say where keys are and who signs",
    "signer": "start what WATCHWORD_KEY_SIGNER names, or check the settings that lead to it",
    "client_secrets": "set WATCHWORD_KEY_PASSPHRASE to the passphrase of the secrets",
    "issuer": "start the server; WATCHWORD_ISSUER must be reached from here and be its name",
}
"""What mends a part that cannot be read at all."""


def _describe_keys(settings: "Settings") -> list[dict[str, Any]]:
    """Describe the keys as `keys list` does; none if they cannot be read, which is a finding."""
    from issuer.registry.errors import RegistryError
    from keys.errors import KeysError
    from watchword.cli.keys import describe_keys
    from watchword.errors import ProviderError

    try:
        return describe_keys(settings, wall_clock())
    except (RegistryError, KeysError, ProviderError, OSError):
        return []


def _say_more(keys: list[dict[str, Any]], *, secured: bool) -> None:
    """Say what happens to each key next, and what the limits of this shell are, with TLS or not."""
    from watchword.cli.keys import write_next_step
    from watchword.process.connections import connection_limit

    now = wall_clock()
    for each in keys:
        then = write_next_step(each["next"], now)
        say(f"Key {each['kid']} is {each['state']}{', ' if then else ''}{then}.")
    most = connection_limit(sys.maxsize, secured=secured)
    if limit := checks.describe_limit(connection_limit(secured=secured), most):
        say(limit)


def _ring(settings: "Settings", store: "KeyStore") -> "tuple[RingEntry, ...]":
    from keys.ring import derive_ring
    from watchword.provider.key_ring import ring_policy

    keys = [stored.ring_key for stored in store.records()]
    return derive_ring(keys, wall_clock(), ring_policy(settings))


async def _fetch_kids(settings: "Settings") -> list[str]:
    """Fetch the key set as validators do; the metadata must name the same issuer.

    Raises:
        FetchFailed: it cannot be had.
    """
    from keys.errors import FetchFailed
    from keys.remote.http_jwks import HttpJwks
    from keys.remote.jwks_client import JwksClient

    reasons: list[str] = []

    def tell(_: str, /, **fields: object) -> None:
        reasons.append(str(fields.get("reason") or ""))

    fetch = HttpJwks(settings.issuer, allow_insecure_http=settings.allow_insecure_http)
    keys = JwksClient(fetch, on_event=tell, timeout=_TIMEOUT)
    try:
        await keys.warm()
        found = keys.current()
    finally:
        await keys.aclose()
    if found is None:
        raise FetchFailed(f"{settings.issuer} gives no key set: {', '.join(filter(None, reasons))}")
    return [key.kid for key in found.keys]
