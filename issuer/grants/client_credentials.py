"""The client credentials grant: a client gets a token for itself (RFC 6749 §4.4).

Pure. Chooses the resource that the token is for (RFC 8707 §2, RFC 9068 §3), the scope, the life and
the algorithm.
"""

from collections.abc import Iterable, Sequence

from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidScope,
    InvalidTarget,
    Reason,
    UnauthorizedClient,
    listing,
)
from issuer.grants.authorization import Authorization, Lookup
from issuer.grants.details import (
    Details,
    are_granted,
    check_details,
    parse_details,
    type_not_allowed,
)
from issuer.registry.client import Client
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.registry.schema import parse_scope
from issuer.token_request import TokenRequest
from keys.identifiers import check_resource, other_form


async def prepare(request: TokenRequest, client: Client, lookup: Lookup) -> None:
    """Do nothing: the client and its permissions are all that is decided from."""


def decide(
    request: TokenRequest, client: Client, config: IssuerConfig, facts: None
) -> Authorization:
    """Decide what the client gets.

    Raises:
        UnauthorizedClient: the client has nothing to be granted.
        InvalidTarget: the resource is malformed, unknown or not the client's.
        InvalidScope: the scope is malformed, or not all of it is the client's.
        InvalidAuthorizationDetails: they are malformed, or not all of them are the client's.
    """
    registration = client.registration
    if not registration.grants:
        raise UnauthorizedClient(Reason.NOTHING_GRANTED, client_id=registration.client_id)
    asked = asked_scopes(request, client)
    sent = request.authorization_details
    details = () if sent is None else parse_details(sent, registration.client_id)
    targets = _targets(request, client, asked, details)
    scopes = _granted_scopes(request, client, targets, asked, details)
    policies = [client.policies[each.resource] for each in targets]
    policy = _shared_policy(policies, client)
    return Authorization(
        # RFC 9068 §2.2: without a resource owner `sub` identifies the client.
        subject=registration.client_id,
        client_id=registration.client_id,
        resource=targets[0].resource,
        scopes=scopes,
        token_ttl=token_life(client, policies, config),
        alg=policy.signing_alg,
        # Most requests have none, and do without what checks them.
        authorization_details=check_details(details, targets, client) if details else (),
        further_resources=tuple([each.resource for each in targets[1:]]),
    )


def token_life(client: Client, policies: Iterable[TokenPolicy], config: IssuerConfig) -> int:
    """Return the life of a token in seconds: the shortest of the client's and the resources'.

    The configured one if none has any; none is longer than signing keys are published for.
    """
    lives = [client.registration.token_ttl]
    for each in policies:
        lives.append(each.token_ttl)
    told = [ttl for ttl in lives if ttl is not None] or (config.token_ttl,)
    return min(config.max_token_ttl, *told)


def asked_scopes(request: TokenRequest, client: Client) -> tuple[str, ...] | None:
    """Return the scopes that a request names; None if it names none.

    Raises:
        InvalidScope: the parameter is malformed.
    """
    if request.scope is None:
        return None
    try:
        return parse_scope(request.scope)
    except ValueError:
        raise InvalidScope(
            Reason.MALFORMED_SCOPE,
            "scope is malformed",
            client_id=client.client_id,
            asked=request.scope,
        ) from None


def _targets(
    request: TokenRequest, client: Client, asked: tuple[str, ...] | None, details: Details
) -> tuple[ResourcePermission, ...]:
    """Choose the resources: as asked, or the one that scope and details infer, or the default."""
    permissions = client.grants
    if request.resources:
        return named_targets(request.resources, client)
    if len(permissions) == 1 or (asked is None and not details):
        return permissions[:1]
    # RFC 9068 §3: without `resource` the audience is inferred from the scope, and from details as
    # well. The default resource goes first; if it does not fit, exactly one other must, since a
    # scope may mean different things to different resources.
    wanted = set(asked or ())
    having_scopes = [each for each in permissions if wanted <= set(each.scopes)]
    fitting = [each for each in having_scopes if are_granted(details, each)]
    if fitting[:1] == [permissions[0]] or len(fitting) == 1:
        return (fitting[0],)
    if details and having_scopes:
        raise type_not_allowed(details, having_scopes, client.client_id)
    granted = dict.fromkeys(scope for each in permissions for scope in each.scopes)
    raise scope_not_allowed(request, client, tuple(granted))


