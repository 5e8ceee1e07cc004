"""Requests to `/register`: the Bearer token, the JSON body, and the errors that refuse them.

Pure. RFC 7591 §3.1 and §3.2.2, RFC 7592 §2, RFC 6750 §2.1 and §3. As in `issuer.errors`, a class
fixes code and status; an instance adds a reason and a description.
"""

import re
from collections.abc import Iterable
from typing import Any

from issuer.errors import InvalidRequest, OAuthError, Reason
from keys.encoding import parse_json_object

_REALM = b'Bearer realm="registration"'


class InvalidClientMetadata(OAuthError):
    """A member is malformed, does not fit another, or is more than may be registered."""

    code = "invalid_client_metadata"


class InvalidRedirectUri(OAuthError):
    """There is a redirect URI, and no grant type here redirects."""

    code = "invalid_redirect_uri"


class InvalidSoftwareStatement(OAuthError):
    """The software statement is not even a string."""

    code = "invalid_software_statement"


class UnapprovedSoftwareStatement(OAuthError):
    """A software statement is signed, and no signer of one is trusted here."""

    code = "unapproved_software_statement"


class MissingToken(OAuthError):
    """No Bearer token came, so the challenge names no error (RFC 6750 §3.1)."""

    code = "unauthorized"
    status = 401
    headers = ((b"www-authenticate", _REALM),)


class InvalidToken(OAuthError):
    """The token is unknown, ended, used up, or of another client; the same words for each."""

    code = "invalid_token"
    status = 401
    headers = ((b"www-authenticate", _REALM + b', error="invalid_token"'),)


class MalformedAuthorization(InvalidRequest):
    """The `Authorization` header is malformed, or there are several (RFC 6750 §3.1)."""

    headers = ((b"www-authenticate", _REALM + b', error="invalid_request"'),)


class NotOfAClient(InvalidRequest):
    """A client is read, replaced or deleted, nothing else (RFC 7592 §2, RFC 9110 §15.5.6)."""

    status = 405
    headers = ((b"allow", b"GET, PUT, DELETE"),)


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
