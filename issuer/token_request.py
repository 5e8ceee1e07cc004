"""Read a token request: headers, query and body in, a `TokenRequest` out (RFC 6749 §2.3, §3.2).

Pure. In the order of our profile: media type, parameters, credentials; whoever holds the result
need not ask whether it is well-formed.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from issuer.errors import InvalidClient, InvalidRequest, Reason

MAX_BODY = 65_536
"""Bytes of a request body; more is refused with 413."""

MAX_FIELDS = 64
"""Fields of a request body; a token request has fewer than ten."""

_RECOGNISED = frozenset(
    {
        "grant_type",
        "scope",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
    }
)
_QUERY_SECRETS = frozenset({b"client_secret", b"client_assertion", b"assertion"})
# What form-encoding leaves as it is; most values of a token request are nothing else.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/-]*")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 6749 Appendix A: client-id and client-secret are *VSCHAR.
_VSCHARS = re.compile(r"[\x20-\x7E]+")


@dataclass(frozen=True, slots=True)
class SecretBasic:
    """Credentials from the `Authorization` header (client_secret_basic)."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecretPost:
    """Credentials from the body (client_secret_post)."""

    client_id: str
    secret: str = field(repr=False)


Credentials = SecretBasic | SecretPost


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A well-formed token request of a client that has still to prove itself.

    Args:
        credentials: who the client says it is, and its proof.
        grant_type: as sent; None if omitted, which is judged after authentication.
        scope: as sent; None if omitted.
        resources: the `resource` parameters as sent (RFC 8707 §2).
    """

    credentials: Credentials
    grant_type: str | None
    scope: str | None
    resources: tuple[str, ...]


def parse_token_request(
    headers: Iterable[tuple[bytes, bytes]], query: bytes, body: bytes
) -> TokenRequest:
    """Read a token request.

    Args:
        headers: raw header lines with lower-case names, duplicates kept.
        query: the raw query string.
        body: the whole body.

    Raises:
        InvalidRequest: media type, encoding, parameters or number of credentials are wrong (400).
        InvalidClient: there are no credentials, or they cannot be read (401).
    """
    authorization = _check_headers(headers)
    _refuse_secrets_in_query(query)
    parameters, resources = _parse_form(body)
    return TokenRequest(
        credentials=_credentials(authorization, parameters),
        grant_type=parameters.get("grant_type"),
        scope=parameters.get("scope"),
        resources=resources,
    )


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Check the media type and return the one `Authorization` value, if there is one."""
    media_types, authorizations = [], []
    for name, value in headers:
        if name == b"content-type":
            media_types.append(value)
        elif name == b"authorization":
            authorizations.append(value)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            raise InvalidRequest(Reason.CONTENT_ENCODING, "the body must not be encoded")
    if len(media_types) != 1 or not _is_form(media_types[0]):
        raise InvalidRequest(
            Reason.MEDIA_TYPE, "the body must be application/x-www-form-urlencoded"
        )
    if len(authorizations) > 1:
        raise InvalidRequest(Reason.SEVERAL_MECHANISMS, "more than one client authentication")
    return authorizations[0] if authorizations else None


def _is_form(value: bytes) -> bool:
    # RFC 9110 §8.3.1: the type is case-insensitive; parameters such as charset are tolerated.
    if value == b"application/x-www-form-urlencoded":
        return True
    return value.partition(b";")[0].strip().lower() == b"application/x-www-form-urlencoded"


def _refuse_secrets_in_query(query: bytes) -> None:
    # RFC 6749 §2.3.1: credentials MUST NOT be in the request URI.
    for pair in query.split(b"&") if query else ():
        if unquote_to_bytes(pair.partition(b"=")[0]) in _QUERY_SECRETS:
            raise InvalidRequest(
                Reason.CREDENTIALS_IN_QUERY, "credentials must not be in the query"
            )


def _parse_form(body: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    """Decode the form strictly: known names once at the most, empty values count as omitted."""
    if body.count(b"&") >= MAX_FIELDS:
        raise InvalidRequest(Reason.MALFORMED_BODY, "too many parameters")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED_BODY, "the body is not UTF-8") from None
    parameters: dict[str, str] = {}
    resources: list[str] = []
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if name not in _RECOGNISED:
            name = form_decode(name)
        value = form_decode(value)
        if name == "resource":  # RFC 8707 §2: the one parameter that may repeat
            if value:
                resources.append(value)
        elif name in _RECOGNISED:
            if name in parameters:  # RFC 6749 §3.2: MUST NOT repeat, not even once empty
                raise InvalidRequest(Reason.REPEATED_PARAMETER, "a parameter is repeated")
            parameters[name] = value
    # RFC 6749 §3.2: a parameter without a value MUST be treated as if it were omitted.
    return {name: value for name, value in parameters.items() if value}, tuple(resources)


def form_decode(text: str) -> str:
    """Decode one name or value of `application/x-www-form-urlencoded`, strictly.

    Raises:
        InvalidRequest: a bad percent escape, not UTF-8, or a NUL.
    """
    if _PLAIN.fullmatch(text):
        return text
    text = text.replace("+", " ")
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequest(Reason.MALFORMED_BODY, "a percent escape is malformed")
    try:
        text = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED_BODY, "a value is not UTF-8") from None
    if "\0" in text:
        raise InvalidRequest(Reason.MALFORMED_BODY, "a value has a NUL")
    return text


def _credentials(authorization: bytes | None, parameters: dict[str, str]) -> Credentials:
    """Find the one proof of identity (RFC 6749 §2.3: never more than one method a request)."""
    secret = parameters.get("client_secret")
    assertion = "client_assertion" in parameters or "client_assertion_type" in parameters
    if (authorization is not None) + (secret is not None) + assertion > 1:
        raise InvalidRequest(Reason.SEVERAL_MECHANISMS, "more than one client authentication")
    client_id = parameters.get("client_id")
    if authorization is not None:
        return _basic(authorization, client_id)
    if assertion:
        raise InvalidClient(Reason.UNSUPPORTED_METHOD)
    if client_id is None or secret is None:
        raise InvalidClient(Reason.NO_CREDENTIALS)
    if not _VSCHARS.fullmatch(client_id) or not _VSCHARS.fullmatch(secret):
        raise InvalidClient(Reason.UNKNOWN_CLIENT)
    return SecretPost(client_id, secret)


def _basic(authorization: bytes, body_client_id: str | None) -> SecretBasic:
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise InvalidClient(Reason.UNSUPPORTED_SCHEME)
    credentials = decode_basic(encoded.strip(b" "))
    if body_client_id is not None and body_client_id != credentials.client_id:
        # Beside Basic the parameter only identifies; it must name the same client.
        raise InvalidRequest(Reason.CLIENT_ID_MISMATCH, "client_id names another client")
    return credentials


def decode_basic(encoded: bytes) -> SecretBasic:
    """Decode Basic credentials: base64, split at the first colon, form-decode each.

    RFC 6749 §2.3.1.

    Raises:
        InvalidClient: not strict base64, no colon, bad escape or UTF-8, empty or outside VSCHAR.
    """
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        client_id, secret = form_decode(client_id), form_decode(secret)
    except (binascii.Error, UnicodeDecodeError, InvalidRequest):
        raise InvalidClient(Reason.MALFORMED_BASIC) from None
    if not colon or not _VSCHARS.fullmatch(client_id) or not _VSCHARS.fullmatch(secret):
        raise InvalidClient(Reason.MALFORMED_BASIC)
    return SecretBasic(client_id, secret)
