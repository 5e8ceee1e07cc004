"""Clients as the issuer knows them: identity, authentication, grants (RFC 6749 §2, RFC 7591 §2).

Times are integer seconds since the epoch. Objects are immutable; a change makes a new one.
"""

import dataclasses
from collections.abc import Collection, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticKnownError

from issuer.registry.claims import Claims
from issuer.registry.credentials import (
    ALL_MATERIAL,
    MAXIMUM_SUBJECT_LENGTH,
    AuthMethod,
    ClientSecret,
    check_jwks,
    check_jwks_uri,
    check_material,
    check_tls_subject,
)
from issuer.registry.errors import InvalidValue
from issuer.registry.names import ClientId, ResourceName
from issuer.registry.permission import ExchangePermission, ResourcePermission, check_exchanges
from issuer.registry.schema import (
    MODEL,
    Flag,
    Json,
    Option,
    Registrable,
    ReuseWindow,
    Text,
    Time,
    TokenTtl,
    check_json_size,
    is_unset,
    write,
    write_time,
)

if TYPE_CHECKING:
    from issuer.registry.resource import TokenPolicy

_MAXIMUM_NAME_LENGTH = 255
_MAXIMUM_METADATA_BYTES = 4096

CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
GRANT_TYPES = (CLIENT_CREDENTIALS, TOKEN_EXCHANGE)
"""Grant types that a client may be registered for; `issuer.grants` has what each does."""


def _check_name(text: str) -> str:
    """Refuse a name that a terminal or a log line could not show as it is."""
    if not (1 <= len(text) <= _MAXIMUM_NAME_LENGTH and text.isprintable()):
        raise InvalidValue(f"a name is 1 to {_MAXIMUM_NAME_LENGTH} printable characters")
    return text


def _check_grant_type(text: str) -> str:
    """Refuse a grant type that is not in `GRANT_TYPES`."""
    if text not in GRANT_TYPES:
        raise InvalidValue(f"{text!a} is no grant here; use {', '.join(GRANT_TYPES)}")
    return text


