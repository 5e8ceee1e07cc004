"""Carry a declaration out within one transaction, or tell what that would do.

The plan is always made from what the transaction sees, so two declarations at once come one after
the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, assert_never

from issuer.administration.declaration.document import Declaration
from issuer.administration.declaration.plan import (
    AddSecret,
    ApplyOptions,
    ChangeClient,
    ChangeResource,
    Plan,
    RegistryState,
    RevokeSecret,
    Step,
    make_plan,
)
from issuer.administration.token_changes import revoke_all_tokens
from issuer.registry.audit import Action, Actor, AuditEntry
from issuer.registry.client import ClientRegistration
from issuer.registry.client_description import Facts, facts_of_client
from issuer.registry.credentials import ClientSecret
from issuer.registry.errors import DeclarationRefused
from issuer.registry.permission import named_subjects
from issuer.registry.resource import Resource, describe_resource, facts_of_resource
from issuer.registry.schema import Json, same_json, write, write_time
from issuer.registry.usage import LastUse
from issuer.storage.status_changes import TokenSelection

if TYPE_CHECKING:
    from issuer.storage.edit import RegistryEdit
    from issuer.storage.reading import RegistryReading

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPermission:
    """Scopes that some client can no longer get: those that fit what is named here."""

    client_id: str | None = None
    resource: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a declaration does, or has done.

    Args:
        plan: the steps.
        applied: whether they were taken.
        usage: who used what goes.
        usage_days: since how many days.
        live_tokens: how many each client has at most that is deleted or disabled, by its id.
        revoke_tokens: whether these are revoked.
    """

    plan: Plan
    applied: bool
    usage: tuple[LastUse, ...]
    usage_days: int
    live_tokens: tuple[tuple[str, int], ...] = ()
    revoke_tokens: bool = False


def preview_declaration(
    reading: "RegistryReading",
    declaration: Declaration,
    options: ApplyOptions,
    *,
    now: int,
) -> Outcome:
    """Tell what would be done, changing nothing.

    Raises:
        DeclarationRefused: it cannot be.
    """
    plan = make_plan(declaration, _read_state(reading, declaration, options, now), options)
    return _read_outcome(reading, plan, options, now, applied=False)


