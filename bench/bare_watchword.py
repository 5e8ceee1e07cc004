"""Run `watchword` without its metrics: what bench/metrics.py starts to compare with.

An option for that has no user: metrics cost next to nothing.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

from typing import Any

from issuer.endpoints.asgi import Endpoint
from watchword.__main__ import main
from watchword.metrics import Metrics


def hand_on(self: Metrics, event: str, /, **fields: Any) -> None:
    """Count nothing."""
    self._sink(event, **fields)


def leave(_: Metrics, endpoint: Endpoint) -> Endpoint:
    """Measure nothing."""
    return endpoint


def publish(_: Metrics) -> None:
    """Put nothing anywhere."""


Metrics.__call__ = hand_on  # type: ignore[method-assign]
Metrics.timed = leave  # type: ignore[method-assign]
Metrics.publish = publish  # type: ignore[method-assign, assignment]
sys.exit(main())
