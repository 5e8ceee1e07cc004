"""Describe, filter and compare clients: what an operator sees of them.

Times are integer seconds since the epoch, and RFC 3339 in descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

from issuer.registry.client import Client, ClientRegistration
from issuer.registry.schema import Json, write, write_time

Facts = Mapping[tuple[str, str | None], Any]
"""What a client or resource is, by the name of each fact and the resource that it is about."""

ClientState = Literal["enabled", "disabled", "expired", "secret_expired"]
"""What becomes of a client; `secret_expired` is one whose secrets have all ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFilter:
    """What a listed client must be; whatever is None does not matter.

    Args:
        resource: it holds a grant on this.
        scope: it holds this scope, on that resource if one is named.
        state: as `describe_client` tells it.
        unused_for: seconds for which it has used neither scope nor secret; it is older than that.
        expiring: seconds within which it ends, or one of its secrets.
    """

    resource: str | None = None
    scope: str | None = None
    state: ClientState | None = None
    unused_for: int | None = None
    expiring: int | None = None


EVERY_CLIENT = ClientFilter()


def describe_client(client: Client, now: int) -> Json:
    """Describe a registered client, without its secrets.

    Args:
        client: with all its secrets.
        now: when its state is told, in seconds since the epoch.
    """
    registration = client.registration
    scopes = dict.fromkeys(scope for grant in registration.grants for scope in grant.scopes)
    return {
        **write(registration),
        "scope": " ".join(scopes),
        "resources": [grant.resource for grant in registration.grants],
        "created_at": write_time(client.created_at),
        "updated_at": write_time(client.updated_at),
        "state": _client_state(client, now),
        "next_end_at": write_time(_next_end(client, now)),
    }


def _next_end(client: Client, now: int) -> int | None:
    """Tell when the client ends or, if that is earlier, the next of its secrets."""
    ends = (client.registration.expires_at, *(each.expires_at for each in client.secrets))
    return min((each for each in ends if each is not None and each > now), default=None)


def _client_state(client: Client, now: int) -> ClientState:
    """Tell the first reason why the client gets no tokens, or that it is enabled."""
    if client.registration.disabled:
        return "disabled"
    if client.is_expired(now):
        return "expired"
    ended = client.secrets and all(each.has_ended(now) for each in client.secrets)
    if ended and client.registration.token_endpoint_auth_method.uses_secret:
        return "secret_expired"
    return "enabled"


def facts_of_client(registration: ClientRegistration) -> Facts:
    """Take a registration apart into facts that are equal exactly if they mean the same.

    The order of scopes means nothing, and neither does that of grants after the first, which names
    the default resource.
    """
    described = write(registration)
    del described["client_id"], described["grants"]
    described["grant_types"] = sorted(registration.grant_types)
    if registration.introspects:
        described["introspects"] = sorted(registration.introspects)
    if registration.token_exchange:
        described["token_exchange"] = [
            each | {"subjects": sorted(each["subjects"])}
            for each in sorted(
                described["token_exchange"], key=itemgetter("subject_resource", "resource")
            )
        ]
    facts: dict[tuple[str, str | None], Any] = {
        (name, None): value for name, value in described.items()
    }
    if registration.grants:
        facts[("default_resource", None)] = registration.grants[0].resource
    for grant in registration.grants:
        facts[("scope", grant.resource)] = sorted(grant.scopes)
        # All that is granted is the default without any choice.
        if set(grant.defaults) != set(grant.scopes):
            facts[("default_scope", grant.resource)] = sorted(grant.defaults)
        if types := sorted(grant.authorization_details_types):
            facts[("authorization_details_types", grant.resource)] = types
    return facts
