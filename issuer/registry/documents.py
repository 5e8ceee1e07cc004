"""Read what operators write of clients and resources: strict JSON-like documents.

The shapes that `representation` writes. The administration API, the command line and declarations
all read through here; the JSON Schemas that editors and OpenAPI get are made from these models.
Unknown members are refused: a mistyped name that is ignored is a hole with a delay.
"""

from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from issuer.registry.auth_method import (
    TLS_SUBJECTS,
    AuthMaterial,
    AuthMethod,
    check_jwks,
    check_jwks_uri,
)
from issuer.registry.client import (
    GRANT_TYPES,
    ClientRegistration,
    ResourcePermission,
    check_client_id,
    check_display_name,
    check_grant_type,
    check_metadata,
)
from issuer.registry.errors import InvalidValue
from issuer.registry.resource import Resource, check_resource_identifier, check_scopes
from issuer.registry.rfc3339 import check_time, parse_time
from issuer.registry.token_policy import TokenPolicy, check_signing_alg, check_token_ttl
from issuer.scope import parse_scope

T = TypeVar("T")


def accepted_by(check: Callable[[T], object]) -> AfterValidator:
    """Refuse what a check of the registry refuses; pydantic wants refusals as `ValueError`."""

    def accept(value: T) -> T:
        try:
            check(value)
        except InvalidValue as error:
            raise ValueError(str(error)) from None
        return value

    return AfterValidator(accept)


def _is_scope(text: str) -> str:
    try:
        parse_scope(text)
    except ValueError:
        raise ValueError(
            "must be scopes with single spaces between, visible ASCII without quote and backslash"
        ) from None
    return text


def _is_method(text: str) -> str:
    if text not in {method.value for method in AuthMethod}:
        raise ValueError("must be one of " + ", ".join(AuthMethod))
    return text


def _check_time_text(text: str) -> None:
    check_time(parse_time(text))


ScopeText = Annotated[str, AfterValidator(_is_scope)]
TimeText = Annotated[
    str, accepted_by(_check_time_text), Field(json_schema_extra={"format": "date-time"})
]
# Checked one by one, beside what `build` checks of the whole, so that all mistakes show at once.
_ClientId = Annotated[str, accepted_by(check_client_id)]
_Name = Annotated[str, accepted_by(check_display_name)]
_Method = Annotated[str, AfterValidator(_is_method)]
_Jwks = Annotated[dict[str, Any], accepted_by(check_jwks)]
_JwksUri = Annotated[str, accepted_by(check_jwks_uri)]
_GrantType = Annotated[str, accepted_by(check_grant_type)]
_Lifetime = Annotated[int, accepted_by(check_token_ttl)]
_SigningAlg = Annotated[str, accepted_by(check_signing_alg)]
_Metadata = Annotated[dict[str, Any], accepted_by(check_metadata)]


