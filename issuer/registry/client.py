"""Clients as the issuer knows them: identity, authentication, grants (RFC 6749 §2, RFC 7591 §2).

Times are integer seconds since the epoch. Objects are immutable; a change makes a new one.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.auth_methods import (
    ALL_MATERIAL,
    ASSERTION_ALGORITHMS,
    MAXIMUM_SUBJECT_LENGTH,
    AuthMethod,
    MethodName,
    check_jwks,
    check_jwks_uri,
    check_material,
    check_signing_alg,
    check_tls_subject,
)
from issuer.registry.claims import Claims
from issuer.registry.credentials import ClientSecret
from issuer.registry.errors import InvalidValue
from issuer.registry.federated_identity import FederatedIdentity, check_identities
from issuer.registry.grant_types import CLIENT_CREDENTIALS, GRANT_TYPES
from issuer.registry.names import ClientId, ResourceName
from issuer.registry.permission import ExchangePermission, ResourcePermission, check_exchanges
from issuer.registry.schema import (
    MODEL,
    Flag,
    Option,
    Registrable,
    ReuseWindow,
    Text,
    Time,
    TokenTtl,
    check_json_size,
    is_unset,
)

if TYPE_CHECKING:
    from issuer.registry.resource import TokenPolicy

_MAXIMUM_NAME_LENGTH = 255
_MAXIMUM_METADATA_BYTES = 4096


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


_ClientName = Annotated[
    Text,
    AfterValidator(_check_name),
    Field(json_schema_extra={"minLength": 1, "maxLength": _MAXIMUM_NAME_LENGTH}),
]
_Jwks = Annotated[dict[str, Any], AfterValidator(check_jwks)]
_JwksUri = Annotated[
    Text,
    AfterValidator(check_jwks_uri),
    Field(json_schema_extra={"format": "uri", "pattern": "^https://", "maxLength": 2048}),
]
_SigningAlg = Annotated[
    Text,
    AfterValidator(check_signing_alg),
    Field(json_schema_extra={"enum": list(ASSERTION_ALGORITHMS)}),
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
        MethodName, Registrable(), Option(flag="--auth", metavar="METHOD")
    ] = Field(default=AuthMethod.CLIENT_SECRET_BASIC, description="how it authenticates")
    jwks: Annotated[_Jwks | None, Registrable(), Option(flag="--jwks", metavar="FILE")] = Field(
        default=None, exclude_if=is_unset, description="its public keys, a JWK set"
    )
    jwks_uri: Annotated[
        _JwksUri | None, Registrable(), Option(flag="--jwks-uri", metavar="URL")
    ] = Field(
        default=None, exclude_if=is_unset, description="where it publishes its public keys; https"
    )
    token_endpoint_auth_signing_alg: Annotated[
        _SigningAlg | None, Registrable(), Option(flag="--auth-alg", metavar="ALG", unset=True)
    ] = Field(
        default=None,
        exclude_if=is_unset,
        description="the one algorithm of its assertions; any that a key of it fits if left out",
    )
    # RFC 8705 §2.1.2: a client of tls_client_auth has exactly one of these.
    tls_client_auth_subject_dn: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_dns: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_uri: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_ip: _TlsSubject = Field(default=None, exclude_if=is_unset)
    tls_client_auth_san_email: _TlsSubject = Field(default=None, exclude_if=is_unset)
    # RFC 7521 §4: tokens of other issuers that it proves itself by.
    federated_identities: Annotated[
        tuple[FederatedIdentity, ...],
        AfterValidator(check_identities),
        Option(
            flag="--federated-identity",
            metavar="JSON",
            help="Which token of which issuer it proves itself by: an object with issuer, subject,"
            " claims, audience, jwks_uri and jwks; repeat it for more. See --federated.",
        ),
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="which token of which issuer it proves itself by, without a secret",
    )
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
        given = [name for name in ALL_MATERIAL if not is_unset(getattr(self, name))]
        method = self.token_endpoint_auth_method
        check_material(method, given)
        if self.token_endpoint_auth_signing_alg and method is not AuthMethod.PRIVATE_KEY_JWT:
            raise InvalidValue(f"{method} has no token_endpoint_auth_signing_alg")
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
        usable = self.secrets if self.registration.token_endpoint_auth_method.sends_secret else ()
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
