"""Events of the issuer: their fixed names, and the sink that records them.

What changes the registry is an event as well, named after its entry in the audit trail
(`issuer.registry.audit.Action`).
"""

from enum import StrEnum

from keys.events import EventSink as EventSink
from keys.events import ignore_event as ignore_event


class Event(StrEnum):
    """An event by the name that log lines and metrics have; a name never changes."""

    TOKEN_ISSUED = "token.issued"  # noqa: S105 - an event's name
    TOKEN_REFUSED = "token.refused"  # noqa: S105 - an event's name
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    REVOCATION_REFUSED = "revocation.refused"
    REVOCATION_IGNORED = "revocation.ignored"
    INTROSPECTION_REFUSED = "introspection.refused"
    REGISTRATION_REFUSED = "registration.refused"
    REQUEST_REFUSED = "request.refused"
    REQUEST_LIMITED = "request.limited"
    CLIENT_NOT_CACHING = "client.not_caching"
    SECRET_EXPIRING = "secret.expiring"  # noqa: S105 - an event's name
    STATUS_OWNERS_WAIT = "status.owners_wait"
    STATUS_OWNERS_WRITTEN = "status.owners_written"
    REGISTRY_UPGRADED = "registry.upgraded"
