"""Who used, lately, what a plan takes away."""

from collections.abc import Iterator
from dataclasses import dataclass

from issuer.administration.declaration.steps import (
    DeleteClient,
    DeleteResource,
    Plan,
    ReplaceClient,
    ReplaceResource,
    RevokeSecret,
    Step,
)
from issuer.registry.client import ClientRegistration
from issuer.registry.client_secret import ClientSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPermission:
    """Scopes that some client can no longer get: those that fit what is named here."""

    client_id: str | None = None
    resource: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """When a client last used something that goes: a scope of a resource, or a secret."""

    client_id: str
    last_used_at: int
    resource: str | None = None
    scope: str | None = None
    secret_id: str | None = None


def lost_permissions(plan: Plan) -> Iterator[LostPermission]:
    """Yield which scopes go, for whom."""
    for step in plan.steps:
        yield from _departures_of(step)


def _departures_of(step: Step) -> Iterator[LostPermission]:
    match step:
        case DeleteClient(client=client):
            yield LostPermission(client_id=client.client_id)
        case ReplaceClient(before=before, after=after):
            yield from _withdrawn(before, after)
        case DeleteResource(resource=resource):
            yield LostPermission(resource=resource.resource)
        case ReplaceResource():
            for scope in step.before.scopes:
                if scope not in step.after.scopes:
                    yield LostPermission(resource=step.before.resource, scope=scope)
        case _:
            return


def _withdrawn(before: ClientRegistration, after: ClientRegistration) -> Iterator[LostPermission]:
    if after.disabled and not before.disabled:
        yield LostPermission(client_id=before.client_id)
        return
    left = {(grant.resource, scope) for grant in after.grants for scope in grant.scopes}
    for grant in before.grants:
        for scope in grant.scopes:
            if (grant.resource, scope) not in left:
                yield LostPermission(
                    client_id=before.client_id, resource=grant.resource, scope=scope
                )


def secrets_used(plan: Plan, *, since: int) -> Iterator[Use]:
    """Yield the secrets that go though they were used since a time."""
    for client_id, secret in _departing_secrets(plan):
        if secret.last_used_at is not None and secret.last_used_at >= since:
            yield Use(
                client_id=client_id,
                secret_id=secret.secret_id,
                last_used_at=secret.last_used_at,
            )


def _departing_secrets(plan: Plan) -> Iterator[tuple[str, ClientSecret]]:
    for step in plan.steps:
        match step:
            case RevokeSecret(client_id=client_id, secret=secret):
                yield client_id, secret
            case DeleteClient(client=client):
                yield from ((client.client_id, secret) for secret in client.secrets)
            case _:
                continue