def apply_declaration(
    edit: "RegistryEdit",
    declaration: Declaration,
    options: ApplyOptions,
    *,
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
    outcome = _read_outcome(edit, plan, options, edit.now, applied=True)
    for step in plan.steps:
        _take(edit, step, random_bytes)
    for client_id in _ended_clients(plan) if options.revoke_tokens else ():
        revoke_all_tokens(edit, client_id, administration=options.administration)
    return outcome


def foresee_entries(plan: Plan, *, by: Actor, now: int) -> list[AuditEntry]:
    """Write what the audit trail would say of a plan, to be judged before it is carried out."""
    return [
        AuditEntry(at=now, actor=by, action=action, target=target, before=before, after=after)
        for action, target, before, after in map(_foresee, plan.steps)
    ]


def _foresee(step: Step) -> tuple[Action, str, Json | None, Json | None]:
    match step:
        case ChangeResource(name=target, before=was, after=becomes):
            before = None if was is None else describe_resource(was)
            after = None if becomes is None else describe_resource(becomes)
            return Action(f"resource.{_verb(was, becomes)}d"), target, before, after
        case ChangeClient(name=target, before=present, after=wanted):
            before = None if present is None else write(present.registration)
            after = None if wanted is None else write(wanted)
            return Action(f"client.{_verb(present, wanted)}d"), target, before, after
        case AddSecret(client_id=target):
            return Action.SECRET_ADDED, target, None, {}
        case RevokeSecret(client_id=target):
            return Action.SECRET_REVOKED, target, {}, None
        case _:
            assert_never(step)


def _verb(before: object, after: object) -> str:
    return "create" if before is None else "delete" if after is None else "update"


def _read_state(
    reading: "RegistryReading", declaration: Declaration, options: ApplyOptions, now: int
) -> RegistryState:
    resources = {each.resource.resource: each.resource for each in reading.list_resources()}
    if options.prune or _loses_rights(declaration.resources, resources):
        clients = reading.list_clients()
    else:
        exchanges = (each for client in declaration.clients for each in client.token_exchange)
        named = [each.client_id for each in declaration.clients]
        named += named_subjects(each.subjects for each in exchanges)
        found = map(reading.find_client, dict.fromkeys(named))
        clients = [client for client in found if client is not None]
    return RegistryState(
        resources=resources, clients={each.client_id: each for each in clients}, now=now
    )


def _loses_rights(declared: Sequence[Resource], present: dict[str, Resource]) -> bool:
    """Tell whether a resource loses a scope or type, which any client could hold."""
    pairs = ((present.get(each.resource), each) for each in declared)
    return any(before and set(before.rights) - set(after.rights) for before, after in pairs)


def _read_outcome(
    reading: "RegistryReading", plan: Plan, options: ApplyOptions, now: int, *, applied: bool
) -> Outcome:
    """Read what is known of what goes, before it does."""
    live = (
        (client_id, sum(each.size for each in reading.find_tokens(selection, now)))
        for client_id in _ended_clients(plan)
        for selection in [TokenSelection(client_id=client_id)]
    )
    return Outcome(
        plan=plan,
        applied=applied,
        usage=_read_usage(reading, plan, since=now - options.usage_days * _SECONDS_A_DAY),
        usage_days=options.usage_days,
        live_tokens=tuple((client_id, count) for client_id, count in live if count),
        revoke_tokens=options.revoke_tokens,
    )


def _ended_clients(plan: Plan) -> Iterator[str]:
    """Yield the clients that are deleted or disabled."""
    for each in lost_permissions(plan):
        if each.client_id is not None and each.resource is None:
            yield each.client_id


def _read_usage(reading: "RegistryReading", plan: Plan, *, since: int) -> tuple[LastUse, ...]:
    """List each use once, though a scope may go for more than one reason."""
    found = dict.fromkeys(secrets_used(plan, since=since))
    for each in lost_permissions(plan):
        uses = reading.scope_usage(each.client_id, each.resource, each.scope, since=since)
        found |= dict.fromkeys(uses)
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


def lost_permissions(plan: Plan) -> Iterator[LostPermission]:
    """Yield which scopes go, for which clients."""
    for step in plan.steps:
        match step:
            case ChangeClient(before=before, after=after) if before is not None:
                yield from _withdrawn(before.registration, after)
            case ChangeResource(before=before, after=None) if before is not None:
                yield LostPermission(resource=before.resource)
            case ChangeResource(before=before, after=after) if before and after:
                for scope in before.scopes:
                    if scope not in after.scopes:
                        yield LostPermission(resource=before.resource, scope=scope)


def _withdrawn(
    before: ClientRegistration, after: ClientRegistration | None
) -> Iterator[LostPermission]:
    client_id = before.client_id
    if after is None or (after.disabled and not before.disabled):
        yield LostPermission(client_id=client_id)
        return
    left = {(grant.resource, scope) for grant in after.grants for scope in grant.scopes}
    for grant in before.grants:
        for scope in grant.scopes:
            if (grant.resource, scope) not in left:
                yield LostPermission(client_id=client_id, resource=grant.resource, scope=scope)


def secrets_used(plan: Plan, *, since: int) -> Iterator[LastUse]:
    """Yield the secrets that go though they were used since a time."""
    gone: list[tuple[str, ClientSecret]] = []
    for step in plan.steps:
        if isinstance(step, RevokeSecret):
            gone.append((step.client_id, step.secret))
        elif isinstance(step, ChangeClient) and step.after is None and step.before is not None:
            gone += ((step.name, secret) for secret in step.before.secrets)
    for client_id, secret in gone:
        at = secret.last_used_at
        if at is not None and at >= since:
            yield LastUse(client_id=client_id, secret_id=secret.secret_id, last_used_at=at)


def describe_outcome(outcome: Outcome) -> Json:
    """Describe what a declaration does, or has done, as JSON.

    `changes` has what `render_outcome` shows; of a secret that is still to be made, `generate` is
    true and `source` says where it is to be written.
    """
    changes = [_describe_step(step) for step in _merged(outcome.plan)]
    return {
        "applied": outcome.applied,
        "changed": bool(changes),
        "changes": changes,
        "notes": list(outcome.plan.notes),
        "usage": {
            "days": outcome.usage_days,
            "takes_away": any(map(_takes_away, changes)),
            "uses": [_describe_use(use) for use in outcome.usage],
        },
        "tokens": {
            "revoke": outcome.revoke_tokens,
            "live": [{"client_id": name, "tokens": count} for name, count in outcome.live_tokens],
        },
    }


def _merged(plan: Plan) -> list[Step]:
    """Make one of the two steps of a resource that first gains and later loses scopes."""
    merged: dict[object, Step] = {}
    for number, step in enumerate(plan.steps):
        if not isinstance(step, ChangeResource):
            merged[number] = step
            continue
        first = merged.get(step.name)
        before = first.before if isinstance(first, ChangeResource) else step.before
        merged[step.name] = ChangeResource(step.name, before, step.after)
    return list(merged.values())


def _describe_step(step: Step) -> Json:
    match step:
        case ChangeResource(before=was, after=becomes):
            change: Json = {"kind": "resource", "resource": step.name}
            old = facts_of_resource(was) if was else _bare_facts()[0]
            new = facts_of_resource(becomes) if becomes else old
        case ChangeClient(before=present, after=wanted):
            change = {"kind": "client", "client_id": step.name}
            old = facts_of_client(present.registration) if present else _bare_facts()[1]
            new = facts_of_client(wanted) if wanted else old
        case AddSecret(client_id=client_id, secret=secret):
            return {
                "action": "add",
                "kind": "secret",
                "client_id": client_id,
                "source": secret.source,
                "expires_at": write_time(secret.expires_at),
                "generate": step.must_be_generated,
            }
        case RevokeSecret(client_id=client_id, secret=kept):
            change = {"action": "revoke", "kind": "secret", "client_id": client_id}
            return change | {"secret_id": kept.secret_id}
        case _:
            assert_never(step)
    return {"action": _verb(step.before, step.after), **change, "fields": changed_fields(old, new)}


def changed_fields(before: Facts, after: Facts) -> list[Json]:
    """Describe what differs: of lists what came and what went, of the rest how it was and is.

    An absent fact and one that is null are the same.
    """
    fields = []
    for key in sorted({*before, *after}):
        (name, resource), old, new = key, before.get(key), after.get(key)
        if same_json(old, new):
            continue
        field: Json = {"name": name} if resource is None else {"name": name, "resource": resource}
        if isinstance(old or new, list):
            field["added"] = [each for each in new or () if each not in (old or ())]
            field["removed"] = [each for each in old or () if each not in (new or ())]
        else:
            field |= {"before": old, "after": new}
        fields.append(field)
    return fields


@cache
def _bare_facts() -> tuple[Facts, Facts]:
    """Give the facts of a resource and of a client that say nothing for themselves."""
    resource = facts_of_resource(Resource(resource="urn:bare", scopes=("none",)))
    client = facts_of_client(ClientRegistration(client_id="bare"))
    return {**resource, ("scopes", None): []}, client


_RIGHTS = ("authorization_details_types", "scope", "scopes")


def _takes_away(change: Json) -> bool:
    """Tell whether some client can do less than before."""
    if change["action"] in ("delete", "revoke"):
        return True
    fields = change.get("fields", ())
    return any(
        (field["name"] in _RIGHTS and field["removed"])
        or (field["name"] == "disabled" and field["after"])
        for field in fields
    )


def _describe_use(use: LastUse) -> Json:
    named = {"resource": use.resource, "scope": use.scope, "secret_id": use.secret_id}
    return {
        "client_id": use.client_id,
        **{name: value for name, value in named.items() if value is not None},
        "last_used_at": write_time(use.last_used_at),
    }
