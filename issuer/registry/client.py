"""Clients as the issuer knows them: identity, authentication, grants (RFC 6749 §2, RFC 7591 §2).

Times are integer seconds since the epoch. Objects are immutable; a change makes a new one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from issuer.registry.auth_method import NO_MATERIAL, AuthMaterial, AuthMethod, check_auth
from issuer.registry.client_secret import ClientSecret
from issuer.registry.errors import InvalidValue
from issuer.registry.json_size import check_json_size
from issuer.registry.rfc3339 import check_time
from issuer.registry.token_policy import TokenPolicy, check_token_ttl

# RFC 6749 appendix A.1: client-id = *VSCHAR. The space is left out (RFC 6749 allows it), since it
# would be lost in log lines and shells.
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,255}")
_MAXIMUM_NAME_LENGTH = 255
_MAXIMUM_METADATA_BYTES = 4096

CLIENT_CREDENTIALS = "client_credentials"
GRANT_TYPES = (CLIENT_CREDENTIALS,)
"""Grant types that a client may be registered for; `issuer.grants` has what each does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePermission:
    """The scopes that a client may ask for on one resource.

    Args:
        resource: the resource's identifier.
        scopes: what may be asked for.
        default_scopes: what a request that names none gets (RFC 6749 §3.3); all if None.

    Raises:
        InvalidValue: there is no scope, or a default one is not among them.
    """

    resource: str
    scopes: tuple[str, ...]
    default_scopes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.scopes:
            raise InvalidValue(f"a grant on {self.resource} needs at least one scope")
        for scope in self.default_scopes or ():
            if scope not in self.scopes:
                raise InvalidValue(f"the default scope {scope} is not granted on {self.resource}")
        if self.default_scopes is None:
            return
        if not self.default_scopes:
            raise InvalidValue(f"a grant on {self.resource} needs a default scope, or none named")
        if set(self.default_scopes) == set(self.scopes):
            # One spelling of "all", so that equal grants compare equal.
            object.__setattr__(self, "default_scopes", None)

    @property
    def defaults(self) -> tuple[str, ...]:
        """The scopes of a request that names none."""
        return self.scopes if self.default_scopes is None else self.default_scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """What an operator decides of a client; its first grant names its default resource.

    Args:
        client_id: 1 to 255 visible ASCII characters.
        display_name: a name for people (RFC 7591 `client_name`).
        auth_method: how it proves itself, with `material` to prove it against.
        grant_types: what it may ask with.
        grants: what it may ask for.
        token_ttl: life of its tokens in seconds; None leaves it to the resource and the settings.
        dpop_bound: it gets DPoP-bound tokens only (RFC 9449 §5.2).
        certificate_bound: it gets certificate-bound tokens only (RFC 8705 §3.4).
        disabled: it is refused.
        expires_at: from when it is refused; None for never.
        metadata: whatever its owner wants to note, a JSON object of at most 4096 bytes.

    Raises:
        InvalidValue: a field is outside what the registry accepts.
    """

    client_id: str
    display_name: str | None = None
    auth_method: AuthMethod = AuthMethod.CLIENT_SECRET_BASIC
    material: AuthMaterial = NO_MATERIAL
    grant_types: tuple[str, ...] = GRANT_TYPES
    grants: tuple[ResourcePermission, ...] = ()
    token_ttl: int | None = None
    dpop_bound: bool = False
    certificate_bound: bool = False
    disabled: bool = False
    expires_at: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        check_auth(self.auth_method, self.material)
        check_token_ttl(self.token_ttl)
        check_time(self.expires_at)
        _check_grants(self.grants)
        for grant_type in self.grant_types:
            check_grant_type(grant_type)
        if self.display_name is not None:
            check_display_name(self.display_name)
        check_metadata(self.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client as it is registered.

    Args:
        registration: what was decided.
        policies: what each resource of its grants asks of tokens, by identifier.
        secrets: its secrets, the oldest first, ended ones included.
        revision: grows with every change of anything in the registry (RFC 9110 §8.8.3).
    """

    registration: ClientRegistration
    policies: Mapping[str, TokenPolicy]
    secrets: tuple[ClientSecret, ...]
    created_at: int
    updated_at: int
    revision: int

    @property
    def client_id(self) -> str:
        """The client's id."""
        return self.registration.client_id

    @property
    def grants(self) -> tuple[ResourcePermission, ...]:
        """What it may ask for."""
        return self.registration.grants

    def is_expired(self, now: int) -> bool:
        """Tell whether the registration as a whole has ended by `now`."""
        end = self.registration.expires_at
        return end is not None and end <= now


def check_client_id(text: str) -> None:
    """Refuse a client id that is not 1 to 255 visible ASCII characters.

    Raises:
        InvalidValue: the id is empty, too long, or holds a space, control or non-ASCII character.
    """
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidValue("a client id is 1 to 255 visible ASCII characters without space")


def check_display_name(text: str) -> None:
    """Refuse a name that a terminal or a log line could not show as it is.

    Raises:
        InvalidValue: the name is empty, too long, or holds a character that does not print.
    """
    if not (1 <= len(text) <= _MAXIMUM_NAME_LENGTH and text.isprintable()):
        raise InvalidValue(f"a name is 1 to {_MAXIMUM_NAME_LENGTH} printable characters")


def check_grant_type(text: str) -> None:
    """Refuse a grant type that no client may have.

    Raises:
        InvalidValue: it is not in `GRANT_TYPES`.
    """
    if text not in GRANT_TYPES:
        raise InvalidValue(f"{text!a} is no grant here; use {', '.join(GRANT_TYPES)}")


def check_metadata(metadata: Mapping[str, object]) -> None:
    """Refuse notes that are too long, or that JSON cannot write.

    Raises:
        InvalidValue: they are no JSON object, or have more than 4096 bytes.
    """
    check_json_size(metadata, "metadata", maximum=_MAXIMUM_METADATA_BYTES)


def _check_grants(grants: tuple[ResourcePermission, ...]) -> None:
    identifiers = [grant.resource for grant in grants]
    for identifier in identifiers:
        if identifiers.count(identifier) > 1:
            raise InvalidValue(f"two grants on {identifier}; put their scopes into one")
