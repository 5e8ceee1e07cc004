"""Clients as the issuer knows them: identity, secrets and grants (RFC 6749 §2).

Times are integer seconds since the epoch. Objects are immutable; a change makes a new one.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from issuer import config
from issuer.registry.errors import InvalidValue
from issuer.registry.secret_hash import SecretHash

# RFC 6749 appendix A.1: client-id = *VSCHAR. The space is left out (RFC 6749 allows it), since it
# would be lost in log lines and shells.
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,255}")
_MAXIMUM_NAME_LENGTH = 255


class AuthMethod(StrEnum):
    """Ways to authenticate at the token endpoint, by their registered names (RFC 7591 §2)."""

    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a method's name
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105 - a method's name


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One of a client's secrets; several may be live at once, so that one can replace another."""

    secret_id: str
    hash: SecretHash
    created_at: int
    starts_at: int
    expires_at: int | None

    def is_live(self, now: int) -> bool:
        """Tell whether the secret may be used at `now`."""
        return self.starts_at <= now and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientGrant:
    """The scopes that a client may ask for on one resource.

    `token_ttl` is the resource's own token lifetime in seconds, None if it has none.
    """

    resource: str
    scopes: tuple[str, ...]
    token_ttl: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client; its first grant names its default resource."""

    client_id: str
    display_name: str | None
    auth_method: AuthMethod
    grants: tuple[ClientGrant, ...]
    secrets: tuple[ClientSecret, ...]
    token_ttl: int | None
    disabled: bool
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """A client about to be registered, checked on its own terms.

    `resources` are identifiers, the default one first; without `scopes` the client is granted
    every scope that these resources have.

    Raises:
        InvalidValue: a field is outside what the registry accepts.
    """

    client_id: str
    secret_hash: SecretHash
    resources: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    auth_method: AuthMethod = AuthMethod.CLIENT_SECRET_BASIC
    token_ttl: int | None = None
    display_name: str | None = None

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        if not self.resources:
            raise InvalidValue("a client needs at least one resource")
        if self.token_ttl is not None:
            check_token_ttl(self.token_ttl)
        if self.display_name is not None:
            check_display_name(self.display_name)


def check_client_id(text: str) -> None:
    """Refuse a client id that is not 1 to 255 visible ASCII characters.

    Raises:
        InvalidValue: the id is empty, too long, or holds a space, control or non-ASCII character.
    """
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidValue("a client id is 1 to 255 visible ASCII characters without space")


def check_token_ttl(seconds: int) -> None:
    """Refuse a token lifetime that `issuer.config` does not allow.

    Raises:
        InvalidValue: the lifetime is out of bounds.
    """
    try:
        config.check_token_ttl(seconds)
    except ValueError as error:
        raise InvalidValue(f"a token lifetime {error}") from None


def check_display_name(text: str) -> None:
    """Refuse a name that a terminal or a log line could not show as it is.

    Raises:
        InvalidValue: the name is empty, too long, or holds a character that does not print.
    """
    if not (1 <= len(text) <= _MAXIMUM_NAME_LENGTH and text.isprintable()):
        raise InvalidValue(f"a name is 1 to {_MAXIMUM_NAME_LENGTH} printable characters")
