"""Token exchange: a service trades a token that a caller sent it for one for the next service.

RFC 8693. The new token has the caller as its subject and the service as its actor (`act`), and is
narrower than what was shown in every respect: what it is for, its scope and its life. Only tokens
of this issuer are taken. Claims of the subject token are not copied.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from issuer.config import IssuerConfig
from issuer.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    Reason,
    TemporarilyUnavailable,
    UnauthorizedClient,
)
from issuer.grants.authorization import Authorization, Lookup
from issuer.grants.client_credentials import (
    asked_scopes,
    named_targets,
    scope_not_allowed,
    token_life,
)
from issuer.own_tokens import NotOwnToken, OwnToken
from issuer.registry.client import Client
from issuer.registry.errors import StoreUnavailable
from issuer.registry.permission import ExchangePermission
from issuer.token_request import TokenRequest
from keys.identifiers import other_form

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
_JWT = "urn:ietf:params:oauth:token-type:jwt"
TOKEN_TYPES = (ACCESS_TOKEN, _JWT)
"""RFC 8693 §3: what is taken and given; an access token here is a JWT, so it has both names."""

# One answer to a token that is not ours or not live, and to one that was sent to another: a client
# must not learn of tokens that are none of its business. The log has the reason.
_NOT_EXCHANGEABLE = "the subject token is not a live token of this issuer for this client"


class Facts(NamedTuple):
    """What a decision needs: the token that was shown, and seconds until its end."""

    subject: OwnToken
    left: int


async def prepare(request: TokenRequest, client: Client, lookup: Lookup) -> Facts:
    """Verify the tokens that were sent, and see that no client behind the subject has ended.

    Raises:
        UnauthorizedClient: the client may exchange nothing.
        InvalidRequest: a parameter is missing or has a type that is not taken; a token is not a
            live one of this issuer; a client that the subject token names is gone, disabled or
            expired.
        TemporarilyUnavailable: the store would have to be asked and cannot answer.
    """
    client_id = client.client_id
    if not client.registration.token_exchange:
        why = "this client may exchange no tokens"
        raise UnauthorizedClient(Reason.NOTHING_EXCHANGED, why, client_id=client_id)
    token = _sent_token(request, client_id)
    try:
        subject = lookup.tokens.verify(token, now=lookup.now)
    except NotOwnToken as error:
        raise _refused(error.reason, _NOT_EXCHANGEABLE, client_id) from None
    _check_actor(request, client_id, lookup)
    for party in dict.fromkeys(_parties(subject.claims)):
        if party != client_id:
            await _check_party(party, client_id, lookup)
    return Facts(subject, subject.claims["exp"] - lookup.now)


def decide(
    request: TokenRequest, client: Client, config: IssuerConfig, facts: Facts
) -> Authorization:
    """Decide what the client gets in exchange.

    Raises:
        InvalidRequest: this client may not exchange this token.
        InvalidTarget: it may not do so for this resource.
        InvalidScope: the scope is malformed, or the subject token or the client's grant lack it.
    """
    claims = facts.subject.claims
    allowed = _allowed(facts.subject, client)
    (target,) = named_targets((_target(request, client, allowed),), client)
    _check_target(target.resource, claims, client, allowed)
    held = claims.get("scope", "").split(" ")
    both = tuple(scope for scope in target.scopes if scope in held)
    asked = asked_scopes(request, client)
    # Never what only one of them has: the caller lends no more than it holds itself.
    if not both:
        why = "the subject token has none of the scopes that this client may ask for there"
        raise InvalidScope(
            Reason.SCOPE_NOT_ALLOWED, why, client_id=client.client_id, asked=request.scope
        )
    if asked is not None and not set(asked) <= set(both):
        raise scope_not_allowed(request, client, both)
    policy = client.policies[target.resource]
    actor = {"sub": client.client_id}
    before = claims.get("act")
    return Authorization(
        subject=claims["sub"],
        client_id=client.client_id,
        resource=target.resource,
        scopes=both if asked is None else asked,
        token_ttl=min(facts.left, token_life(client, (policy,), config)),
        alg=policy.signing_alg,
        # RFC 8693 §4.1: the current actor is the outermost one.
        actor=actor if before is None else {**actor, "act": before},
        issued_token_type=request.requested_token_type or ACCESS_TOKEN,
        # RFC 7800 §3.1: the API that it was sent to has had its caller prove possession. What is
        # bound is never exchanged for what is not: the new token is bound to the client's own key.
        subject_is_bound="cnf" in claims,
    )


def _sent_token(request: TokenRequest, client_id: str) -> str:
    """Return the subject token of a request whose types are taken (RFC 8693 §2.1)."""
    if request.subject_token is None:
        raise _refused(Reason.SUBJECT_MISSING, "subject_token is missing", client_id)
    if request.subject_token_type not in TOKEN_TYPES:
        raise _refused(Reason.SUBJECT_TYPE, _types("subject_token_type"), client_id)
    # §2.1: REQUIRED with an actor token, and MUST NOT be there without one.
    if (request.actor_token is None) != (request.actor_token_type is None):
        why = "actor_token and actor_token_type come together"
        raise _refused(Reason.ACTOR_TYPE, why, client_id)
    if request.actor_token_type not in (None, *TOKEN_TYPES):
        raise _refused(Reason.ACTOR_TYPE, _types("actor_token_type"), client_id)
    if request.requested_token_type not in (None, *TOKEN_TYPES):
        raise _refused(Reason.REQUESTED_TYPE, _types("requested_token_type"), client_id)
    if request.authorization_details is not None:
        # What is narrower cannot be told of two objects of any schema.
        why = "authorization_details cannot be had in an exchange"
        raise _refused(Reason.DETAILS_NOT_EXCHANGED, why, client_id)
    return request.subject_token


def _types(parameter: str) -> str:
    return f"{parameter} must be {' or '.join(TOKEN_TYPES)}"


def _check_actor(request: TokenRequest, client_id: str, lookup: Lookup) -> None:
    """Refuse an actor token that is not the client's own: it can act as itself alone."""
    if request.actor_token is None:
        return
    try:
        actor = lookup.tokens.verify(request.actor_token, now=lookup.now)
    except NotOwnToken:
        actor = None
    if (
        actor is None
        or "cnf" in actor.claims
        or {actor.client_id, actor.claims["sub"]} != {client_id}
    ):
        why = "the actor token is not a live token of this client for itself"
        raise _refused(Reason.ACTOR_TOKEN, why, client_id)