def _granted_scopes(
    request: TokenRequest,
    client: Client,
    targets: Sequence[ResourcePermission],
    asked: tuple[str, ...] | None,
    details: Details,
) -> tuple[str, ...]:
    if asked is not None:
        for each in targets:
            if not set(asked) <= set(each.scopes):
                # No silent down-scoping: the whole request fails (RFC 6749 §3.3).
                raise scope_not_allowed(request, client, each.scopes)
        return asked
    # RFC 9396 §3.1: details and scope are independent requirements. A request for details alone
    # gets nothing beside them: the default is for requests that name no right at all.
    if details:
        return ()
    # RFC 6749 §3.3: the documented default is what the client's permission names as such.
    first, *further = targets
    shared = first.defaults
    for each in further:
        shared = tuple(name for name in shared if name in each.defaults)
    if not shared:
        raise InvalidScope(
            Reason.SCOPE_NOT_ALLOWED,
            "these resources have no default scope in common: name one with scope",
            client_id=client.client_id,
        )
    return shared


def _shared_policy(policies: Sequence[TokenPolicy], client: Client) -> TokenPolicy:
    """Return the policy of a token: its algorithm and its constant claims can be one only."""
    first = policies[0]
    for each in policies[1:]:
        if (each.signing_alg, each.claims) != (first.signing_alg, first.claims):
            raise InvalidTarget(
                Reason.RESOURCES_DIFFER,
                "these resources cannot share a token: their algorithms or claims differ",
                client_id=client.client_id,
            )
    return first


def named_targets(resources: tuple[str, ...], client: Client) -> tuple[ResourcePermission, ...]:
    """Return what the client may ask for on the resources that a request names.

    Raises:
        InvalidTarget: one is malformed, unknown or not the client's.
    """
    # RFC 8707 §2 lets `resource` repeat; a token for two resources can be replayed from one to the
    # other, so that an operator has to allow it.
    if len(resources) == 1 or client.registration.several_resources:
        granted = {permission.resource: permission for permission in client.grants}
        # Byte for byte first; then `https://host/` finds `https://host`, and the other way round
        # (RFC 3986 §6.2.3).
        found = [granted.get(each) or granted.get(other_form(each) or "") for each in resources]
        known = tuple([each for each in found if each is not None])
        if len(known) == len(found):
            return known if len(known) == 1 else tuple(dict.fromkeys(known))
    raise InvalidTarget(
        Reason.INVALID_TARGET,
        _target_fault(resources, client),
        client_id=client.client_id,
        asked=" ".join(resources),
    )


def _target_fault(resources: tuple[str, ...], client: Client) -> str:
    if len(resources) > 1 and not client.registration.several_resources:
        return "one resource for each token"
    try:
        for each in resources:
            check_resource(each)
    except ValueError:
        return "resource must be an absolute URI without a fragment"
    # Whether the resource exists is not told: only what this client has.
    return listing(
        "this client may ask for the resources", (each.resource for each in client.grants)
    )


def scope_not_allowed(
    request: TokenRequest, client: Client, granted: tuple[str, ...]
) -> InvalidScope:
    """Refuse scopes that are not all among those that this request could have had."""
    if set((request.scope or "").split(" ")) <= set(granted):
        description = "the scopes belong to several resources: name one with resource"
    else:
        description = listing("this client may ask for", granted)
    return InvalidScope(
        Reason.SCOPE_NOT_ALLOWED, description, client_id=client.client_id, asked=request.scope
    )
