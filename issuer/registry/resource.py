"""Resources: the APIs that tokens are for, the scopes each understands, who is granted what.

A resource is named by its identifier URI (RFC 8707 §2); the same scope on two resources is two
different permissions.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.auth_methods import MethodName
from issuer.registry.authorization_details import DetailsType, check_types
from issuer.registry.claims import Claims
from issuer.registry.client_description import Facts
from issuer.registry.errors import InvalidValue, UnknownScope
from issuer.registry.names import ResourceName
from issuer.registry.permission import ResourcePermission, Right, rights_of
from issuer.registry.schema import (
    MODEL,
    SCOPE_TOKEN_PATTERN,
    Flag,
    Json,
    Option,
    ReuseWindow,
    Text,
    TokenTtl,
    is_scope_token,
    is_unset,
    write,
    write_time,
)
from keys.key_types import ALGORITHMS


def check_signing_alg(name: str) -> str:
    """Return a JWS algorithm unchanged if tokens can be signed with it.

    Raises:
        InvalidValue: it is not in the table (RFC 8725 §3.1).
    """
    if name not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InvalidValue(f"{name!a} is no signing algorithm here; use one of {known}")
    return name


def check_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return scopes unchanged if each is a single token of RFC 6749 §3.3 and named once.

    Raises:
        InvalidValue: naming the first scope that is not.
    """
    for scope in scopes:
        if not is_scope_token(scope):
            raise InvalidValue(
                f"{scope!a} is not a scope: visible ASCII without space, quote and backslash"
            )
        if scopes.count(scope) > 1:
            raise InvalidValue(f"the scope {scope} is named twice")
    return scopes


def _check_own_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    if not scopes:
        raise InvalidValue("a resource needs at least one scope")
    return check_scopes(scopes)


