"""The client credentials grant: a client gets a token for itself (RFC 6749 §4.4).

Pure. Chooses the one resource that the token is for (RFC 8707 §2, RFC 9068 §3), the scope, the life
and the algorithm.
"""

import re
from collections.abc import Iterable

from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidDpopProof,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    Reason,
    UnauthorizedClient,
)
from issuer.grants.authorization import Authorization
from issuer.registry.client import Client
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.registry.schema import parse_scope
from issuer.token_request import TokenRequest
from keys.identifiers import check_resource, other_form

_LONGEST_LISTING = 400  # characters
# RFC 6749 §5.2: error_description = 1*( %x20-21 / %x23-5B / %x5D-7E )
_NOT_DESCRIBABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


async def prepare(request: TokenRequest, client: Client) -> None:
    """Do nothing: the client and its permissions are all that is decided from."""


def decide(
    request: TokenRequest, client: Client, config: IssuerConfig, facts: None = None
) -> Authorization:
    """Decide what the client gets.

    Raises:
        UnauthorizedClient: the client has nothing to be granted.
        InvalidTarget: the resource is malformed, unknown or not the client's.
        InvalidScope: the scope is malformed, or not all of it is the client's.
        InvalidDpopProof: the token would have to be bound to a key, and there is no proof of one.
        InvalidRequest: the token would have to be bound to a certificate, and there is none.
    """
    registration = client.registration
    if not registration.grants:
        raise UnauthorizedClient(Reason.NOTHING_GRANTED, client_id=registration.client_id)
    asked = _asked_scopes(request, client)
    allowed = _target(request, registration.grants, asked, client)
    if asked is not None and not set(asked) <= set(allowed.scopes):
        # No silent down-scoping: the whole request fails (RFC 6749 §3.3).
        raise _scope_not_allowed(request, client, allowed.scopes)
    policy = client.policies[allowed.resource]
    _require_binding(client, policy)
    # The shorter of the client's and the resource's life; the configured one if neither has one.
    # None is longer than signing keys are published for.
    lives = [ttl for ttl in (registration.token_ttl, policy.token_ttl) if ttl is not None]
    return Authorization(
        # RFC 9068 §2.2: without a resource owner `sub` identifies the client.
        subject=registration.client_id,
        client_id=registration.client_id,
        resource=allowed.resource,
        # RFC 6749 §3.3: the documented default is what the client's permission names as such.
        scopes=allowed.defaults if asked is None else asked,
        token_ttl=min(config.max_token_ttl, *(lives or (config.token_ttl,))),
        alg=policy.signing_alg,
    )


def _asked_scopes(request: TokenRequest, client: Client) -> tuple[str, ...] | None:
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


def _target(
    request: TokenRequest,
    permissions: tuple[ResourcePermission, ...],
    asked: tuple[str, ...] | None,
    client: Client,
) -> ResourcePermission:
    """Choose the one resource: as asked, or inferred from the scope, or the client's default."""
    if request.resources:
        return _named_target(request.resources, client)
    if asked is None or len(permissions) == 1:
        return permissions[0]
    # RFC 9068 §3: without `resource` the audience is inferred from the scope. The default resource
    # goes first; if it does not fit, exactly one other must, since a scope may mean different
    # things to different resources.
    fitting = [each for each in permissions if set(asked) <= set(each.scopes)]
    if fitting[:1] == [permissions[0]] or len(fitting) == 1:
        return fitting[0]
    granted = dict.fromkeys(scope for each in permissions for scope in each.scopes)
    raise _scope_not_allowed(request, client, tuple(granted))


def _named_target(resources: tuple[str, ...], client: Client) -> ResourcePermission:
    # RFC 8707 §2 lets `resource` repeat; this issuer's tokens have one audience each, since a token
    # for two resources could be replayed from one to the other.
    if len(resources) == 1:
        granted = {permission.resource: permission for permission in client.grants}
        # Byte for byte first; then `https://host/` finds `https://host`, and the other way round
        # (RFC 3986 §6.2.3).
        found = granted.get(resources[0]) or granted.get(other_form(resources[0]) or "")
        if found is not None:
            return found
    raise InvalidTarget(
        Reason.INVALID_TARGET,
        _target_fault(resources, client),
        client_id=client.client_id,
        asked=" ".join(resources),
    )


def _target_fault(resources: tuple[str, ...], client: Client) -> str:
    if len(resources) > 1:
        return "one resource for each token"
    try:
        check_resource(resources[0])
    except ValueError:
        return "resource must be an absolute URI without a fragment"
    # Whether the resource exists is not told: only what this client has.
    return _listing(
        "this client may ask for the resources", (each.resource for each in client.grants)
    )


def _scope_not_allowed(
    request: TokenRequest, client: Client, granted: tuple[str, ...]
) -> InvalidScope:
    if set((request.scope or "").split(" ")) <= set(granted):
        description = "the scopes belong to several resources: name one with resource"
    else:
        description = _listing("this client may ask for", granted)
    return InvalidScope(
        Reason.SCOPE_NOT_ALLOWED, description, client_id=client.client_id, asked=request.scope
    )


def _listing(words: str, granted: Iterable[str]) -> str:
    """List what a client is granted, in the characters and the length that an answer may have."""
    listed = _NOT_DESCRIBABLE.sub("?", " ".join(granted))
    if len(listed) > _LONGEST_LISTING:
        listed = listed[:_LONGEST_LISTING] + "..."
    return f"{words}: {listed}"


def _require_binding(client: Client, policy: TokenPolicy) -> None:
    """Refuse a Bearer token where a bound one is required; this version cannot bind any.

    RFC 9449 §5.2, RFC 8705 §3.4: what MUST be bound is never issued unbound.
    """
    registration = client.registration
    if registration.dpop_bound_access_tokens or policy.dpop_bound_access_tokens_required:
        raise InvalidDpopProof(
            Reason.DPOP_REQUIRED, "a DPoP proof is required", client_id=client.client_id
        )
    if (
        registration.tls_client_certificate_bound_access_tokens
        or policy.tls_client_certificate_bound_access_tokens
    ):
        raise InvalidRequest(
            Reason.CERTIFICATE_REQUIRED,
            "a client certificate is required",
            client_id=client.client_id,
        )
