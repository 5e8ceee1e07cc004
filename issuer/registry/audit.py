"""The audit trail: who changed what and when, before and after.

An entry is written with its change in one transaction and never touched again. Neither secrets nor
hashes are in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Via(StrEnum):
    """The interface that a change was made through."""

    CLI = "cli"
    API = "api"
    FILE = "file"
    REGISTRATION = "registration"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes the registry.

    Args:
        name: a user of the machine, or a client id; what names it depends on `via`.
        via: the interface.
        request_id: the request that asked for it, if there was one.
    """

    name: str
    via: Via
    request_id: str | None = None


SYSTEM = Actor(name="watchword", via=Via.SYSTEM)
"""What the program does by itself, such as making the default resource."""


class Action(StrEnum):
    """What was done; also the names of the log events."""

    CLIENT_CREATED = "client.created"
    CLIENT_UPDATED = "client.updated"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_ENABLED = "client.enabled"
    CLIENT_DELETED = "client.deleted"
    SECRET_ADDED = "secret.added"  # noqa: S105 - an event's name
    SECRET_REVOKED = "secret.revoked"  # noqa: S105 - an event's name
    RESOURCE_CREATED = "resource.created"
    RESOURCE_UPDATED = "resource.updated"
    RESOURCE_DELETED = "resource.deleted"
    ISSUER_CHANGED = "registry.issuer_changed"
    REGISTRATION_TOKEN_CREATED = "registration_token.created"  # noqa: S105 - an event's name
    REGISTRATION_TOKEN_REVOKED = "registration_token.revoked"  # noqa: S105 - an event's name


def name_target(action: Action) -> str:
    """Name what an action is done to, as log events name it."""
    match action:
        case Action.RESOURCE_CREATED | Action.RESOURCE_UPDATED | Action.RESOURCE_DELETED:
            return "resource"
        case Action.REGISTRATION_TOKEN_CREATED | Action.REGISTRATION_TOKEN_REVOKED:
            return "token_id"
        case Action.ISSUER_CHANGED:
            return "issuer"
        case (
            Action.CLIENT_CREATED
            | Action.CLIENT_UPDATED
            | Action.CLIENT_DISABLED
            | Action.CLIENT_ENABLED
            | Action.CLIENT_DELETED
            | Action.SECRET_ADDED
            | Action.SECRET_REVOKED
        ):
            return "client_id"
        case _:
            assert_never(action)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change.

    Args:
        number: its place in the trail, 0 while it is not written.
        at: seconds since the epoch.
        actor: who.
        action: what.
        target: the client id, resource identifier or token id.
        before: the target as it was, None if there was none; as `representation` describes it.
        after: the target as it is, None if it is gone.
    """

    at: int
    actor: Actor
    action: Action
    target: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    number: int = 0
