"""Public documents (JWK set, metadata, status lists): cacheable, with an ETag and 304.

RFC 9111, RFC 9110 §13. Public, and never `immutable`, since the set of keys changes.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from issuer.endpoints.asgi import Headers, Receive, Scope, Send, respond


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of a document and how long they may be cached, in seconds."""

    body: bytes
    max_age: int
    shared_max_age: int | None = None
    """By a cache that serves many (RFC 9111 §5.2.2.10), if that is not the same."""

    @property
    def cache_control(self) -> bytes:
        """The header that says so."""
        shared = b"" if self.shared_max_age is None else b", s-maxage=%d" % self.shared_max_age
        return b"public, max-age=%d%b" % (self.max_age, shared)


class DocumentEndpoint:
    """Serves a document that may change at any time.

    Args:
        current: returns the document as it is now.
    """

    def __init__(self, current: Callable[[], Document]) -> None:
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; anything else is 405."""
        if scope["method"] not in ("GET", "HEAD"):
            await refuse_method(send)
            return
        document = self._current()
        headers = (
            (b"cache-control", document.cache_control),
            (b"etag", strong_etag(document.body)),
        )
        content = ((b"content-type", b"application/json"),)
        await send_document(scope, send, headers, content, document.body)


async def refuse_method(send: Send) -> None:
    """Answer a request that is neither GET nor HEAD (RFC 9110 §15.5.6)."""
    await respond(send, 405, ((b"allow", b"GET, HEAD"), (b"cache-control", b"no-store")), b"")


async def send_document(
    scope: Scope, send: Send, headers: Headers, content: Headers, body: bytes
) -> None:
    """Answer GET or HEAD with a document, or with 304 if the peer has it.

    Args:
        scope: the request.
        send: takes the answer.
        headers: of either answer, `etag` among them (RFC 9110 §15.4.5).
        content: what tells of the body, but for its length.
        body: the document.
    """
    headers = list(headers)
    if _is_known(scope, dict(headers)[b"etag"]):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    headers += [*content, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@lru_cache(maxsize=16)
def strong_etag(body: bytes) -> bytes:
    """Return the entity tag of exactly these bytes (RFC 9110 §8.8.3)."""
    return b'"' + hashlib.sha256(body).hexdigest()[:32].encode() + b'"'


def takes_gzip(scope: Scope) -> bool:
    """Tell whether `Accept-Encoding` names gzip, with another weight than 0 (RFC 9110 §12.5.3)."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            for each in value.lower().split(b","):
                coding, _, weight = each.partition(b";")
                if coding.strip() == b"gzip":
                    return bool(weight.replace(b" ", b"").rstrip(b"0.") != b"q=")
    return False


def _is_known(scope: Scope, etag: bytes) -> bool:
    """Tell whether `If-None-Match` names the document, compared weakly (RFC 9110 §13.1.2)."""
    known = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    candidates = {candidate.strip().removeprefix(b"W/") for candidate in known.split(b",")}
    return etag.removeprefix(b"W/") in candidates or b"*" in candidates
