"""The client registry that the settings name, with the default resource in it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from issuer.registry.resource import Resource
from watchword.data_folder import make_data_folder

if TYPE_CHECKING:
    from issuer.storage.registry import Registry
    from watchword.settings import Settings

DEFAULT_SCOPES = ("read", "write")
"""What the demo API understands, so that its resource can be granted from the start."""


def open_registry(settings: "Settings", *, now: Callable[[], int]) -> "Registry":
    """Open the registry, made or brought up to date first if need be; the caller closes it.

    Args:
        settings: which database, and which resource is the default one.
        now: the clock, seconds since the epoch.

    Raises:
        RegistryError: the database cannot be used.
        DataFolderError: the data folder cannot be used.
    """
    from issuer.storage.registry import Registry  # SQLAlchemy is dear to import

    if settings.database_url is None:
        make_data_folder(settings.data_dir)
    registry = Registry.open(settings.registry_url, now=now)
    try:
        registry.ensure_resource(
            Resource(identifier=settings.default_resource, scopes=DEFAULT_SCOPES)
        )
    except BaseException:
        registry.close()
        raise
    return registry
