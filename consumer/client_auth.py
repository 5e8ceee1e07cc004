"""How the client proves who it is at the token endpoint: a value for each method.

RFC 6749 §2.3.1. Each value adds its credentials to a token request and keeps them out of its
own `repr` and out of anything the issuer says back.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus

# Blotting out something shorter would garble every text, and tell by the gaps what it was.
_SHORTEST_SECRET = 4


class ClientAuth(Protocol):
    """One authentication method; a request carries exactly one (RFC 6749 §2.3)."""

    def headers(self) -> Mapping[str, str]:
        """Return what the method adds to the request's header."""
        ...

    def parameters(self) -> Mapping[str, str]:
        """Return what the method adds to the request's form."""
        ...

    def redact(self, text: str) -> str:
        """Blot the secret out of text that comes from elsewhere."""
        ...


@dataclass(frozen=True, slots=True)
class _PlainSecret:
    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.client_id or not self.client_secret:
            raise ValueError("a client needs an id and a secret, neither of them empty")

    def redact(self, text: str) -> str:
        if len(self.client_secret) < _SHORTEST_SECRET:
            return text
        return text.replace(self.client_secret, "(secret)")


@dataclass(frozen=True, slots=True)
class ClientSecretBasic(_PlainSecret):
    """`client_secret_basic`: id and secret in the `Authorization` header, the default."""

    def headers(self) -> Mapping[str, str]:
        """Return the Basic credentials.

        RFC 6749 §2.3.1: both parts are form-urlencoded *before* they are joined, so that a colon
        in the id cannot be taken for the separator.
        """
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"Authorization": f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"}

    def parameters(self) -> Mapping[str, str]:
        """Return nothing: the body says no word about the client."""
        return {}


@dataclass(frozen=True, slots=True)
class ClientSecretPost(_PlainSecret):
    """`client_secret_post`: id and secret in the form, for issuers that want it so."""

    def headers(self) -> Mapping[str, str]:
        """Return nothing: one request, one method."""
        return {}

    def parameters(self) -> Mapping[str, str]:
        """Return both credentials; the form encoding is the form's own."""
        return {"client_id": self.client_id, "client_secret": self.client_secret}
