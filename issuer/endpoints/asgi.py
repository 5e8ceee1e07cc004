"""What all endpoints share: the types of ASGI, and reading and sending whole bodies."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from issuer.errors import OAuthError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole response; `Content-Length` is added."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


def error_body(error: OAuthError) -> bytes:
    """Write the JSON body of an error response (RFC 6749 §5.2)."""
    body = {"error": error.code}
    if error.description is not None:
        body["error_description"] = error.description
    return json.dumps(body, separators=(",", ":")).encode()


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body, or return None once it is longer than `limit` bytes.

    Raises:
        ConnectionError: the client disconnected before its end.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client disconnected")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
