"""The client registry that the settings name, with the provider's own resources in it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from issuer.registry.resource import Resource
from watchword.data_folder import make_data_folder

if TYPE_CHECKING:
    from issuer.storage.registry import Announce, Registry
    from watchword.settings import Settings

DEFAULT_SCOPES = ("read", "write")
"""What the demo API understands, so that its resource can be granted from the start."""


ADMIN_SCOPES = (
    "watchword:clients:read",
    "watchword:clients:write",
    "watchword:secrets:write",
    "watchword:resources:read",
    "watchword:resources:write",
    "watchword:registration:read",
    "watchword:registration:write",
    "watchword:audit:read",
)
"""What the administration API understands: a scope for each verb."""


def open_registry(
    settings: "Settings",
    *,
    now: Callable[[], int],
    announce: "Announce | None" = None,
    patience: float = 5.0,
) -> "Registry":
    """Open the registry, made or brought up to date first if it is ours alone.

    The caller closes it.

    Args:
        settings: which database, and which resources are the provider's own.
        now: the clock, seconds since the epoch.
        announce: where changes are told as log events.
        patience: seconds to wait for other processes' transactions, and for an answer.

    Raises:
        RegistryError: the database cannot be used.
        DataFolderError: the data folder cannot be used.
    """
    from issuer.storage.registry import Registry, tell_nobody  # SQLAlchemy is dear to import

    if settings.database_url is None:
        make_data_folder(settings.data_dir)
    registry = Registry.open(
        settings.database, now=now, announce=announce or tell_nobody, patience=patience
    )
    try:
        registry.ensure_resources(*own_resources(settings))
    except BaseException:
        registry.close()
        raise
    return registry


def own_resources(settings: "Settings") -> tuple[Resource, Resource]:
    """Return the resources that the provider itself serves: the demo API and its administration."""
    return (
        Resource(identifier=settings.default_resource, scopes=DEFAULT_SCOPES),
        Resource(identifier=settings.administration, scopes=ADMIN_SCOPES),
    )