def _check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Refuse notes that JSON cannot write in 4096 bytes."""
    check_json_size(metadata, "metadata", maximum=_MAXIMUM_METADATA_BYTES)
    return metadata


def _check_method(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if value in _LATER_METHODS:
        raise InvalidValue(f"{value} is not available in this version")
    if value not in _METHODS:
        raise InvalidValue("must be one of " + ", ".join(AuthMethod))
    return value


_METHODS = [method.value for method in AuthMethod]
_LATER_METHODS = ("client_secret_jwt", "federated")
_ClientName = Annotated[
    Text,
    AfterValidator(_check_name),
    Field(json_schema_extra={"minLength": 1, "maxLength": _MAXIMUM_NAME_LENGTH}),
]
_Method = Annotated[
    AuthMethod,
    BeforeValidator(_check_method),
    WithJsonSchema({"type": "string", "enum": _METHODS}),
]
_Jwks = Annotated[dict[str, Any], AfterValidator(check_jwks)]
_JwksUri = Annotated[
    Text,
    AfterValidator(check_jwks_uri),
    Field(json_schema_extra={"format": "uri", "pattern": "^https://", "maxLength": 2048}),
]
_TlsSubject = Annotated[
    Annotated[
        Text,
        AfterValidator(check_tls_subject),
        Field(json_schema_extra={"minLength": 1, "maxLength": MAXIMUM_SUBJECT_LENGTH}),
    ]
    | None,
    Registrable(),
]
_GrantType = Annotated[
    Text, AfterValidator(_check_grant_type), Field(json_schema_extra={"enum": list(GRANT_TYPES)})
]


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class ClientRegistration:
    """A client as an operator wants it, by the names of RFC 7591 §2 where it has some."""

    client_id: ClientId = Field(description="1 to 255 visible ASCII characters without space")
    client_name: Annotated[
        _ClientName | None, Registrable(), Option(flag="--name", metavar="TEXT", unset=True)
    ] = Field(default=None, description="a name for people")
    token_endpoint_auth_method: Annotated[
        _Method, Registrable(), Option(flag="--auth", metavar="METHOD")
    ] = Field(default=AuthMethod.CLIENT_SECRET_BASIC, description="how it authenticates")
    jwks: Annotated[_Jwks | None, Registrable(), Option(flag="--jwks", metavar="FILE")] = Field(
        default=None, exclude_if=is_unset, description="its public keys, a JWK set"
    )
    jwks_uri: Annotated[
        _JwksUri | None, Registrable(), Option(flag="--jwks-uri", metavar="URL")
    ] = Field(
        default=None, exclude_if=is_unset, description="where it publishes its public keys; https"
    )
    # RFC 8705 §2.1.2: a client of tls_client_auth has exactly one of these.
    tls_client_auth_subject_dn: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_dns: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_uri: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_ip: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_email: _TlsSubject = Field(default=None, exclude_if=is_unset)
    grant_types: Annotated[tuple[_GrantType, ...], Option(flag="--grant-type", metavar="TYPE")] = (
        Field(
            default=(CLIENT_CREDENTIALS,),
            description="grant types that it may use; none refuses them all",
        )
    )
    grants: tuple[ResourcePermission, ...] = Field(
        default=(), description="what it may ask for, its default resource first"
    )
    token_ttl: Annotated[
        TokenTtl | None, Option(flag="--token-ttl", metavar="DURATION", unset=True)
    ] = Field(default=None, description="life of its tokens in seconds")
    reuse_window: Annotated[
        ReuseWindow | None, Option(flag="--reuse-window", metavar="DURATION", unset=True)
    ] = Field(
        default=None,
        exclude_if=is_unset,
        description="seconds during which the same request gets the same token again",
    )
    # RFC 9449 §5.2
    dpop_bound_access_tokens: Annotated[Flag, Registrable(), Option(flag="--dpop/--no-dpop")] = (
        Field(default=False, description="only DPoP-bound tokens")
    )
    # RFC 8705 §3.4
    tls_client_certificate_bound_access_tokens: Annotated[
        Flag, Registrable(), Option(flag="--certificate-bound/--no-certificate-bound")
    ] = Field(default=False, description="only certificate-bound tokens")
    introspects: Annotated[
        tuple[ResourceName, ...], Option(flag="--introspects", metavar="URI", unset=True)
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="resources whose tokens it may introspect",
    )
    # RFC 8707 §2
    several_resources: Annotated[
        Flag, Option(flag="--several-resources/--no-several-resources")
    ] = Field(
        default=False,
        exclude_if=is_unset,
        description="a token of it may be for several of its resources",
    )
    token_exchange: Annotated[
        tuple[ExchangePermission, ...],
        AfterValidator(check_exchanges),
        Option(
            flag="--token-exchange",
            metavar="JSON",
            unset=True,
            help="Tokens of which callers it may exchange, and for which resource: an object with"
            " subject_resource, resource, subjects and max_depth; repeat it for more.",
        ),
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="tokens of which callers it may exchange, and for which resource",
    )
    disabled: Annotated[Flag, Option(flag="--disabled/--enabled")] = Field(
        default=False, description="refuse it"
    )
    expires_at: Annotated[Time | None, Option(flag="--expires-at", metavar="TIME", unset=True)] = (
        Field(default=None, description="refuse it from then on")
    )
    metadata: Annotated[
        dict[str, Any],
        AfterValidator(_check_metadata),
        Option(flag="--metadata", metavar="KEY=VALUE", unset=True),
    ] = Field(default_factory=dict, description="free-form notes of its owner")
    claims: Annotated[Claims, Option(flag="--claims", metavar="FILE", unset=True)] = Field(
        default_factory=dict,
        exclude_if=is_unset,
        description="constant claims of its tokens, by name",
    )

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        given = [name for name in ALL_MATERIAL if getattr(self, name) is not None]
        check_material(self.token_endpoint_auth_method, given)
        _check_grants([grant.resource for grant in self.grants])

    def is_expired(self, now: int) -> bool:
        """Tell whether the registration as a whole has ended by `now`."""
        return self.expires_at is not None and self.expires_at <= now


def _check_grants(resources: Collection[str]) -> None:
    seen: set[str] = set()
    for identifier in resources:
        if identifier in seen:
            raise InvalidValue(f"two grants on {identifier}; put their scopes into one")
        seen.add(identifier)


Facts = Mapping[tuple[str, str | None], Any]
"""What a client or resource is, by the name of each fact and the resource that it is about."""

ClientState = Literal["enabled", "disabled", "expired", "secret_expired"]
"""What becomes of a client; `secret_expired` is one whose secrets have all ended."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientFilter:
    """What a listed client must be; whatever is None does not matter.

    Args:
        resource: it holds a grant on this.
        scope: it holds this scope, on that resource if one is named.
        state: as `describe_client` tells it.
        unused_for: seconds for which it has used neither scope nor secret; it is older than that.
        expiring: seconds within which it ends, or one of its secrets.
    """

    resource: str | None = None
    scope: str | None = None
    state: ClientState | None = None
    unused_for: int | None = None
    expiring: int | None = None


