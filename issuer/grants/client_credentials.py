"""What an authenticated client is granted, by grant type (RFC 6749 §4.4, RFC 8707 §2, RFC 9068 §3).

Pure. A grant type is a function in `GRANTS`; a type that is not in the table is unsupported.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidDpopProof,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    Reason,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from issuer.registry.client import CLIENT_CREDENTIALS, Client, ResourcePermission
from issuer.registry.token_policy import TokenPolicy
from issuer.scope import parse_scope
from issuer.token_request import TokenRequest
from keys.identifiers import check_resource, other_form

_LONGEST = 400
_UNSPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token will say: who, for which resource, which scopes, how long in seconds.

    `signing_alg` is what the resource wants it signed with, None for the configured algorithm.
    """

    client_id: str
    resource: str
    scopes: tuple[str, ...]
    token_ttl: int
    signing_alg: str | None = None


def decide_grant(request: TokenRequest, client: Client, config: IssuerConfig) -> Grant:
    """Decide what the client gets.

    Raises:
        InvalidRequest: `grant_type` is missing.
        UnsupportedGrantType: nobody gets this grant here.
        UnauthorizedClient: this client may not use the grant, or has nothing to be granted.
        InvalidTarget: the resource is malformed, unknown or not the client's.
        InvalidScope: the scope is malformed, or not all of it is the client's.
        InvalidDpopProof: the token would have to be bound to a key, and there is no proof of one.
    """
    if request.grant_type is None:
        raise InvalidRequest(
            Reason.GRANT_TYPE_MISSING, "grant_type is missing", client_id=client.client_id
        )
    decide = GRANTS.get(request.grant_type)
    if decide is None:
        raise UnsupportedGrantType(Reason.UNSUPPORTED_GRANT, client_id=client.client_id)
    if request.grant_type not in client.registration.grant_types:
        raise UnauthorizedClient(Reason.GRANT_NOT_ALLOWED, client_id=client.client_id)
    return decide(request, client, config)


def client_credentials(request: TokenRequest, client: Client, config: IssuerConfig) -> Grant:
    """Grant the client a token for itself (RFC 6749 §4.4)."""
    if not client.grants:
        raise UnauthorizedClient(Reason.NOTHING_GRANTED, client_id=client.client_id)
    asked = _asked_scopes(request, client)
    allowed = _target(request, client, asked)
    if asked is not None and not set(asked) <= set(allowed.scopes):
        # No silent down-scoping: the whole request fails (RFC 6749 §3.3).
        raise _scope_not_allowed(request, client, allowed.scopes)
    policy = client.policies[allowed.resource]
    _require_binding(client, policy)
    lifetimes = [ttl for ttl in (client.registration.token_ttl, policy.token_ttl) if ttl]
    return Grant(
        client_id=client.client_id,
        resource=allowed.resource,
        # RFC 6749 §3.3: our documented default is what the client's grant names as such.
        scopes=allowed.defaults if asked is None else asked,
        token_ttl=min(lifetimes, default=config.token_ttl),
        signing_alg=policy.signing_alg,
    )


GRANTS: Mapping[str, Callable[[TokenRequest, Client, IssuerConfig], Grant]] = {
    CLIENT_CREDENTIALS: client_credentials
}


def _require_binding(client: Client, policy: TokenPolicy) -> None:
    """Refuse a Bearer token where a bound one is asked for; none can be bound in this version.

    RFC 9449 §5.2, RFC 8705 §3.4: what MUST be bound is never issued unbound.
    """
    if client.registration.dpop_bound_access_tokens or policy.dpop_bound_access_tokens_required:
        raise InvalidDpopProof(
            Reason.DPOP_REQUIRED, "a DPoP proof is required", client_id=client.client_id
        )
    if (
        client.registration.tls_client_certificate_bound_access_tokens
        or policy.tls_client_certificate_bound_access_tokens
    ):
        raise InvalidRequest(
            Reason.CERTIFICATE_REQUIRED,
            "a client certificate is required",
            client_id=client.client_id,
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
    request: TokenRequest, client: Client, asked: tuple[str, ...] | None
) -> ResourcePermission:
    """Choose the one resource: as asked, or inferred from the scope, or the client's default."""
    if request.resources:
        return _named_target(request.resources, client)
    if asked is None:
        return client.grants[0]
    # RFC 9068 §3: without `resource` the audience is inferred from the scope, the default first.
    fitting = [grant for grant in client.grants if set(asked) <= set(grant.scopes)]
    if fitting[:1] == [client.grants[0]] or len(fitting) == 1:
        return fitting[0]
    raise _scope_not_allowed(
        request, client, tuple(dict.fromkeys(scope for g in client.grants for scope in g.scopes))
    )


def _scope_not_allowed(
    request: TokenRequest, client: Client, granted: tuple[str, ...]
) -> InvalidScope:
    if set((request.scope or "").split(" ")) <= set(granted):
        told = "the scopes belong to several resources: name one with resource"
    else:
        told = _listing("this client may ask for", granted)
    return InvalidScope(
        Reason.SCOPE_NOT_ALLOWED, told, client_id=client.client_id, asked=request.scope
    )


def _listing(words: str, granted: Iterable[str]) -> str:
    """List what a client is granted, in the characters and the length that an answer may have."""
    listed = _UNSPEAKABLE.sub("?", " ".join(granted))  # RFC 6749 §5.2
    return f"{words}: {listed if len(listed) <= _LONGEST else listed[:_LONGEST] + '...'}"


def _named_target(resources: tuple[str, ...], client: Client) -> ResourcePermission:
    if len(resources) == 1:
        granted = {grant.resource: grant for grant in client.grants}
        # Byte for byte first; then `https://host/` finds `https://host`, and the other way round.
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
    # Whether there is such a resource is not said: only what this client has.
    return _listing("this client may ask for the resources", (g.resource for g in client.grants))
