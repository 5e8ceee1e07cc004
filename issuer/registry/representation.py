"""Describe the registry in JSON: clients by their RFC 7591 §2 names, the rest in their manner.

One description serves the command line, the administration API, the audit trail and the comparison
with a declaration. Neither secrets nor hashes are in it. `documents` reads what is written here.
"""

from typing import Any, Literal

from issuer.registry.audit import AuditEntry
from issuer.registry.client import Client, ClientRegistration, ResourcePermission
from issuer.registry.client_secret import ClientSecret
from issuer.registry.resource import RegisteredResource, Resource
from issuer.registry.rfc3339 import write_time

Json = dict[str, Any]

ClientState = Literal["enabled", "disabled", "expired", "secret_expired"]
"""What becomes of a client; `secret_expired` is one whose secrets have all ended."""


def describe_registration(registration: ClientRegistration) -> Json:
    """Describe what an operator decides of a client; `ClientDocument` reads it back."""
    return {
        "client_id": registration.client_id,
        "client_name": registration.display_name,
        "token_endpoint_auth_method": registration.auth_method.value,
        **registration.material.members(),
        "grant_types": list(registration.grant_types),
        "grants": [describe_grant(grant) for grant in registration.grants],
        "token_ttl": registration.token_ttl,
        "dpop_bound_access_tokens": registration.dpop_bound,
        "tls_client_certificate_bound_access_tokens": registration.certificate_bound,
        "disabled": registration.disabled,
        "expires_at": write_time(registration.expires_at),
        "metadata": dict(registration.metadata),
    }


def describe_grant(grant: ResourcePermission) -> Json:
    """Describe a grant; `GrantDocument` reads it back."""
    described = {"resource": grant.resource, "scope": " ".join(grant.scopes)}
    if grant.default_scopes is not None:
        described["default_scope"] = " ".join(grant.default_scopes)
    return described


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
    if ended and client.registration.auth_method.uses_secret:
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
    """Describe what an operator decides of a resource; `ResourceDocument` reads it back.

    The names of the binding requirements are those of RFC 9728 §2.
    """
    policy = resource.policy
    return {
        "resource": resource.identifier,
        "scopes": list(resource.scopes),
        "token_ttl": policy.token_ttl,
        "signing_alg": policy.signing_alg,
        "dpop_bound_access_tokens_required": policy.dpop_required,
        "tls_client_certificate_bound_access_tokens": policy.certificate_required,
    }


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
