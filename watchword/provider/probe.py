"""`/healthz` and `/readyz`: whether the process runs, and whether to send requests to it."""

import json
from collections.abc import Callable, Mapping

from issuer.endpoints.asgi import Receive, Scope, Send, respond

UNSTORED = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Probe:
    """`/healthz` or `/readyz`: 200 while every check holds, else 503 naming those that do not.

    Args:
        checks: by name; none for a probe that only says that the process runs.
    """

    def __init__(self, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; anything else is 405."""
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, ((b"allow", b"GET, HEAD"), *UNSTORED), b"")
            return
        failing = [name for name, holds in self._checks.items() if not holds()]
        answer = {"status": "unavailable", "failing": failing} if failing else {"status": "ok"}
        await respond(send, 503 if failing else 200, UNSTORED, json.dumps(answer).encode())
