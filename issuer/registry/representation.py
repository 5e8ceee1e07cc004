"""Describe the registry in JSON: clients by their RFC 7591 §2 names, the rest in their manner.

One description serves the command line, the administration API, the audit trail and the comparison
with a declaration. Neither secrets nor hashes are in it. `schema.read` reads it back.
"""

from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client, ClientRegistration, ClientState, ResourcePermission
from issuer.registry.client_secret import ClientSecret
from issuer.registry.resource import RegisteredResource, Resource
from issuer.registry.rfc3339 import write_time
from issuer.registry.schema import Json, write


def describe_registration(registration: ClientRegistration) -> Json:
    """Describe what an operator decides of a client; `schema.read` reads it back."""
    return write(registration)


def describe_grant(grant: ResourcePermission) -> Json:
    """Describe a grant; `schema.read` reads it back."""
    return write(grant)


def describe_client(client: Client, now: int) -> Json:
    """Describe a registered client, without its secrets.

    Args:
        client: with all its secrets.
        now: when its state is told, in seconds since the epoch.
    """
    registration = client.registration
    scopes = dict.fromkeys(scope for grant in registration.grants for scope in grant.scopes)
    return {
        **describe_registration(registration),
        "scope": " ".join(scopes),
        "resources": [grant.resource for grant in registration.grants],
        "created_at": write_time(client.created_at),
        "updated_at": write_time(client.updated_at),
        "state": _client_state(client, now),
    }


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


def describe_secret(secret: ClientSecret) -> Json:
    """Describe a secret by its times, never by what it is."""
    return {
        "secret_id": secret.secret_id,
        "created_at": write_time(secret.created_at),
        "starts_at": write_time(secret.starts_at),
        "expires_at": write_time(secret.expires_at),
        "last_used_at": write_time(secret.last_used_at),
    }


def describe_resource(resource: Resource) -> Json:
    """Describe what an operator decides of a resource; `schema.read` reads it back."""
    return {"resource": resource.resource, "scopes": list(resource.scopes), **write(resource)}


def describe_registered_resource(registered: RegisteredResource) -> Json:
    """Describe a registered resource with its times."""
    return {
        **describe_resource(registered.resource),
        "created_at": write_time(registered.created_at),
        "updated_at": write_time(registered.updated_at),
    }


def describe_entry(entry: AuditEntry) -> Json:
    """Describe an entry of the audit trail."""
    return {
        "number": entry.number,
        "at": write_time(entry.at),
        "actor": entry.actor.name,
        "via": entry.actor.via.value,
        "request_id": entry.actor.request_id,
        "action": entry.action.value,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
    }
