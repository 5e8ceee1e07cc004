"""The schemes Bearer and DPoP on the wire: the token of a request, the challenge of a refused one.

RFC 6750 §2.1 and §3, RFC 9449 §7.1, RFC 9110 §11.4, RFC 9728 §5.1. Body and query tokens (RFC 6750
§2.2, §2.3) are not supported and not looked at.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache

from resource_api.errors import (
    CheckUnavailable,
    InsufficientScope,
    InvalidRequest,
    MissingToken,
    NonceNeeded,
    Reason,
    ResourceError,
    Scheme,
)

_TOKEN68 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
_OURS_ALONE = re.compile(rb"(?:bearer|dpop)(?:[ \t]|$)", re.IGNORECASE)
_OURS_LATER = re.compile(rb",[ \t]*(?:bearer|dpop)(?:[ \t]|$)", re.IGNORECASE)


def find_bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give what follows `Bearer` in the only Authorization line; `check_token68` checks it.

    Nothing is given for a line of the scheme DPoP: `find_dpop` reads that.

    Args:
        headers: raw, the names in lower case, as ASGI has them.

    Raises:
        MissingToken: no credentials, or another scheme (RFC 6750 §3.1: no error code then).
        InvalidRequest: several credentials (RFC 6750 §2), or a malformed line.
    """
    # All lines are looked at: with a framework that shows only the first of two, a proxy and an API
    # would check different tokens. RFC 6750 §2: one method of sending the token, once.
    value = None
    for name, found in headers:
        if name == b"authorization":
            if value is not None:
                raise InvalidRequest(Reason.SEVERAL_CREDENTIALS)
            value = found
    if value is None:
        raise MissingToken(Reason.NO_CREDENTIALS)
    # RFC 9110 §11.1: the scheme is case-insensitive; §11.4: 1*SP, not a tab, before the token.
    if value[:7].lower() != b"bearer ":
        _check_other(value)
        return b""
    return value[7:].lstrip(b" ").rstrip(b" \t")


def find_dpop(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Give what follows `DPoP`, where `find_bearer` gave nothing (RFC 9449 §7.1).

    Raises:
        InvalidRequest: it gave nothing because nothing follows `Bearer`.
    """
    value = dict(headers)[b"authorization"].strip(b" \t")
    if not _is_dpop(value):
        raise InvalidRequest(Reason.MALFORMED_AUTHORIZATION)
    return value[5:].lstrip(b" ")


def check_token68(token: bytes) -> bytes:
    """Pass a token68 on.

    Raises:
        InvalidRequest: it is not one (RFC 9110 §11.2).
    """
    # RFC 9110 §11.2: token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
    body = token.rstrip(b"=")
    if not body or body.translate(None, _TOKEN68):
        raise InvalidRequest(Reason.MALFORMED_AUTHORIZATION)
    return token


def build_challenge(
    error: ResourceError,
    *,
    realm: str,
    resource_metadata: str | None,
    scope: tuple[str, ...] = (),
    proof_algorithms: tuple[str, ...] = (),
) -> str:
    """Write the challenge of a refusal, of the scheme that the request used.

    Args:
        error: the refusal; without credentials it yields no `error` parameter (RFC 6750 §3.1).
        realm: the protection space.
        resource_metadata: the URL of the RFC 9728 document, if the resource has one.
        scope: what to ask the issuer for; an `InsufficientScope` brings its own.
        proof_algorithms: what DPoP proofs may be signed with.
    """
    wanted = error.needed if isinstance(error, InsufficientScope) else scope
    return _write_challenge(
        error.scheme,
        realm,
        error.challenge_error,
        error.description,
        " ".join(wanted),
        resource_metadata,
        " ".join(proof_algorithms) if error.scheme is Scheme.DPOP else "",
    )


# Callers choose how often a request is refused, but not in how many ways: there are a few dozen,
# which an API writes again and again. The bound is for an application below many root paths.
@lru_cache(maxsize=256)
def _write_challenge(
    scheme: Scheme,
    realm: str,
    error: str | None,
    description: str,
    scope: str,
    resource_metadata: str | None,
    algs: str,
) -> str:
    # RFC 9110 §11.5 realm, RFC 6750 §3 error and scope, RFC 9728 §5.1 resource_metadata,
    # RFC 9449 §7.1 algs.
    parameters = {"realm": realm}
    if error is not None:
        parameters["error"] = error
        parameters["error_description"] = description
    if scope:
        parameters["scope"] = scope
    if resource_metadata is not None:
        parameters["resource_metadata"] = resource_metadata
    if algs:
        parameters["algs"] = algs
    # Every value comes from configuration or from a fixed list and holds neither quote nor
    # backslash (RFC 6750 §3), so there is nothing to escape and no input to echo.
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())


def build_refusal(
    error: ResourceError,
    *,
    realm: str,
    resource_metadata: str | None,
    scope: tuple[str, ...] = (),
    proof_algorithms: tuple[str, ...] = (),
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Write status, raw headers and JSON body of a refusal."""
    body = _write_body(error.error, error.description)
    # RFC 9111 §5.2.2.5: a refusal must not be served again to a caller with a good token.
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if isinstance(error, CheckUnavailable):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    else:
        challenge = build_challenge(
            error,
            realm=realm,
            resource_metadata=resource_metadata,
            scope=scope,
            proof_algorithms=proof_algorithms,
        )
        headers.append((b"www-authenticate", challenge.encode()))
    if isinstance(error, NonceNeeded):
        headers.append((b"dpop-nonce", error.nonce.encode()))  # RFC 9449 §9
    return error.status, headers, body


@lru_cache(maxsize=64)
def _write_body(error: str, description: str) -> bytes:
    document = {"error": error, "error_description": description}
    return json.dumps(document, separators=(",", ":")).encode()


def _check_other(value: bytes) -> None:
    """Pass a line of the scheme DPoP, and tell a malformed one from another scheme.

    Raises:
        MissingToken: it has no credentials of ours.
        InvalidRequest: it is malformed, or has several.
    """
    value = value.strip(b" \t")
    # RFC 6750 §3.1: without credentials of this scheme the challenge has no error code.
    if not value:
        raise MissingToken(Reason.NO_CREDENTIALS)
    if _OURS_LATER.search(value):
        raise InvalidRequest(Reason.SEVERAL_CREDENTIALS)
    if _is_dpop(value):
        return
    if _OURS_ALONE.match(value):
        raise InvalidRequest(Reason.MALFORMED_AUTHORIZATION)
    raise MissingToken(Reason.FOREIGN_SCHEME)


def _is_dpop(value: bytes) -> bool:
    return value[:5].lower() == b"dpop "
