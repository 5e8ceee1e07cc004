"""The registry as it is, as far as a plan needs to know it, and what a plan may not touch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from issuer.registry.client import Client
from issuer.registry.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryState:
    """Resources and clients by their names.

    Args:
        resources: all of them.
        clients: those that are declared; all if any could be in the way, or is to go.
        now: seconds since the epoch.
    """

    resources: Mapping[str, Resource]
    clients: Mapping[str, Client]
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How far a declaration reaches.

    Args:
        prune: what it does not name goes.
        kept_resources: resources that stay in any case.
        kept_clients: clients that stay in any case.
    """

    prune: bool = False
    kept_resources: frozenset[str] = field(default=frozenset())
    kept_clients: frozenset[str] = field(default=frozenset())
