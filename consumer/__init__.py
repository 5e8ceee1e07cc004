"""Get access tokens as a client and put them on requests: the consumer's side of OAuth 2.0.

`ClientCredentials` is an `httpx.Auth`, `TokenExchange` gives one for each caller that a service
acts for, and `TokenSource` gives the token itself, for requests that are sent by other means;
`consumer.httpx2_auth` has them for httpx2. `consumer.requests_auth`, `consumer.aiohttp_auth` and
`consumer.grpc_auth` put the tokens of any of them on requests of those libraries.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

# `keys` is a name that a program may use for a module of its own, which then hides ours.
_keys = str(getattr(find_spec("keys"), "origin", None))
if _keys.rpartition("/")[0] != f"{__file__.rpartition('/')[0].rpartition('/')[0]}/keys":
    raise ImportError(
        f"{_keys} hides the package `keys` that {__name__} needs, installed beside {__file__}; "
        "rename the former, or take its folder off the module search path"
    )

from consumer.client_auth import ClientAuth, ClientSecretBasic, ClientSecretPost  # noqa: E402 - see above
from consumer.errors import (  # noqa: E402
    ConsumerError,
    InsecureUrl,
    InvalidTokenResponse,
    MetadataError,
    TokenEndpointUnreachable,
    TokenRequestRefused,
)

if TYPE_CHECKING:
    from consumer.auth import ClientCredentials, TokenExchange, TokenSource

__all__ = [
    "ClientAuth",
    "ClientCredentials",
    "ClientSecretBasic",
    "ClientSecretPost",
    "ConsumerError",
    "InsecureUrl",
    "InvalidTokenResponse",
    "MetadataError",
    "TokenEndpointUnreachable",
    "TokenExchange",
    "TokenRequestRefused",
    "TokenSource",
]


def __getattr__(name: str) -> object:
    """Import httpx when it is needed: it costs a tenth of a second."""
    if name not in ("ClientCredentials", "TokenExchange", "TokenSource"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from consumer import auth

    return getattr(auth, name)
