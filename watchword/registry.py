"""The client registry that the settings name, with the provider's own resources in it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from issuer.events import EventSink, ignore_event
from issuer.registry.resource import Resource
from issuer.storage.database_url import SqliteFile
from watchword.errors import DataFolderError

if TYPE_CHECKING:
    from issuer.storage.registry import Registry
    from watchword.settings import Settings

DEFAULT_SCOPES = ("read", "write")
"""What the demo API understands, so that its resource can be granted from the start."""

TOKENS_WRITE = "watchword:tokens:write"
"""Lets a client revoke any token, at `/revoke` too."""

ADMIN_SCOPES = (
    "watchword:clients:read",
    "watchword:clients:write",
    "watchword:secrets:write",
    "watchword:resources:read",
    "watchword:resources:write",
    "watchword:registration:read",
    "watchword:registration:write",
    TOKENS_WRITE,
    "watchword:keys:read",
    "watchword:keys:write",
    "watchword:audit:read",
    "watchword:health:read",
)
"""What the administration API understands: a scope for each verb."""


def open_registry(
    settings: "Settings",
    *,
    now: Callable[[], int],
    announce: EventSink = ignore_event,
    timeout: float = 5.0,
    serving: bool = False,
) -> "Registry":
    """Open the registry to change it, made first if it is an SQLite file.

    The caller closes it.

    Args:
        settings: which database, and which resources are the provider's own.
        now: the clock, seconds since the epoch.
        announce: where changes are told as log events.
        timeout: seconds to wait for other processes' transactions, and for an answer.
        serving: it is opened to be served, which brings the schema of a database that is ours
            alone up to date, and lets a registry of an older version take the issuer.

    Raises:
        RegistryError: the database cannot be used, or belongs to another issuer.
        DataFolderError: the data folder cannot be used.
        ClientSealError: there are secrets that clients sign with, and they do not open.
    """
    from issuer.profile import PROFILES
    from issuer.storage.registry import Registry  # SQLAlchemy is slow to import

    if settings.database_url is None:
        make_data_folder(settings.data_dir)
    registry = Registry.open(
        settings.database,
        now=now,
        announce=announce,
        upgrade=True if serving and isinstance(settings.database, SqliteFile) else None,
        timeout=timeout,
    )
    registry.profile = PROFILES[settings.profile]
    try:
        registry.settle_issuer(settings.issuer, own=settings.administration, serving=serving)
        registry.ensure_resources(*own_resources(settings))
        if settings.client_secret_jwt:
            from watchword.client_seal import open_seal

            registry.seal = open_seal(settings, registry)
    except BaseException:
        registry.close()
        raise
    return registry


def read_registry(settings: "Settings", *, now: Callable[[], int]) -> "Registry":
    """Open the registry to read it: nothing is made, upgraded or written.

    A file that is not there yet is read as an empty registry, which `is_missing` tells beforehand.

    Raises:
        RegistryError: the database cannot be used, or belongs to another issuer.
    """
    from issuer.storage.registry import Registry

    if is_missing(settings):
        from issuer.storage.engines.sqlite import IN_MEMORY

        empty = Registry.open(IN_MEMORY, now=now)
        empty.ensure_resources(*own_resources(settings))
        return empty
    registry = Registry.open(settings.database, now=now, reading=True)
    try:
        registry.check_issuer(settings.issuer)
    except BaseException:
        registry.close()
        raise
    return registry


def is_missing(settings: "Settings") -> bool:
    """Tell whether the registry is a file that does not exist yet."""
    place = settings.database
    try:
        return isinstance(place, SqliteFile) and not place.is_there()
    except OSError:
        return False  # opening it says why it cannot be used


def own_resources(settings: "Settings") -> tuple[Resource, Resource]:
    """Return the resources that the provider itself serves: the demo API and its administration."""
    return (
        Resource(resource=settings.default_resource, scopes=DEFAULT_SCOPES),
        Resource(resource=settings.administration, scopes=ADMIN_SCOPES),
    )


def make_data_folder(folder: Path) -> Path:
    """Make the folder of keys and SQLite database with mode 0700, unless it exists.

    Raises:
        DataFolderError: it cannot be made, is not a folder, or cannot be written to.
    """
    why = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    if why is None and not os.access(folder, os.W_OK | os.X_OK):
        why = "it is not writable"
    if why is not None:
        raise DataFolderError(
            f"cannot use the data folder {folder}: {why}; set WATCHWORD_DATA_DIR to another"
        )
    return folder
