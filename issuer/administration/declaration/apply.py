"""Carry a declaration out within one transaction, or tell what that would do.

The plan is always made from what the transaction sees, so two declarations at once come one after
the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from issuer.administration.declaration.errors import DeclarationRefused
from issuer.administration.declaration.plan import make_plan
from issuer.administration.declaration.resolved import ResolvedDeclaration
from issuer.administration.declaration.state import ApplyOptions, RegistryState
from issuer.administration.declaration.steps import (
    AddSecret,
    CreateClient,
    CreateResource,
    DeleteClient,
    DeleteResource,
    Plan,
    ReplaceClient,
    ReplaceResource,
    RevokeSecret,
    Step,
)
from issuer.administration.declaration.usage import Use, lost_permissions, secrets_used
from issuer.registry.audit import Action, Actor, AuditEntry
from issuer.registry.client import Client, ClientRegistration
from issuer.registry.client_secret import NewSecret
from issuer.registry.representation import describe_registration, describe_resource
from issuer.registry.resource import RegisteredResource, Resource
from issuer.registry.schema import Json
from issuer.registry.usage import ScopeUse

_SECONDS_A_DAY = 86_400


class Reading(Protocol):
    """What a plan reads of the registry."""

    def find_client(self, client_id: str) -> Client | None:
        """Read one client."""
        ...

    def list_clients(self) -> list[Client]:
        """Read all clients."""
        ...

    def list_resources(self) -> list[RegisteredResource]:
        """Read all resources."""
        ...

    def scope_usage(
        self,
        client_id: str | None = None,
        resource: str | None = None,
        scope: str | None = None,
        *,
        since: int = 0,
    ) -> list[ScopeUse]:
        """List who got which scopes since a time."""
        ...


class Edit(Reading, Protocol):
    """What a step changes in the registry; each raises a `RegistryError` if it is refused."""

    @property
    def now(self) -> int:
        """The time of the transaction."""
        ...

    def create_client(self, registration: ClientRegistration, /) -> Client:
        """Register a client."""
        ...

    def replace_client(self, registration: ClientRegistration, /) -> Client:
        """Change a client."""
        ...

    def delete_client(self, client_id: str, /) -> None:
        """Delete a client."""
        ...

    def add_secret(self, client_id: str, new: NewSecret, /) -> object:
        """Give a client a secret."""
        ...

    def revoke_secret(self, client_id: str, secret_id: str, /) -> None:
        """End a secret."""
        ...

    def create_resource(self, resource: Resource, /) -> RegisteredResource:
        """Add a resource."""
        ...

    def replace_resource(self, resource: Resource, /) -> RegisteredResource:
        """Change a resource."""
        ...

    def delete_resource(self, identifier: str, /) -> None:
        """Delete a resource."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a declaration does, or has done.

    Args:
        plan: the steps.
        applied: whether they were taken.
        usage: who used what goes.
        usage_days: since how many days.
    """

    plan: Plan
    applied: bool
    usage: tuple[Use, ...]
    usage_days: int


def preview_declaration(
    reading: Reading,
    declaration: ResolvedDeclaration,
    reach: ApplyOptions,
    *,
    now: int,
    usage_days: int,
) -> Outcome:
    """Tell what would be done, changing nothing.

    Raises:
        DeclarationRefused: it cannot be.
    """
    plan = make_plan(declaration, _read_state(reading, declaration, reach, now), reach)
    usage = _read_usage(reading, plan, since=now - usage_days * _SECONDS_A_DAY)
    return Outcome(plan=plan, applied=False, usage=usage, usage_days=usage_days)


def apply_declaration(
    edit: Edit, declaration: ResolvedDeclaration, reach: ApplyOptions, *, usage_days: int
) -> Outcome:
    """Make the registry as declared, within the transaction of `edit`.

    Raises:
        DeclarationRefused: it cannot be, or a secret that it needs is still to be generated.
        RegistryError: the registry refuses a step.
    """
    plan = make_plan(declaration, _read_state(edit, declaration, reach, edit.now), reach)
    _require_secrets(plan)
    usage = _read_usage(edit, plan, since=edit.now - usage_days * _SECONDS_A_DAY)
    for step in plan.steps:
        _take(edit, step)
    return Outcome(plan=plan, applied=True, usage=usage, usage_days=usage_days)


def foresee_entries(plan: Plan, *, by: Actor, now: int) -> list[AuditEntry]:
    """Write what the audit trail would say of a plan, for whoever judges it before it is done."""
    return [
        AuditEntry(at=now, actor=by, action=action, target=target, before=before, after=after)
        for action, target, before, after in map(_foresee, plan.steps)
    ]


def _foresee(step: Step) -> tuple[Action, str, Json | None, Json | None]:
    match step:
        case CreateResource(resource=new):
            return Action.RESOURCE_CREATED, new.resource, None, describe_resource(new)
        case ReplaceResource(before=was, after=becomes):
            described = describe_resource(was), describe_resource(becomes)
            return Action.RESOURCE_UPDATED, was.resource, *described
        case DeleteResource(resource=old):
            return Action.RESOURCE_DELETED, old.resource, describe_resource(old), None
        case CreateClient(registration=new):
            return Action.CLIENT_CREATED, new.client_id, None, describe_registration(new)
        case ReplaceClient(before=was, after=becomes):
            described = describe_registration(was), describe_registration(becomes)
            return Action.CLIENT_UPDATED, was.client_id, *described
        case DeleteClient(client=old):
            before = describe_registration(old.registration)
            return Action.CLIENT_DELETED, old.client_id, before, None
        case AddSecret(client_id=client_id):
            return Action.SECRET_ADDED, client_id, None, {}
        case RevokeSecret(client_id=client_id):
            return Action.SECRET_REVOKED, client_id, {}, None
        case _:
            assert_never(step)


def _read_state(
    reading: Reading, declaration: ResolvedDeclaration, reach: ApplyOptions, now: int
) -> RegistryState:
    resources = {each.resource.resource: each.resource for each in reading.list_resources()}
    if reach.prune or _loses_scopes(declaration.resources, resources):
        clients = reading.list_clients()
    else:
        names = [each.registration.client_id for each in declaration.clients]
        found = (reading.find_client(client_id) for client_id in names)
        clients = [client for client in found if client is not None]
    return RegistryState(
        resources=resources, clients={each.client_id: each for each in clients}, now=now
    )


def _loses_scopes(declared: Sequence[Resource], present: dict[str, Resource]) -> bool:
    """Tell whether a resource loses a scope, which any client could hold."""
    pairs = ((present.get(each.resource), each) for each in declared)
    return any(before and set(before.scopes) - set(after.scopes) for before, after in pairs)


def _read_usage(reading: Reading, plan: Plan, *, since: int) -> tuple[Use, ...]:
    """List each use once, though a scope may go for more than one reason."""
    found = dict.fromkeys(secrets_used(plan, since=since))
    for each in lost_permissions(plan):
        for use in reading.scope_usage(each.client_id, each.resource, each.scope, since=since):
            found[_scope_use(use, since)] = None
    return tuple(found)


def _scope_use(use: ScopeUse, since: int) -> Use:
    at = use.last_used_at or since  # what was asked for has a time
    return Use(client_id=use.client_id, resource=use.resource, scope=use.scope, last_used_at=at)


def _require_secrets(plan: Plan) -> None:
    """Refuse a plan that needs a secret which nobody foresaw when the others were generated."""
    missing = [
        f"client {step.client_id} has lost its secret meanwhile, and needs {step.secret.source};"
        " apply again"
        for step in plan.steps
        if isinstance(step, AddSecret) and step.must_be_generated
    ]
    if missing:
        raise DeclarationRefused(missing)


def _take(edit: Edit, step: Step) -> None:
    match step:
        case CreateResource(resource=resource):
            edit.create_resource(resource)
        case ReplaceResource(after=resource):
            edit.replace_resource(resource)
        case DeleteResource(resource=resource):
            edit.delete_resource(resource.resource)
        case CreateClient(registration=registration):
            edit.create_client(registration)
        case ReplaceClient(after=registration):
            edit.replace_client(registration)
        case DeleteClient(client=client):
            edit.delete_client(client.client_id)
        case AddSecret(client_id=client_id, secret=secret):
            edit.add_secret(client_id, secret.new_secret())
        case RevokeSecret(client_id=client_id, secret=secret):
            edit.revoke_secret(client_id, secret.secret_id)
        case _:
            assert_never(step)
