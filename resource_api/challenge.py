"""Own what a refused caller gets: the WWW-Authenticate challenge and a JSON body.

RFC 6750 §3, RFC 9728 §5.1.
"""

import json

from resource_api.errors import InsufficientScope, KeysUnavailable, ResourceError


def build_challenge(
    error: ResourceError, *, realm: str, resource_metadata: str | None, scope: tuple[str, ...] = ()
) -> str:
    """Write the Bearer challenge of a refusal.

    Args:
        error: the refusal; without credentials it yields no `error` parameter (RFC 6750 §3.1).
        realm: the protection space.
        resource_metadata: the URL of the RFC 9728 document, if the resource has one.
        scope: what to ask the issuer for; an `InsufficientScope` brings its own.
    """
    parameters = {"realm": realm}
    if error.challenge_error is not None:
        parameters["error"] = error.challenge_error
        parameters["error_description"] = error.description
    wanted = error.needed if isinstance(error, InsufficientScope) else scope
    if wanted:
        parameters["scope"] = " ".join(wanted)
    if resource_metadata is not None:
        parameters["resource_metadata"] = resource_metadata
    # Every value comes from configuration or from a fixed list and holds neither quote nor
    # backslash (RFC 6750 §3), so there is nothing to escape and no input to echo.
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())


def build_refusal(
    error: ResourceError, *, realm: str, resource_metadata: str | None, scope: tuple[str, ...] = ()
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Write status, raw headers and JSON body of a refusal."""
    document = {"error": error.error, "error_description": error.description}
    body = json.dumps(document, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if isinstance(error, KeysUnavailable):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    else:
        challenge = build_challenge(
            error, realm=realm, resource_metadata=resource_metadata, scope=scope
        )
        headers.append((b"www-authenticate", challenge.encode()))
    return error.status, headers, body
