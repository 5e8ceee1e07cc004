"""The audit trail: who changed what and when, before and after.

An entry is written with its change in one transaction and never touched again. Neither secrets nor
hashes are in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from issuer.registry.schema import Json, write_time
from issuer.status.positions import Status


class Via(StrEnum):
    """The interface that a change was made through."""

    CLI = "cli"
    API = "api"
    CONSOLE = "console"
    FILE = "file"
    REGISTRATION = "registration"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes the registry.

    Args:
        name: a user of the machine (`cli`, `file`, `console`), or a client id, also of one that
            acts at the console (`api`).
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
    RESTORED = "registry.restored"
    REGISTRATION_TOKEN_CREATED = "registration_token.created"  # noqa: S105 - an event's name
    REGISTRATION_TOKEN_REVOKED = "registration_token.revoked"  # noqa: S105 - an event's name
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    TOKEN_SUSPENDED = "token.suspended"  # noqa: S105 - an event's name
    TOKEN_RESTORED = "token.restored"  # noqa: S105 - an event's name
    KEY_GENERATED = "key.generated"
    KEY_SCHEDULED = "key.scheduled"
    KEY_ACTIVATED = "key.activated"
    KEY_RETIRED = "key.retired"
    KEY_GONE = "key.gone"
    KEY_REVOKED = "key.revoked"
    KEY_DELETED = "key.deleted"
    KEY_EXPORTED = "key.exported"
    KEY_MOVED = "key.moved"
    KEY_ENCRYPTED = "key.encrypted"
    KEY_DECRYPTED = "key.decrypted"


TOKEN_ACTIONS = {
    Status.INVALID: Action.TOKEN_REVOKED,
    Status.SUSPENDED: Action.TOKEN_SUSPENDED,
    Status.VALID: Action.TOKEN_RESTORED,
}
"""By the status that tokens are given."""

_OF_TOKENS = ("client_id", "subject", "resource", "issued_before", "jti", "tokens")
_TARGETS = {
    "client": "client_id",
    "secret": "client_id",
    "resource": "resource",
    "registry": "issuer",
    "registration_token": "token_id",
    "key": "kid",
}


def update_action(was_disabled: bool, is_disabled: bool) -> Action:
    """Tell how a change of a client is noted: by what it means, if it disables or enables it."""
    if was_disabled is is_disabled:
        return Action.CLIENT_UPDATED
    return Action.CLIENT_DISABLED if is_disabled else Action.CLIENT_ENABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change.

    Args:
        number: its place in the trail, 0 while it is not written.
        at: seconds since the epoch.
        actor: who.
        action: what.
        target: the client id, resource identifier, token id or kid; of tokens, the most exact of
            what they were selected by, or the issuer for those of all clients.
        before: the target as it was, None if there was none; as documents describe it.
        after: the target as it is, None if it is gone.
    """

    at: int
    actor: Actor
    action: Action
    target: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None
    number: int = 0

    def event_fields(self) -> dict[str, object]:
        """Return the fields of the log event, whose name is the action."""
        described = self.after or self.before or {}
        kind = self.action.partition(".")[0]
        if kind == "token":
            named = {name: described.get(name) for name in _OF_TOKENS}
        else:
            named = {_TARGETS[kind]: self.target, "secret_id": described.get("secret_id")}
        return {
            **named,
            "actor": self.actor.name,
            "via": self.actor.via.value,
            "request_id": self.actor.request_id,
        }


def describe_entry(entry: AuditEntry) -> Json:
    """Describe an entry of the audit trail."""
    return {
        "number": entry.number,
        "at": write_time(entry.at),
        "actor": entry.actor.name,
        "via": entry.actor.via.value,
        "request_id": entry.actor.request_id,
        "action": entry.action.value,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
    }