EVERY_CLIENT = ClientFilter()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client as it is registered.

    Args:
        registration: what was decided.
        policies: what each resource of its grants asks of tokens, by identifier.
        secrets: its secrets, the oldest first, ended ones included.
        revision: grows with every change of anything in the registry (RFC 9110 §8.8.3).
        fast_secrets: those that a token request is verified against at once; none for a client of
            another method, whatever secrets it has from before (RFC 7591 §2).
        slow_secrets: those whose hash is slow, likewise.
    """

    registration: ClientRegistration
    policies: "Mapping[str, TokenPolicy]"
    secrets: tuple[ClientSecret, ...]
    created_at: int
    updated_at: int
    revision: int
    fast_secrets: tuple[ClientSecret, ...] = dataclasses.field(
        init=False, repr=False, compare=False
    )
    slow_secrets: tuple[ClientSecret, ...] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        usable = self.secrets if self.registration.token_endpoint_auth_method.uses_secret else ()
        slow = tuple(secret for secret in usable if secret.hash.slow)
        fast = tuple(secret for secret in usable if not secret.hash.slow) if slow else usable
        object.__setattr__(self, "fast_secrets", fast)
        object.__setattr__(self, "slow_secrets", slow)

    @property
    def client_id(self) -> str:
        """The client's id."""
        return self.registration.client_id

    @property
    def grants(self) -> tuple[ResourcePermission, ...]:
        """What it may ask for."""
        return self.registration.grants

    def is_active(self, now: int) -> bool:
        """Tell whether the client may use the issuer at `now`: neither disabled nor expired."""
        registration = self.registration
        return not registration.disabled and not registration.is_expired(now)

    def is_expired(self, now: int) -> bool:
        """Tell whether the registration as a whole has ended by `now`."""
        return self.registration.is_expired(now)


def describe_client(client: Client, now: int) -> Json:
    """Describe a registered client, without its secrets.

    Args:
        client: with all its secrets.
        now: when its state is told, in seconds since the epoch.
    """
    registration = client.registration
    scopes = dict.fromkeys(scope for grant in registration.grants for scope in grant.scopes)
    return {
        **write(registration),
        "scope": " ".join(scopes),
        "resources": [grant.resource for grant in registration.grants],
        "created_at": write_time(client.created_at),
        "updated_at": write_time(client.updated_at),
        "state": _client_state(client, now),
        "next_end_at": write_time(_next_end(client, now)),
    }


def _next_end(client: Client, now: int) -> int | None:
    """Tell when the client ends or, if that is earlier, the next of its secrets."""
    ends = (client.registration.expires_at, *(each.expires_at for each in client.secrets))
    return min((each for each in ends if each is not None and each > now), default=None)


def _client_state(client: Client, now: int) -> ClientState:
    """Tell the first reason why the client gets no tokens, or that it is enabled."""
    if client.registration.disabled:
        return "disabled"
    if client.is_expired(now):
        return "expired"
    ended = client.secrets and all(each.has_ended(now) for each in client.secrets)
    if ended and client.registration.token_endpoint_auth_method.uses_secret:
        return "secret_expired"
    return "enabled"


def facts_of_client(registration: ClientRegistration) -> Facts:
    """Take a registration apart into facts that are equal exactly if they mean the same.

    The order of scopes means nothing, and neither does that of grants after the first, which names
    the default resource.
    """
    described = write(registration)
    del described["client_id"], described["grants"]
    described["grant_types"] = sorted(registration.grant_types)
    if registration.introspects:
        described["introspects"] = sorted(registration.introspects)
    if registration.token_exchange:
        described["token_exchange"] = [
            each | {"subjects": sorted(each["subjects"])}
            for each in sorted(
                described["token_exchange"], key=itemgetter("subject_resource", "resource")
            )
        ]
    facts: dict[tuple[str, str | None], Any] = {
        (name, None): value for name, value in described.items()
    }
    if registration.grants:
        facts[("default_resource", None)] = registration.grants[0].resource
    for grant in registration.grants:
        facts[("scope", grant.resource)] = sorted(grant.scopes)
        # All that is granted is the default without any choice.
        if set(grant.defaults) != set(grant.scopes):
            facts[("default_scope", grant.resource)] = sorted(grant.defaults)
        if types := sorted(grant.authorization_details_types):
            facts[("authorization_details_types", grant.resource)] = types
    return facts