class Document(BaseModel):
    """A document without unknown members and without conversions: `"1"` is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class GrantDocument(Document):
    """What a client may ask for on one resource."""

    resource: str = Field(description="the resource's identifier")
    scope: ScopeText = Field(description="scopes that it may ask for, with spaces between")
    default_scope: ScopeText | None = Field(
        None, description="what a request that names no scope gets; all of `scope` if left out"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.grant()
        except InvalidValue as error:
            raise ValueError(str(error)) from None
        return self

    def grant(self) -> ResourcePermission:
        """Build the grant.

        Raises:
            InvalidValue: a default scope is not among the scopes.
        """
        return ResourcePermission(
            resource=self.resource,
            scopes=parse_scope(self.scope),
            default_scopes=None if self.default_scope is None else parse_scope(self.default_scope),
        )


class ClientDocument(Document):
    """A client as an operator wants it (RFC 7591 §2 where it has a name for it)."""

    client_id: _ClientId = Field(description="1 to 255 visible ASCII characters without space")
    client_name: _Name | None = Field(None, description="a name for people")
    token_endpoint_auth_method: _Method = Field(
        AuthMethod.CLIENT_SECRET_BASIC.value,
        description="how it authenticates",
        json_schema_extra={"enum": [method.value for method in AuthMethod]},
    )
    jwks: _Jwks | None = Field(None, description="its public JWK set")
    jwks_uri: _JwksUri | None = Field(None, description="where it publishes its JWK set; https")
    tls_client_auth_subject_dn: str | None = None
    tls_client_auth_san_dns: str | None = None
    tls_client_auth_san_uri: str | None = None
    tls_client_auth_san_ip: str | None = None
    tls_client_auth_san_email: str | None = None
    grant_types: list[_GrantType] = Field(
        list(GRANT_TYPES), description="grant types that it may use; none refuses them all"
    )
    grants: list[GrantDocument] = Field(
        default_factory=list, description="what it may ask for, its default resource first"
    )
    token_ttl: _Lifetime | None = Field(None, description="life of its tokens in seconds")
    dpop_bound_access_tokens: bool = Field(False, description="only DPoP-bound tokens")
    tls_client_certificate_bound_access_tokens: bool = Field(
        False, description="only certificate-bound tokens"
    )
    disabled: bool = Field(False, description="refuse it")
    expires_at: TimeText | None = Field(None, description="refuse it from then on")
    metadata: _Metadata = Field(default_factory=dict, description="free-form notes of its owner")

    @model_validator(mode="after")
    def _check(self) -> Self:
        subjects = [name for name in TLS_SUBJECTS if getattr(self, name) is not None]
        if len(subjects) > 1:
            raise ValueError(f"only one of {', '.join(subjects)}")
        return self

    def build(self) -> ClientRegistration:
        """Build the registration.

        Raises:
            InvalidValue: a value is outside what the registry accepts.
        """
        return ClientRegistration(
            client_id=self.client_id,
            display_name=self.client_name,
            auth_method=AuthMethod(self.token_endpoint_auth_method),
            material=self._material(),
            grant_types=tuple(self.grant_types),
            grants=tuple(each.grant() for each in self.grants),
            token_ttl=self.token_ttl,
            dpop_bound=self.dpop_bound_access_tokens,
            certificate_bound=self.tls_client_certificate_bound_access_tokens,
            disabled=self.disabled,
            expires_at=None if self.expires_at is None else parse_time(self.expires_at),
            metadata=self.metadata,
        )

    def _material(self) -> AuthMaterial:
        subjects = [
            (name, value) for name in TLS_SUBJECTS if (value := getattr(self, name)) is not None
        ]
        return AuthMaterial(
            jwks=self.jwks, jwks_uri=self.jwks_uri, tls_subject=next(iter(subjects), None)
        )


class ResourceDocument(Document):
    """A resource as an operator wants it."""

    resource: Annotated[str, accepted_by(check_resource_identifier)] = Field(
        description="its identifier: an absolute URI without fragment"
    )
    scopes: Annotated[list[str], accepted_by(check_scopes)] = Field(
        min_length=1, description="the scopes that it understands"
    )
    token_ttl: _Lifetime | None = Field(None, description="life of tokens for it in seconds")
    signing_alg: _SigningAlg | None = Field(None, description="how tokens for it are signed")
    dpop_bound_access_tokens_required: bool = Field(False, description="only DPoP-bound tokens")
    tls_client_certificate_bound_access_tokens: bool = Field(
        False, description="only certificate-bound tokens"
    )

    def build(self) -> Resource:
        """Build the resource.

        Raises:
            InvalidValue: a value is outside what the registry accepts.
        """
        return Resource(
            identifier=self.resource,
            scopes=tuple(self.scopes),
            policy=TokenPolicy(
                token_ttl=self.token_ttl,
                signing_alg=self.signing_alg,
                dpop_required=self.dpop_bound_access_tokens_required,
                certificate_required=self.tls_client_certificate_bound_access_tokens,
            ),
        )
