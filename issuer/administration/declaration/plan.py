"""Decide the steps from the registry as it is to the registry as declared.

Resources grow first and shrink last, so that grants can move between them on the way. A registry
that is as declared needs no step.
"""

from collections.abc import Iterator
from dataclasses import replace

from issuer.administration.declaration.canonical import is_same_client, is_same_resource
from issuer.administration.declaration.conflicts import find_obstacles
from issuer.administration.declaration.errors import DeclarationRefused
from issuer.administration.declaration.resolved import ResolvedClient, ResolvedDeclaration
from issuer.administration.declaration.secret_plan import SecretPlan, plan_secrets
from issuer.administration.declaration.state import ApplyOptions, RegistryState
from issuer.administration.declaration.steps import (
    CreateClient,
    CreateResource,
    DeleteClient,
    DeleteResource,
    Plan,
    ReplaceClient,
    ReplaceResource,
    Step,
)
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import MAXIMUM_SECRETS
from issuer.registry.resource import Resource


def make_plan(declaration: ResolvedDeclaration, state: RegistryState, reach: ApplyOptions) -> Plan:
    """Plan what to do.

    Args:
        declaration: what should be.
        state: what is.
        reach: what happens to the rest.

    Raises:
        DeclarationRefused: it cannot be, for all the reasons named.
    """
    gone_clients = _gone_clients(declaration, state, reach)
    gone_resources = _gone_resources(declaration, state, reach)
    secrets = [_plan_secrets(client, state, reach) for client in declaration.clients]
    obstacles = find_obstacles(
        declaration,
        resources=_resources_after(declaration, state, gone_resources),
        gone={each.resource for each in gone_resources},
        staying=_staying(declaration, state, gone_clients),
    )
    if reasons := [*obstacles, *_too_many(secrets)]:
        raise DeclarationRefused(reasons)
    return Plan(
        steps=(
            *_growing(declaration, state),
            *_clients(declaration, state),
            *(step for each in secrets for step in each.steps),
            *(DeleteClient(client=client) for client in gone_clients),
            *_shrinking(declaration, state),
            *(DeleteResource(resource=resource) for resource in gone_resources),
        ),
        notes=(*(note for each in secrets for note in each.notes), *_powerless(declaration, state)),
    )


def _gone_clients(
    declaration: ResolvedDeclaration, state: RegistryState, reach: ApplyOptions
) -> list[Client]:
    if not reach.prune:
        return []
    kept = {each.registration.client_id for each in declaration.clients} | reach.kept_clients
    return [client for name, client in sorted(state.clients.items()) if name not in kept]


def _gone_resources(
    declaration: ResolvedDeclaration, state: RegistryState, reach: ApplyOptions
) -> list[Resource]:
    if not reach.prune:
        return []
    kept = {each.resource for each in declaration.resources} | reach.kept_resources
    return [resource for name, resource in sorted(state.resources.items()) if name not in kept]


def _plan_secrets(client: ResolvedClient, state: RegistryState, reach: ApplyOptions) -> SecretPlan:
    client_id = client.registration.client_id
    if client.secrets is None:
        return SecretPlan(client_id, (), state.now)
    present = state.clients.get(client_id)
    stored = present.secrets if present else ()
    return plan_secrets(client_id, client.secrets, stored, now=state.now, prune=reach.prune)


def _resources_after(
    declaration: ResolvedDeclaration, state: RegistryState, gone: list[Resource]
) -> dict[str, Resource]:
    declared = {each.resource: each for each in declaration.resources}
    names_gone = {each.resource for each in gone}
    kept = {name: each for name, each in state.resources.items() if name not in names_gone}
    return kept | declared


def _staying(
    declaration: ResolvedDeclaration, state: RegistryState, gone: list[Client]
) -> dict[str, ClientRegistration]:
    """Give the clients that stay as they are."""
    others = {each.registration.client_id for each in declaration.clients}
    others |= {each.client_id for each in gone}
    return {name: each.registration for name, each in state.clients.items() if name not in others}


def _too_many(secrets: list[SecretPlan]) -> Iterator[str]:
    for each in secrets:
        if each.is_too_much:
            yield (
                f"client {each.client_id}: it would have more than {MAXIMUM_SECRETS} secrets;"
                " revoke some first"
            )


def _growing(declaration: ResolvedDeclaration, state: RegistryState) -> Iterator[Step]:
    """Create resources and change those that are there, but for the scopes that they lose."""
    for after in declaration.resources:
        before = state.resources.get(after.resource)
        if before is None:
            yield CreateResource(resource=after)
            continue
        wide = _widened(before, after)
        if not is_same_resource(before, wide):
            yield ReplaceResource(before=before, after=wide)


def _shrinking(declaration: ResolvedDeclaration, state: RegistryState) -> Iterator[Step]:
    """Take from resources the scopes that they lose."""
    for after in declaration.resources:
        if before := state.resources.get(after.resource):
            wide = _widened(before, after)
            if not is_same_resource(wide, after):
                yield ReplaceResource(before=wide, after=after)


def _widened(before: Resource, after: Resource) -> Resource:
    return replace(after, scopes=tuple(dict.fromkeys([*after.scopes, *before.scopes])))


def _clients(declaration: ResolvedDeclaration, state: RegistryState) -> Iterator[Step]:
    for client in declaration.clients:
        after = client.registration
        present = state.clients.get(after.client_id)
        if present is None:
            yield CreateClient(registration=after)
        elif not is_same_client(present.registration, after):
            yield ReplaceClient(before=present.registration, after=after)


def _powerless(declaration: ResolvedDeclaration, state: RegistryState) -> Iterator[str]:
    """Yield a note on each new client that could not authenticate."""
    for client in declaration.clients:
        registration = client.registration
        is_new = registration.client_id not in state.clients
        if is_new and registration.token_endpoint_auth_method.uses_secret and not client.secrets:
            yield f"client {registration.client_id}: it has no secret yet, so it gets no token"
