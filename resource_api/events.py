"""Events of a protected API: their fixed names, and what to look at when one is a warning."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from keys.events import REMEDIES, KeyEvent, LogEvents
from resource_api.errors import Reason
from resource_api.reasons import DIAGNOSES


class Event(StrEnum):
    """An event by the name that log lines and metrics have; a name never changes."""

    REQUEST_REFUSED = "request.refused"
    INSECURE_HTTP = "insecure_http.allowed"
    JWKS_REFRESHED = KeyEvent.JWKS_REFRESHED
    JWKS_STALE = KeyEvent.JWKS_STALE
    JWKS_RESTORED = KeyEvent.JWKS_RESTORED
    JWKS_COPY_REFUSED = KeyEvent.JWKS_COPY_REFUSED
    STATUS_LIST_STALE = "status_list.stale"
    STATUS_LIST_RESTORED = "status_list.restored"
    STATUS_LIST_COPY_REFUSED = "status_list.copy_refused"


# The claims are checked after the signature, so a caller without a token of a trusted issuer cannot
# cause a warning about issuer or audience. A caller without one can cause a warning about the type,
# which is checked first. It stays a warning, one a minute: all tokens of another vendor fail by
# their type if its profile is not set.
_WARNINGS = (
    Reason.WRONG_TYPE,
    Reason.WRONG_AUDIENCE,
    Reason.WRONG_ISSUER,
    Reason.NO_KEYS,
    Reason.STATUS_UNAVAILABLE,
)
_REMEDIES: Mapping[str, str] = {
    **REMEDIES,
    **{reason: DIAGNOSES[reason].remedy for reason in _WARNINGS},
    Event.INSECURE_HTTP: "a machine on the way to this issuer can forge tokens; use https",
    Event.STATUS_LIST_COPY_REFUSED: "the API works without a copy of this status list on disk",
    Event.STATUS_LIST_STALE: "can the list be reached, and does a key of the issuer sign it?",
}


def log_events(*, clock: Callable[[], float], about: str = "") -> LogEvents:
    """Make the sink of an API that names none: the logger `watchword.resource_api`.

    Args:
        clock: monotonic seconds.
        about: the settings that warnings repeat.
    """
    return LogEvents(clock=clock, remedies=_REMEDIES, about=about)
