"""How the client proves who it is at the token endpoint: a value for each method.

RFC 6749 §2.3.1. Each value adds its credentials to a token request and keeps them out of its
own `repr` and out of anything the issuer says back.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote_plus, unquote

# Blotting out something shorter would garble every text, and tell by the gaps what it was.
_SHORTEST_SECRET = 4
_BLOT = "(secret)"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Both alphabets of RFC 4648, and what form encoding makes of the first one's last two letters.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]|%2[BbFf]){4,}")


class ClientAuth(Protocol):
    """One authentication method; a request carries exactly one (RFC 6749 §2.3)."""

    def headers(self) -> Mapping[str, str]:
        """Return what the method adds to the request's header."""
        ...

    def parameters(self) -> Mapping[str, str]:
        """Return what the method adds to the request's form."""
        ...

    def redact(self, text: str) -> str:
        """Blot the secret out of text that comes from elsewhere, in whatever form it was sent."""
        ...


@dataclass(frozen=True, slots=True)
class _PlainSecret:
    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.client_id or not self.client_secret:
            raise ValueError("a client needs an id and a secret, neither of them empty")
        # RFC 6749 appendix A: neither can have one, and the issuer would only say 401.
        for name, value in (("id", self.client_id), ("secret", self.client_secret)):
            if _CONTROL.search(value):
                raise ValueError(f"the client {name} has a line break or another control character")

    def redact(self, text: str) -> str:
        if len(self.client_secret) < _SHORTEST_SECRET:
            return text
        secret = _in_every_spelling(self.client_secret)
        blotted = secret.sub(_BLOT, text)
        return _BASE64.sub(lambda run: _BLOT if _is_encoded(secret, run[0]) else run[0], blotted)


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


def _in_every_spelling(secret: str) -> re.Pattern[str]:
    """Match a secret as it is, escaped with backslashes, or form-encoded in whole or in part."""
    return re.compile("".join(map(_spellings, secret)))


def _spellings(character: str) -> str:
    encoded = "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogatepass"))
    space = r"|\+" if character == " " else ""
    return rf"(?:\\?{re.escape(character)}|(?i:{encoded}){space})"


def _is_encoded(secret: re.Pattern[str], run: str) -> bool:
    """Tell whether base64 letters hold the secret, wherever among them its encoding starts."""
    letters = unquote(run).replace("-", "+").replace("_", "/")
    for start in range(4):
        whole = letters[start:]
        whole = whole[: len(whole) - (len(whole) % 4 == 1)]
        content = b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
        if secret.search(content):
            return True
    return False
