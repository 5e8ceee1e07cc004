"""Read a request to `/register`: the Bearer token and the JSON body (RFC 7591 §3.1, RFC 6750 §2.1).

Pure. What is in the document is judged by `client_registration`.
"""

import re
from collections.abc import Iterable
from typing import Any

from issuer.errors import InvalidRequest, Reason
from issuer.registration.errors import InvalidClientMetadata, MalformedAuthorization, MissingToken
from keys.encoding import parse_json_object

MAX_BODY = 65_536
"""Bytes of a request body; more is refused with 413."""

# RFC 6750 §2.1: credentials = "Bearer" 1*SP b64token; the scheme is case-insensitive.
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)[ \t]*", re.IGNORECASE)
_BEARER_AT_ALL = re.compile(rb"bearer(?:[ \t]|$)", re.IGNORECASE)


def parse_bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Take the token from raw header lines with lower-case names.

    Raises:
        MissingToken: no credentials, or another scheme.
        MalformedAuthorization: several headers, or something after `Bearer` that is no token.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise MalformedAuthorization(
            Reason.SEVERAL_MECHANISMS, "send exactly one Authorization header"
        )
    value = values[0] if values else b""
    if match := _BEARER.fullmatch(value):
        return match[1].decode("ascii")
    if _BEARER_AT_ALL.match(value):
        raise MalformedAuthorization(
            Reason.MALFORMED_AUTHORIZATION, "the Authorization header is malformed"
        )
    reason = Reason.UNSUPPORTED_SCHEME if value else Reason.NO_CREDENTIALS
    raise MissingToken(reason, "a Bearer token is needed here")


def check_media_type(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a body that is not plain JSON, before it is read.

    Raises:
        InvalidRequest: there is not exactly one media type, or another; or the body is encoded.
    """
    media_types = []
    for name, value in headers:
        if name == b"content-type":
            media_types.append(value.partition(b";")[0].strip().lower())
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise InvalidRequest(Reason.CONTENT_ENCODING, "the body must not be encoded")
    if media_types != [b"application/json"]:
        raise InvalidRequest(Reason.MEDIA_TYPE, "the body must be application/json")


def parse_document(body: bytes) -> dict[str, Any]:
    """Read the body: one JSON object, strictly.

    Raises:
        InvalidClientMetadata: it is not one, repeats a name, or is nested too deeply.
    """
    try:
        return parse_json_object(body)
    except ValueError:
        raise InvalidClientMetadata(
            Reason.MALFORMED_BODY, "the body must be one JSON object in UTF-8, no name twice"
        ) from None