def _parties(claims: Mapping[str, Any]) -> Iterator[str]:
    """Name the clients that stand behind a token: its subject, its client, and each actor."""
    yield claims["sub"]
    yield claims["client_id"]
    yield from _actors(claims)


def _actors(claims: Mapping[str, Any]) -> Iterator[str]:
    while (actor := claims.get("act")) is not None:
        yield actor["sub"]
        claims = actor


async def _check_party(party: str, client_id: str, lookup: Lookup) -> None:
    """Refuse the token of a client that could not get one any more.

    Memory may find it active; only the store may say that it is not, as in authentication.
    """
    known = lookup.clients.get_cached(party)
    if known is not None and known.is_active(lookup.now):
        return
    try:
        known = await lookup.clients.fetch(party)
    except StoreUnavailable:
        raise TemporarilyUnavailable(Reason.STORE_UNAVAILABLE) from None
    if known is None or not known.is_active(lookup.now):
        raise _refused(Reason.SUBJECT_NOT_ACTIVE, _NOT_EXCHANGEABLE, client_id)


def _allowed(subject: OwnToken, client: Client) -> list[ExchangePermission]:
    """List the permissions for a subject token; there is at least one.

    Raises:
        InvalidRequest: this client may not exchange this token.
    """
    client_id, claims = client.client_id, subject.claims
    # A token that is for others as well could be exchanged by each of them.
    sent_to = [
        each
        for each in client.registration.token_exchange
        if _is_only(subject.audience, each.subject_resource)
    ]
    if not sent_to:
        raise _refused(Reason.SUBJECT_AUDIENCE, _NOT_EXCHANGEABLE, client_id)
    if subject.client_id == client_id:
        raise _refused(Reason.SUBJECT_IS_OWN, "the subject token is the client's own", client_id)
    # RFC 8693 §4.4: it says who may act; other members than `sub` tell more than can be compared.
    if claims.get("may_act", {"sub": client_id}) != {"sub": client_id}:
        why = "the subject token names another client in may_act"
        raise _refused(Reason.MAY_NOT_ACT, why, client_id)
    return sent_to


def _is_only(audience: tuple[str, ...], resource: str) -> bool:
    return len(audience) == 1 and _same(audience[0], resource)


def _same(one: str, other: str) -> bool:
    """Compare two identifiers; `https://host/` is `https://host` (RFC 3986 §6.2.3)."""
    return one == other or one == other_form(other)


def _target(request: TokenRequest, client: Client, allowed: list[ExchangePermission]) -> str:
    """Return what the new token is for: as asked by either name, or the only one possible.

    RFC 8693 §2.1: `audience` is a name of the target; here it is the identifier, as in `resource`.
    """
    asked = {*request.resources, *filter(None, (request.audience,))}
    targets = asked or {each.resource for each in allowed}
    if len(targets) > 1:
        why = "one resource for each token" if asked else "name the resource"
        raise InvalidTarget(
            Reason.SEVERAL_TARGETS,
            why,
            client_id=client.client_id,
            asked=" ".join(sorted(asked)) or None,
        )
    return targets.pop()


def _check_target(
    resource: str, claims: Mapping[str, Any], client: Client, allowed: list[ExchangePermission]
) -> None:
    """Refuse a target, subject or chain that no permission of the client has."""
    client_id = client.client_id
    found = [each for each in allowed if _same(resource, each.resource)]
    if not found:
        why = "this client may not exchange the subject token for this resource"
        raise InvalidTarget(Reason.TARGET_NOT_EXCHANGED, why, client_id=client_id, asked=resource)
    # Whom the token is about, and who sent it: RFC 8693 §4.1 has no earlier actor count.
    fitting = [each for each in found if each.covers((claims["sub"], claims["client_id"]))]
    if not fitting:
        why = "this client may not act for the subject of the token"
        raise _refused(Reason.SUBJECT_NOT_ALLOWED, why, client_id)
    depth = 1 + sum(1 for _ in _actors(claims))
    if depth > max(each.max_depth for each in fitting):
        why = "too many clients would act one for another"
        raise _refused(Reason.CHAIN_TOO_LONG, why, client_id)


def _refused(reason: Reason, why: str, client_id: str) -> InvalidRequest:
    # RFC 8693 §2.2.2: invalid_request for a subject or actor token that is not acceptable.
    return InvalidRequest(reason, why, client_id=client_id)
