"""Own what an API logs about its refusals unless it is given an event sink: Python's `logging`.

Nothing of a token, and of what a caller sent only what was verified or is harmless.
"""

import logging
from collections.abc import Callable

LOGGER = logging.getLogger("watchword.resource_api")

# What points to a fault of configuration. The claims are judged after the signature, so a caller
# without a token of this issuer cannot cause the first two.
_REMEDIES = {
    "wrong_audience": "is `resource` the identifier that the issuer has for this API?",
    "wrong_issuer": "is `issuer` the identifier that the issuer publishes?",
    "no_keys": "the issuer's keys could not be had; see jwks.stale",
    "jwks.stale": "can the issuer be reached, and does its metadata name it as `issuer` says?",
}
_PAUSE = 60.0
"""Seconds between two warnings of one kind: callers can cause as many as they like."""


class LogEvents:
    """Log events: faults of configuration as warnings, once a minute each, all else as info."""

    def __init__(self, *, clock: Callable[[], float], about: str = "") -> None:
        """Prepare.

        Args:
            clock: monotonic seconds.
            about: the settings that warnings repeat.
        """
        self._clock = clock
        self._about = about
        self._quiet_until: dict[str, float] = {}

    def __call__(self, name: str, /, **fields: object) -> None:
        """Log one event."""
        reason = str(fields.get("reason", ""))
        kind = name if name in _REMEDIES else reason
        text = " ".join([name, *(f"{key}={value!r}" for key, value in fields.items())])
        if kind in _REMEDIES and self._is_due(kind):
            LOGGER.warning("%s: %s %s", text, _REMEDIES[kind], self._about)
        else:
            LOGGER.info("%s", text)

    def _is_due(self, kind: str) -> bool:
        now = self._clock()
        if now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + _PAUSE
        return True
