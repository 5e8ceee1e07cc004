"""How a request is refused before the application sees it (RFC 9110 section 15.5, RFC 6585)."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

HEAD_BYTES = 65_536
"""Most bytes of a head; also of what is no data in a chunked body, between two pieces of data."""

HEAD_FIELDS = 100
TARGET_BYTES = 8_192


class Refusal(NamedTuple):
    """A status, the reason in the log, and the description in the answer."""

    status: HTTPStatus
    reason: str
    description: str


class Refused(Exception):
    """Raised inside a callback of the parser, which then stops."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


MALFORMED = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "the request is not HTTP/1.1")
BAD_HOST = Refusal(
    HTTPStatus.BAD_REQUEST, "bad_host", "the request needs one well-formed Host field"
)
BAD_FORWARDING = Refusal(
    HTTPStatus.BAD_REQUEST,
    "bad_forwarding",
    "Forwarded is malformed, or it and X-Forwarded-For name different clients; the proxy should"
    " remove what it does not write itself",
)
BAD_CLIENT_CERT = Refusal(
    HTTPStatus.BAD_REQUEST,
    "bad_client_cert",
    "Client-Cert is not one certificate in base64 between colons (RFC 9440), or Client-Cert-Chain"
    " is no list of such; the proxy should write both itself",
)
TARGET_TOO_LONG = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "target_too_long",
    f"the request target is longer than {TARGET_BYTES} bytes",
)
HEAD_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the request head or the trailers are larger than {HEAD_BYTES} bytes",
)
TOO_MANY_FIELDS = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "too_many_fields",
    f"the request has more than {HEAD_FIELDS} header fields",
)
BAD_VERSION = Refusal(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "http_version",
    "this server speaks HTTP/1.0 and HTTP/1.1",
)
NO_TUNNEL = Refusal(HTTPStatus.NOT_IMPLEMENTED, "connect", "this server is no proxy")
FULL = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "connection_limit", "the server has too many connections"
)
NO_REQUEST = Refusal(HTTPStatus.REQUEST_TIMEOUT, "first_byte_timeout", "no request came in time")
HEAD_TIMEOUT = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "head_timeout", "the request head did not come in time"
)
BODY_TIMEOUT = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "body_timeout", "the request body did not come in time"
)


def write_refusal(refusal: Refusal, more_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write the whole answer, which ends the connection."""
    unavailable = refusal.status is HTTPStatus.SERVICE_UNAVAILABLE
    code = "temporarily_unavailable" if unavailable else "invalid_request"
    body = json.dumps({"error": code, "error_description": refusal.description}).encode()
    headers = [
        *more_headers,
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if unavailable:
        headers.append((b"retry-after", b"1"))
    lines = [b"HTTP/1.1 %d %s" % (refusal.status, refusal.status.phrase.encode())]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join([*lines, b"", body])
