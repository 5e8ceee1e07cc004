"""Client authentication at the token endpoint: a value for each method (RFC 6749 §2.3).

Those with a key or an assertion are in `client_assertion` and `federated_token`.

Each value adds its credentials to a token request, and keeps them out of its own `repr` and out of
the texts that come back from the issuer.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus, unquote

if TYPE_CHECKING:
    from consumer.federated_token import FederatedToken

# Replacing a shorter secret would damage every text, and the gaps would tell what it was.
_SHORTEST_REDACTED = 4
REDACTED = "(secret)"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Both alphabets of RFC 4648, and what form encoding makes of the first one's last two letters.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]|%2[BbFf]){4,}")


class ClientAuth(Protocol):
    """One authentication method; a request carries exactly one (RFC 6749 §2.3)."""

    def apply(
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        """Add the client's credentials to a token request that is about to be sent.

        Args:
            form: the request's parameters, not yet encoded.
            headers: the request's header fields.
            audience: the issuer identifier, for a method that signs who its proof is for.
            now: the wall clock in seconds since the epoch, for a method that signs a time.
        """
        ...

    def redact(self, text: str) -> str:
        """Replace the secret in text that comes from elsewhere, in whatever form it was sent."""
        ...


@dataclass(frozen=True, slots=True)
class _PlainSecret:
    client_id: str
    client_secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.client_id or not self.client_secret:
            raise ValueError("a client needs an id and a secret, neither of them empty")
        check_client_id(self.client_id)
        _refuse_control("secret", self.client_secret)

    def redact(self, text: str) -> str:
        if len(self.client_secret) < _SHORTEST_REDACTED:
            return text
        secret = _in_every_spelling(self.client_secret)
        redacted = secret.sub(REDACTED, text)
        return _BASE64.sub(
            lambda run: REDACTED if _is_encoded(secret, run[0]) else run[0], redacted
        )


@dataclass(frozen=True, slots=True)
class ClientSecretBasic(_PlainSecret):
    """`client_secret_basic`: id and secret in the `Authorization` header, the default."""

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        # RFC 6749 §2.3.1: both parts are form-urlencoded *before* they are joined, so that a colon
        # in the id cannot be taken for the separator.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class ClientSecretPost(_PlainSecret):
    """`client_secret_post`: id and secret in the form, for issuers that require it."""

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        form["client_id"], form["client_secret"] = self.client_id, self.client_secret


@dataclass(frozen=True, slots=True)
class TlsClientAuth:
    """`tls_client_auth` and `self_signed_tls_client_auth`: the certificate of the connection.

    The request names the client alone (RFC 8705 §2); `cert` of the token source is its certificate.
    """

    client_id: str

    def __post_init__(self) -> None:
        """Check the id.

        Raises:
            ValueError: it cannot be one.
        """
        check_client_id(self.client_id)

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        form["client_id"] = self.client_id

    def redact(self, text: str) -> str:  # noqa: D102 - see `ClientAuth`
        return text


def check_client_id(client_id: str) -> None:
    """Refuse what cannot be a client's id.

    Raises:
        ValueError: it is empty, or has a line break or another control character.
    """
    if not client_id:
        raise ValueError("a client needs an id that is not empty")
    _refuse_control("id", client_id)


def _refuse_control(name: str, value: str) -> None:
    # RFC 6749 appendix A: neither id nor secret can have one, and the issuer would only say 401.
    if _CONTROL.search(value):
        raise ValueError(f"the client {name} has a line break or another control character")


def choose_client_auth(
    client: "ClientAuth | FederatedToken | str | None",
    client_secret: str | None,
    client_id: str | None,
) -> "ClientAuth | FederatedToken":
    """Return an authentication method given as a value, or as the shorthand of id and secret.

    Args:
        client: the value, or the client id of the shorthand.
        client_secret: of the shorthand, which stands for `ClientSecretBasic`.
        client_id: the id of the shorthand given by its name.

    Raises:
        ValueError: neither or both forms are given, or id or secret cannot be one.
        TypeError: the value is no authentication method.
    """
    if isinstance(client, str) and client_id is None:
        client, client_id = None, client
    if client is None and client_id is not None and client_secret is not None:
        return ClientSecretBasic(client_id, client_secret)
    if client is None or client_id is not None or client_secret is not None:
        raise ValueError("give a client's id and its secret, or one value with both")
    # What has no `apply` has to `read` its credential first, as `FederatedToken` does.
    if isinstance(client, str | type) or not (hasattr(client, "apply") or hasattr(client, "read")):
        raise TypeError("`client` is a value such as ClientSecretBasic(id, secret)")
    return client


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
