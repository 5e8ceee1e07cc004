"""Events about keys, the sink that records them, and the sink that writes them to Python's log.

An event holds nothing of a token, and of what a peer sent only what was verified or is harmless.
"""

import logging
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

LOGGER = logging.getLogger("watchword.resource_api")
_CODE = re.compile("[a-z_]{1,40}")


class KeyEvent(StrEnum):
    """An event about the keys of an issuer, by its fixed name."""

    GENERATED = "key.generated"
    SCHEDULED = "key.scheduled"
    ACTIVATED = "key.activated"
    RETIRED = "key.retired"
    GONE = "key.gone"
    REVOKED = "key.revoked"
    DELETED = "key.deleted"
    EXPORTED = "key.exported"
    MOVED = "key.moved"
    ENCRYPTED = "key.encrypted"
    DECRYPTED = "key.decrypted"
    UPKEEP_REFUSED = "key.upkeep_refused"
    JWKS_REFRESHED = "jwks.refreshed"
    JWKS_STALE = "jwks.stale"
    JWKS_RESTORED = "jwks.restored"
    JWKS_COPY_REFUSED = "jwks.copy_refused"
    SIGNER_UNAVAILABLE = "signer.unavailable"
    SIGNER_AVAILABLE = "signer.available"


class EventSink(Protocol):
    """Records events; a function that takes the name, and the fields as keywords.

    No field is a token, a secret or an assertion. A sink must neither block nor raise.
    """

    def __call__(self, event: str, /, **fields: object) -> None:
        """Record one event; a field that is None is left out."""


def ignore_event(event: str, /, **fields: object) -> None:
    """Record nothing."""


def reason_code(reason: object) -> str:
    """Return a reason if it is a code, else nothing: of sentences there is any number."""
    return str(reason) if isinstance(reason, str) and _CODE.fullmatch(reason) else ""


REMEDIES: Mapping[str, str] = {
    KeyEvent.JWKS_STALE: (
        "can the issuer be reached, and does its metadata name it as `issuer` says?"
    ),
    KeyEvent.JWKS_COPY_REFUSED: "the API works without its copy of the key set on disk",
}
"""What to look at, by the event or the reason that points to a fault of configuration."""

_PAUSE = 60.0
"""Seconds between two warnings of one kind: callers can cause as many as they like."""


class LogEvents:
    """Log events: faults of configuration as warnings, once a minute each, all else as info."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        remedies: Mapping[str, str] = REMEDIES,
        about: str = "",
        logger: logging.Logger = LOGGER,
    ) -> None:
        """Prepare.

        Args:
            clock: monotonic seconds.
            remedies: what to look at, by event or reason; only these are warnings.
            about: the settings that warnings repeat.
            logger: what the events are logged with.
        """
        self._logger = logger
        self._clock = clock
        self._remedies = remedies
        self._about = about
        self._quiet_until: dict[str, float] = {}

    def __call__(self, event: str, /, **fields: object) -> None:
        """Log one event."""
        kind = event if event in self._remedies else str(fields.get("reason", ""))
        is_warning = kind in self._remedies and self._is_due(kind)
        if not is_warning and not self._logger.isEnabledFor(logging.INFO):
            return  # a flood of refusals need not be put into words
        text = " ".join([event, *(f"{key}={value!r}" for key, value in fields.items())])
        if is_warning:
            self._logger.warning("%s: %s %s", text, self._remedies[kind], self._about)
        else:
            self._logger.info("%s", text)

    def _is_due(self, kind: str) -> bool:
        now = self._clock()
        if now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + _PAUSE
        return True