_SigningAlg = Annotated[
    Text, AfterValidator(check_signing_alg), Field(json_schema_extra={"enum": list(ALGORITHMS)})
]
_Scope = Annotated[Text, Field(json_schema_extra={"pattern": SCOPE_TOKEN_PATTERN})]


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class TokenPolicy:
    """How tokens for one resource are made; the names of the requirements are of RFC 9728 §2."""

    token_ttl: Annotated[
        TokenTtl | None, Option(flag="--token-ttl", metavar="DURATION", unset=True)
    ] = Field(default=None, description="life of tokens for it in seconds")
    reuse_window: Annotated[
        ReuseWindow | None, Option(flag="--reuse-window", metavar="DURATION", unset=True)
    ] = Field(
        default=None,
        exclude_if=is_unset,
        description="seconds during which the same request gets the same token again",
    )
    signing_alg: Annotated[_SigningAlg | None, Option(flag="--alg", metavar="ALG", unset=True)] = (
        Field(default=None, description="how tokens for it are signed")
    )
    dpop_bound_access_tokens_required: Annotated[Flag, Option(flag="--dpop/--no-dpop")] = Field(
        default=False, description="only DPoP-bound tokens"
    )
    tls_client_certificate_bound_access_tokens: Annotated[
        Flag, Option(flag="--certificate-bound/--no-certificate-bound")
    ] = Field(default=False, description="only certificate-bound tokens")
    auth_methods: Annotated[
        tuple[MethodName, ...],
        Option(
            flag="--auth-method",
            metavar="METHOD",
            unset=True,
            help="A method of client authentication that it takes tokens of; repeat it for all.",
        ),
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="only tokens of clients that authenticated by one of these methods",
    )
    status_list: Annotated[Flag, Option(flag="--status-list/--no-status-list")] = Field(
        default=True,
        exclude_if=bool,
        description="tokens for it have a place on a status list, so that they can be revoked",
    )
    claims: Annotated[Claims, Option(flag="--claims", metavar="FILE", unset=True)] = Field(
        default_factory=dict,
        exclude_if=is_unset,
        description="constant claims of tokens for it, by name",
    )
    # RFC 9396 §10 has the name, for metadata of clients.
    authorization_details_types: Annotated[
        tuple[DetailsType, ...],
        AfterValidator(check_types),
        Option(
            flag="--authorization-details-type",
            metavar="TYPE=FILE",
            unset=True,
            help="A type of authorization details that it understands, and the file with the JSON"
            " Schema of its objects; repeat it for all that it shall have.",
        ),
    ] = Field(
        default=(),
        exclude_if=is_unset,
        description="the types of authorization details that it understands",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class Resource(TokenPolicy):
    """A protected API as an operator wants it: its identifier, its scopes, its token policy."""

    resource: ResourceName = Field(description="its identifier: an absolute URI without fragment")
    scopes: Annotated[
        tuple[_Scope, ...],
        AfterValidator(_check_own_scopes),
        Option(flag="--scope", metavar="SCOPE"),
    ] = Field(
        description="the scopes that it understands",
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )

    @property
    def rights(self) -> tuple[Right, ...]:
        """What can be granted on it."""
        return rights_of(self.scopes, (each.type for each in self.authorization_details_types))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredResource:
    """A resource as it is registered; `revision` grows with every change in the registry."""

    resource: Resource
    created_at: int
    updated_at: int
    revision: int


def decide_grants(
    resources: Sequence[Resource], scopes: Sequence[str] | None
) -> tuple[ResourcePermission, ...]:
    """Give each resource those of the scopes that it understands; nothing if none is named.

    Args:
        resources: what the client asks tokens for, its default resource first.
        scopes: the scopes asked for; None for every scope of every resource.

    Raises:
        UnknownScope: a scope is on none of the resources.
        InvalidValue: a resource understands none of the scopes; something is malformed or named
            twice.
    """
    understood = {scope for resource in resources for scope in resource.scopes}
    wanted = understood if scopes is None else set(scopes)
    check_scopes(tuple(scopes or ()))
    for scope in scopes or ():
        if scope not in understood:
            named = ", ".join(resource.resource for resource in resources)
            raise UnknownScope(f"no such scope on {named}: {scope}")
    if len({resource.resource for resource in resources}) < len(resources):
        raise InvalidValue("a resource is named twice")
    return tuple(_grant(resource, wanted) for resource in resources) if wanted else ()


def _grant(resource: Resource, wanted: set[str]) -> ResourcePermission:
    scopes = tuple(scope for scope in resource.scopes if scope in wanted)
    if not scopes:
        raise InvalidValue(f"the resource {resource.resource} has none of the scopes asked for")
    return ResourcePermission(resource=resource.resource, scopes=scopes)


def check_grant(grant: ResourcePermission, resource: Resource) -> None:
    """Refuse a grant of scopes, or types, that its resource does not understand.

    Raises:
        UnknownScope: naming the first of them.
    """
    check_scopes(grant.scopes)
    for right in grant.rights:
        if right not in resource.rights:
            raise UnknownScope(f"no such {right.kind} on {resource.resource}: {right.name}")


def describe_resource(resource: Resource) -> Json:
    """Describe what an operator decides of a resource; `schema.read` reads it back."""
    return {"resource": resource.resource, "scopes": list(resource.scopes), **write(resource)}


def describe_registered_resource(registered: RegisteredResource) -> Json:
    """Describe a registered resource with its times."""
    return {
        **describe_resource(registered.resource),
        "created_at": write_time(registered.created_at),
        "updated_at": write_time(registered.updated_at),
    }


def facts_of_resource(resource: Resource) -> Facts:
    """Take a resource apart into facts that are equal exactly if they mean the same."""
    types = {each.type: each.schema for each in resource.authorization_details_types}
    described = describe_resource(resource) | {
        "scopes": sorted(resource.scopes),
        "authorization_details_types": sorted(types),
        # As text, since Python holds 1, 1.0 and true for equal.
        **{f"schema of {name}": json.dumps(types[name], sort_keys=True) for name in types},
    }
    del described["resource"]
    return {(name, None): value for name, value in described.items()}
