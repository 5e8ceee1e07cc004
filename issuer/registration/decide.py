"""Decide what a client is registered with, within what it may have (RFC 7591, RFC 7592).

Pure. What a client asks for is `client_metadata`; here it is bounded, and told back to the client.
"""

from dataclasses import dataclass, field, replace
from urllib.parse import quote

from issuer.metadata import REGISTRATION_PATH
from issuer.registration.metadata import DECIDED, ClientMetadata, ClientUpdate, refuse_metadata
from issuer.registry.client import Client, ClientRegistration, ResourcePermission
from issuer.registry.initial_access_token import InitialAccessToken
from issuer.registry.schema import Json, write


def decide_registration(
    metadata: ClientMetadata, token: InitialAccessToken, *, client_id: str
) -> ClientRegistration:
    """Decide what a new client is registered with.

    Args:
        metadata: what it asks for.
        token: the initial access token, which bounds it.
        client_id: an id that no client has had.

    Raises:
        InvalidClientMetadata: the parts do not fit, or the scope is more than the token allows.
    """
    granted = _narrow(token.grants, metadata.scope)
    if granted is None:
        raise refuse_metadata("scope is more than the initial access token allows")
    bounded = ClientRegistration(client_id=client_id, grants=granted, token_ttl=token.token_ttl)
    return metadata.apply_to(bounded)


def decide_update(update: ClientUpdate, before: ClientRegistration) -> ClientRegistration:
    """Decide what an update makes of a client: its grants may shrink and never grow.

    The token that it was registered with may be gone, so what it has now is the only bound there
    is. Without `scope` it keeps that; what only an operator decides stays in any case.

    Raises:
        InvalidClientMetadata: the parts do not fit, or the scope is more than the client has.
    """
    granted = _narrow(before.grants, update.scope)
    if granted is None:
        raise refuse_metadata("scope is more than the client has; an update cannot widen it")
    return update.apply_to(replace(before, grants=granted))


def _narrow(
    allowed: tuple[ResourcePermission, ...], scope: tuple[str, ...] | None
) -> tuple[ResourcePermission, ...] | None:
    """Keep the scopes that were asked for; None if one of them is not allowed at all."""
    if scope is None:
        return allowed
    wanted = set(scope)
    if wanted - {name for grant in allowed for name in grant.scopes}:
        return None
    narrowed = (_narrow_grant(grant, wanted) for grant in allowed)
    return tuple(grant for grant in narrowed if grant is not None)


def _narrow_grant(grant: ResourcePermission, wanted: set[str]) -> ResourcePermission | None:
    scopes = tuple(name for name in grant.scopes if name in wanted)
    if not scopes:
        return None
    defaults = tuple(name for name in grant.defaults if name in wanted)
    return ResourcePermission(
        resource=grant.resource, scopes=scopes, default_scopes=defaults or None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """A client with what it is told this once.

    Args:
        client: as it is registered.
        access_token: with which it administers itself (RFC 7592 §3).
        secret: one that was made for it now; None if there is none to be told.
    """

    client: Client
    access_token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


def describe_registered(registered: RegisteredClient, *, base: str) -> Json:
    """Describe a client to itself (RFC 7591 §3.2.1, RFC 7592 §3).

    Args:
        registered: the client and what it is told.
        base: the issuer's URL without a final slash.
    """
    client, registration = registered.client, registered.client.registration
    scopes = dict.fromkeys(scope for grant in registration.grants for scope in grant.scopes)
    described: Json = {"client_id": client.client_id, "client_id_issued_at": client.created_at}
    if registered.secret is not None:
        # RFC 7591 §3.2.1: REQUIRED beside a secret; 0 is never.
        described |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
    if scopes:
        described["scope"] = " ".join(scopes)
    members = {name: value for name, value in write(registration).items() if name in DECIDED}
    return described | {
        **{name: value for name, value in members.items() if value is not None},
        "grant_types": list(registration.grant_types),
        "response_types": [],
        "registration_client_uri": client_uri(base, client.client_id),
        "registration_access_token": registered.access_token,
    }


def client_uri(base: str, client_id: str) -> str:
    """Return where a client administers itself (RFC 7592 §1.3)."""
    return f"{base}{REGISTRATION_PATH}/{quote(client_id, safe='')}"
