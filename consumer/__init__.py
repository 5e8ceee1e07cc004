"""Get access tokens as a client and put them on requests: the consumer's side of OAuth 2.0.

`ClientCredentials` is for httpx; `consumer.httpx2_auth` has the same for httpx2.
"""

from typing import TYPE_CHECKING

from consumer.client_auth import ClientSecretBasic, ClientSecretPost
from consumer.errors import (
    ConsumerError,
    InsecureUrl,
    InvalidTokenResponse,
    MetadataError,
    TokenEndpointUnreachable,
    TokenRequestRefused,
)

if TYPE_CHECKING:
    from consumer.auth import ClientCredentials

__all__ = [
    "ClientCredentials",
    "ClientSecretBasic",
    "ClientSecretPost",
    "ConsumerError",
    "InsecureUrl",
    "InvalidTokenResponse",
    "MetadataError",
    "TokenEndpointUnreachable",
    "TokenRequestRefused",
]


def __getattr__(name: str) -> object:
    """Import httpx only for those who ask for it: it costs a tenth of a second."""
    if name != "ClientCredentials":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from consumer.auth import ClientCredentials

    return ClientCredentials
