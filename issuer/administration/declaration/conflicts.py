"""What stands in the way of a declaration: grants on what is not there, or is about to go."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping

from issuer.administration.declaration.resolved import ResolvedDeclaration
from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource

_NAMED_AT_MOST = 3


def find_obstacles(
    declaration: ResolvedDeclaration,
    *,
    resources: Mapping[str, Resource],
    gone: Container[str],
    staying: Mapping[str, ClientRegistration],
) -> Iterator[str]:
    """Yield a line for each grant, or scope of one, that would hang in the air.

    Args:
        declaration: what should be.
        resources: all resources that there will be.
        gone: those that there are, but will not be.
        staying: clients that the declaration does not name and that stay as they are.
    """
    for client in declaration.clients:
        for resource, scope in _hanging(client.registration, resources):
            why = _absent(resource, scope, gone)
            yield f"client {client.registration.client_id}: {why}"
    holders = defaultdict[tuple[str, str | None], list[str]](list)
    for client_id, registration in sorted(staying.items()):
        for hanging in _hanging(registration, resources):
            holders[hanging].append(client_id)
    for (resource, scope), clients in holders.items():
        what = resource if scope is None else f"{scope} on {resource}"
        yield f"{what} cannot go: it is granted to {_names(clients)}, which the file does not name"


def _hanging(
    registration: ClientRegistration, resources: Mapping[str, Resource]
) -> Iterator[tuple[str, str | None]]:
    for grant in registration.grants:
        resource = resources.get(grant.resource)
        if resource is None:
            yield grant.resource, None
            continue
        for scope in grant.scopes:
            if scope not in resource.scopes:
                yield grant.resource, scope


def _absent(resource: str, scope: str | None, gone: Container[str]) -> str:
    if scope is not None:
        return f"no such scope on {resource}: {scope}"
    if resource in gone:
        return f"its resource {resource} would be pruned; name it in the file"
    return f"no such resource: {resource}"


def _names(clients: list[str]) -> str:
    more = len(clients) - _NAMED_AT_MOST
    named = ", ".join(clients[:_NAMED_AT_MOST])
    return named if more <= 0 else f"{named} and {more} more"
