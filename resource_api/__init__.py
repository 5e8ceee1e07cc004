"""Validate access tokens by themselves: signature, claims and scopes, no call per request.

RFC 9068, RFC 6750, RFC 9728. Protect an ASGI application with `BearerMiddleware` and its routes
with `require`; everything is loaded on first use.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

# `keys` is a name that a program may use for a module of its own, which then hides ours.
_keys = str(getattr(find_spec("keys"), "origin", None))
if _keys.rpartition("/")[0] != f"{__file__.rpartition('/')[0].rpartition('/')[0]}/keys":
    raise ImportError(
        f"{_keys} hides the package `keys` that {__name__} needs, installed beside {__file__}; "
        "rename the former, or take its folder off the module search path"
    )

if TYPE_CHECKING:
    from keys.remote.answer import Fetched
    from keys.remote.http_jwks import HttpJwks
    from keys.remote.jwks_client import JwksClient
    from resource_api.access_token import AccessToken, verify
    from resource_api.config import ResourcePolicy
    from resource_api.errors import InvalidToken, Reason, ResourceError
    from resource_api.errors import KeysUnavailable as KeysUnavailable
    from resource_api.explanation import explain
    from resource_api.guard import require
    from resource_api.middleware import BearerMiddleware

_HOMES = {
    "AccessToken": "resource_api.access_token",
    "BearerMiddleware": "resource_api.middleware",
    "Fetched": "keys.remote.answer",
    "HttpJwks": "keys.remote.http_jwks",
    "InvalidToken": "resource_api.errors",
    "JwksClient": "keys.remote.jwks_client",
    "KeysUnavailable": "resource_api.errors",
    "Reason": "resource_api.errors",
    "ResourceError": "resource_api.errors",
    "ResourcePolicy": "resource_api.config",
    "explain": "resource_api.explanation",
    "require": "resource_api.guard",
    "verify": "resource_api.access_token",
}

__all__ = [
    "AccessToken",
    "BearerMiddleware",
    "Fetched",
    "HttpJwks",
    "InvalidToken",
    "JwksClient",
    "Reason",
    "ResourceError",
    "ResourcePolicy",
    "explain",
    "require",
    "verify",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
