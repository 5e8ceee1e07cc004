"""Clients and resources in a form that is equal exactly if they mean the same.

The order of scopes means nothing, and neither does that of grants after the first, which names the
default resource.
"""

from collections.abc import Mapping
from typing import Any

from issuer.registry.client import ClientRegistration, ResourcePermission
from issuer.registry.representation import describe_registration, describe_resource
from issuer.registry.resource import Resource

Key = tuple[str, str | None]
"""The name of a fact and, for one of a grant, the resource that it is on."""

Facts = Mapping[Key, Any]


def facts_of_client(registration: ClientRegistration) -> Facts:
    """Take a registration apart into what can differ by itself."""
    described = describe_registration(registration)
    del described["client_id"], described["grants"]
    described["grant_types"] = sorted(registration.grant_types)
    facts: dict[Key, Any] = {(name, None): value for name, value in described.items()}
    if registration.grants:
        facts[("default_resource", None)] = registration.grants[0].resource
    for grant in registration.grants:
        facts[("scope", grant.resource)] = sorted(grant.scopes)
        if (defaults := _chosen_defaults(grant)) is not None:
            facts[("default_scope", grant.resource)] = defaults
    return facts


def _chosen_defaults(grant: ResourcePermission) -> list[str] | None:
    """Give the default scopes, unless they are all that is granted, as without any choice."""
    return None if set(grant.defaults) == set(grant.scopes) else sorted(grant.defaults)


def facts_of_resource(resource: Resource) -> Facts:
    """Take a resource apart into what can differ by itself."""
    described = describe_resource(resource)
    del described["resource"]
    described["scopes"] = sorted(resource.scopes)
    return {(name, None): value for name, value in described.items()}


def is_same_client(one: ClientRegistration, other: ClientRegistration) -> bool:
    """Tell whether two registrations mean the same."""
    return not changed_facts(facts_of_client(one), facts_of_client(other))


def is_same_resource(one: Resource, other: Resource) -> bool:
    """Tell whether two resources mean the same."""
    return not changed_facts(facts_of_resource(one), facts_of_resource(other))


def changed_facts(before: Facts, after: Facts) -> list[Key]:
    """List what differs; an absent fact and one that is null are the same."""
    return [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
