"""Resources: the APIs that tokens are for, the scopes each understands, who is granted what.

A resource is named by its identifier URI (RFC 8707 §2); the same scope on two resources is two
different permissions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from issuer.registry.client import ResourcePermission
from issuer.registry.errors import InvalidValue, UnknownScope
from issuer.registry.token_policy import NO_POLICY, TokenPolicy
from issuer.scope import parse_scope
from keys.identifiers import check_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A protected API: its identifier, its scopes, what it asks of tokens.

    Raises:
        InvalidValue: a field is outside what the registry accepts.
    """

    identifier: str
    scopes: tuple[str, ...]
    policy: TokenPolicy = NO_POLICY

    def __post_init__(self) -> None:
        check_resource_identifier(self.identifier)
        check_scopes(self.scopes)
        if not self.scopes:
            raise InvalidValue("a resource needs at least one scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredResource:
    """A resource as it is registered; `revision` grows with every change in the registry."""

    resource: Resource
    created_at: int
    updated_at: int
    revision: int


def check_resource_identifier(text: str) -> None:
    """Refuse a resource identifier that RFC 8707 §2 does not allow.

    Raises:
        InvalidValue: it is not an absolute URI without fragment, of at most 2048 characters.
    """
    try:
        check_resource(text)
    except ValueError as error:
        raise InvalidValue(f"the resource identifier {text!a} {error}") from None


def check_scopes(scopes: Sequence[str]) -> None:
    """Refuse scopes that are not single tokens of RFC 6749 §3.3, or that are named twice.

    Raises:
        InvalidValue: naming the first such scope.
    """
    for scope in scopes:
        if not _is_scope_token(scope):
            raise InvalidValue(
                f"{scope!a} is not a scope: visible ASCII without space, quote and backslash"
            )
        if scopes.count(scope) > 1:
            raise InvalidValue(f"the scope {scope} is named twice")


def _is_scope_token(text: str) -> bool:
    try:
        return parse_scope(text) == (text,)
    except ValueError:
        return False


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
    check_scopes(scopes or ())
    for scope in scopes or ():
        if scope not in understood:
            raise UnknownScope(f"no such scope on {_names(resources)}: {scope}")
    each_once = _each_once(resources)
    return tuple(_grant(resource, wanted) for resource in each_once) if wanted else ()


def _grant(resource: Resource, wanted: set[str]) -> ResourcePermission:
    scopes = tuple(scope for scope in resource.scopes if scope in wanted)
    if not scopes:
        raise InvalidValue(f"the resource {resource.identifier} has none of the scopes asked for")
    return ResourcePermission(resource=resource.identifier, scopes=scopes)


def check_grant(grant: ResourcePermission, resource: Resource) -> None:
    """Refuse a grant of scopes that its resource does not understand.

    Raises:
        UnknownScope: naming the first such scope.
    """
    check_scopes(grant.scopes)
    for scope in grant.scopes:
        if scope not in resource.scopes:
            raise UnknownScope(f"no such scope on {resource.identifier}: {scope}")


def _each_once(resources: Sequence[Resource]) -> Sequence[Resource]:
    if len({resource.identifier for resource in resources}) < len(resources):
        raise InvalidValue("a resource is named twice")
    return resources


def _names(resources: Sequence[Resource]) -> str:
    return ", ".join(resource.identifier for resource in resources)
