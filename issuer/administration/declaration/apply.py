"""Carry a declaration out within one transaction, or tell what that would do.

The plan is always made from what the transaction sees, so two declarations at once come one after
the other.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, assert_never

from issuer.administration.declaration.document import Declaration
from issuer.administration.declaration.outcome import (
    LastUse,
    Outcome,
    lost_permissions,
    secrets_used,
)
from issuer.administration.declaration.plan import (
    ApplyOptions,
    ChangeClient,
    ChangeResource,
    Plan,
    RegistryState,
    Step,
    make_plan,
)
from issuer.administration.declaration.secrets import AddSecret, RevokeSecret
from issuer.administration.errors import DeclarationRefused
from issuer.registry.audit import Action, Actor, AuditEntry
from issuer.registry.representation import describe_registration, describe_resource
from issuer.registry.resource import Resource
from issuer.registry.schema import Json

if TYPE_CHECKING:
    from issuer.storage.edit import RegistryEdit
    from issuer.storage.reading import RegistryReading

_SECONDS_A_DAY = 86_400


def preview_declaration(
    reading: "RegistryReading",
    declaration: Declaration,
    options: ApplyOptions,
    *,
    now: int,
    usage_days: int,
) -> Outcome:
    """Tell what would be done, changing nothing.

    Raises:
        DeclarationRefused: it cannot be.
    """
    plan = make_plan(declaration, _read_state(reading, declaration, options, now), options)
    usage = _read_usage(reading, plan, since=now - usage_days * _SECONDS_A_DAY)
    return Outcome(plan=plan, applied=False, usage=usage, usage_days=usage_days)


def apply_declaration(
    edit: "RegistryEdit",
    declaration: Declaration,
    options: ApplyOptions,
    *,
    usage_days: int,
    random_bytes: Callable[[int], bytes],
) -> Outcome:
    """Make the registry as declared, within the transaction of `edit`.

    Raises:
        DeclarationRefused: it cannot be, or a secret that it needs is still to be generated.
        RegistryError: the registry refuses a step.
    """
    plan = make_plan(declaration, _read_state(edit, declaration, options, edit.now), options)
    # A client may have lost its secret since the others were generated.
    missing = [
        f"client {step.client_id} has lost its secret meanwhile, and needs {step.secret.source};"
        " apply again"
        for step in plan.steps
        if isinstance(step, AddSecret) and step.must_be_generated
    ]
    if missing:
        raise DeclarationRefused(missing)
    usage = _read_usage(edit, plan, since=edit.now - usage_days * _SECONDS_A_DAY)
    for step in plan.steps:
        _take(edit, step, random_bytes)
    return Outcome(plan=plan, applied=True, usage=usage, usage_days=usage_days)


def foresee_entries(plan: Plan, *, by: Actor, now: int) -> list[AuditEntry]:
    """Write what the audit trail would say of a plan, to be judged before it is carried out."""
    return [
        AuditEntry(at=now, actor=by, action=action, target=target, before=before, after=after)
        for action, target, before, after in map(_foresee, plan.steps)
    ]


def _foresee(step: Step) -> tuple[Action, str, Json | None, Json | None]:
    match step:
        case ChangeResource(name=target, before=was, after=becomes):
            action = (
                Action.RESOURCE_CREATED
                if was is None
                else Action.RESOURCE_DELETED
                if becomes is None
                else Action.RESOURCE_UPDATED
            )
            before = None if was is None else describe_resource(was)
            return action, target, before, None if becomes is None else describe_resource(becomes)
        case ChangeClient(name=target, before=present, after=wanted):
            action = (
                Action.CLIENT_CREATED
                if present is None
                else Action.CLIENT_DELETED
                if wanted is None
                else Action.CLIENT_UPDATED
            )
            before = None if present is None else describe_registration(present.registration)
            return action, target, before, None if wanted is None else describe_registration(wanted)
        case AddSecret(client_id=target):
            return Action.SECRET_ADDED, target, None, {}
        case RevokeSecret(client_id=target):
            return Action.SECRET_REVOKED, target, {}, None
        case _:
            assert_never(step)


def _read_state(
    reading: "RegistryReading", declaration: Declaration, options: ApplyOptions, now: int
) -> RegistryState:
    resources = {each.resource.resource: each.resource for each in reading.list_resources()}
    if options.prune or _loses_scopes(declaration.resources, resources):
        clients = reading.list_clients()
    else:
        found = (reading.find_client(each.client_id) for each in declaration.clients)
        clients = [client for client in found if client is not None]
    return RegistryState(
        resources=resources, clients={each.client_id: each for each in clients}, now=now
    )


def _loses_scopes(declared: Sequence[Resource], present: dict[str, Resource]) -> bool:
    """Tell whether a resource loses a scope, which any client could hold."""
    pairs = ((present.get(each.resource), each) for each in declared)
    return any(before and set(before.scopes) - set(after.scopes) for before, after in pairs)


def _read_usage(reading: "RegistryReading", plan: Plan, *, since: int) -> tuple[LastUse, ...]:
    """List each use once, though a scope may go for more than one reason."""
    found = dict.fromkeys(secrets_used(plan, since=since))
    for each in lost_permissions(plan):
        for use in reading.scope_usage(each.client_id, each.resource, each.scope, since=since):
            last = LastUse(
                client_id=use.client_id,
                resource=use.resource,
                scope=use.scope,
                last_used_at=use.last_used_at or since,  # what was asked for has a time
            )
            found[last] = None
    return tuple(found)


def _take(edit: "RegistryEdit", step: Step, random_bytes: Callable[[int], bytes]) -> None:
    match step:
        case ChangeResource(name=name, before=before, after=resource):
            if resource is None:
                edit.delete_resource(name)
            elif before is None:
                edit.create_resource(resource)
            else:
                edit.replace_resource(resource)
        case ChangeClient(name=name, before=present, after=registration):
            if registration is None:
                edit.delete_client(name)
            elif present is None:
                edit.create_client(registration)
            else:
                edit.replace_client(registration)
        case AddSecret(client_id=client_id):
            edit.add_secret(client_id, step.new_secret(random_bytes))
        case RevokeSecret(client_id=client_id, secret=secret):
            edit.revoke_secret(client_id, secret.secret_id)
        case _:
            assert_never(step)
