"""What endpoints share: the types of ASGI, whole bodies, and answering the forms of clients."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from issuer.client_request import MAX_BODY
from issuer.errors import (
    BodyTooLarge,
    ClaimHookFailed,
    MethodNotAllowed,
    OAuthError,
    Reason,
    ServerError,
)
from issuer.events import Event, EventSink

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON = b"application/json"

# RFC 6749 §5.1: no-store MUST be on every response with a token; here it is on errors as well.
UNSTORED = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))

MAX_ASKED = 256
"""Characters of a client's request parameter that a log event holds."""


class Answer(NamedTuple):
    """A good answer to a form; what it says is not to be stored."""

    media_type: bytes
    body: bytes
    headers: Headers = ()


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


class ClientDisconnected(Exception):
    """The client is gone before all of its request arrived: there is no one to answer.

    No `ConnectionError`, which a part of this server may raise that is out of order.
    """


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Read the whole body, or return None once it is longer than `limit` bytes.

    Raises:
        ClientDisconnected: before its end.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def answer_form(
    scope: Scope,
    receive: Receive,
    send: Send,
    answer: Callable[[bytes], Awaitable[Answer]],
    *,
    refused: Event,
    events: EventSink,
) -> None:
    """Answer a form that a client posts, whatever becomes of it.

    Errors of the endpoints that authenticate clients become responses here and nowhere else.

    Args:
        scope, receive, send: of ASGI.
        answer: answers a body, or raises OAuthError.
        refused: the event of a refusal.
        events: where it goes.
    """
    try:
        good = await answer(await _read_form(scope, receive))
    except ClientDisconnected:
        return  # there is no one to answer
    except OAuthError as refusal:
        # What was asked is input of the client: one line of ASCII, of bounded length, so that it
        # forges no line.
        asked = None if refusal.asked is None else ascii(refusal.asked[:MAX_ASKED])[1:-1]
        events(
            refused,
            reason=refusal.reason,
            client_id=refusal.client_id,
            asked=asked,
            **refusal.request,
            **_describe_fault(refusal),
        )
        await _respond_error(send, refusal)
    except Exception as fault:
        # No trace in the response; the log has it under the request id.
        events(refused, reason=Reason.INTERNAL, exception=fault)
        await _respond_error(send, ServerError(Reason.INTERNAL))
    else:
        headers = ((b"content-type", good.media_type), *UNSTORED, *good.headers)
        await respond(send, 200, headers, good.body)


def _describe_fault(refusal: OAuthError) -> dict[str, object]:
    if not isinstance(refusal, ClaimHookFailed):
        return {}
    fault = refusal.__cause__ if refusal.problem is None else None
    return {"hook": refusal.hook, "problem": refusal.problem, "exception": fault}


async def _read_form(scope: Scope, receive: Receive) -> bytes:
    if scope["method"] != "POST":
        raise MethodNotAllowed(Reason.METHOD_NOT_ALLOWED, "use POST")
    body = await read_body(receive, MAX_BODY)
    if body is None:
        raise BodyTooLarge(Reason.BODY_TOO_LARGE, "the body is too large")
    return body


async def _respond_error(send: Send, error: OAuthError) -> None:
    headers = ((b"content-type", JSON), *UNSTORED, *error.headers)
    await respond(send, error.status, headers, error_body(error))


def peer_address(scope: Scope) -> str | None:
    """Return the network address of the peer; None if it is not known."""
    peer = scope.get("client")
    return peer[0] if peer else None
