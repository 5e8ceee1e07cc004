"""The difference that a declaration makes, as JSON. No secret is ever in it."""

from typing import Any

from issuer.administration.declaration.apply import Outcome
from issuer.administration.declaration.canonical import (
    Facts,
    Key,
    changed_facts,
    facts_of_client,
    facts_of_resource,
)
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
from issuer.administration.declaration.usage import Use
from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource
from issuer.registry.rfc3339 import write_time
from issuer.registry.schema import Json


def describe_outcome(outcome: Outcome) -> Json:
    """Describe what a declaration does, or has done.

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
    }


def _merged(plan: Plan) -> list[Step]:
    """Make one of the two steps of a resource that first gains and later loses scopes."""
    merged: dict[object, Step] = {}
    for number, step in enumerate(plan.steps):
        if not isinstance(step, ReplaceResource):
            merged[number] = step
            continue
        first = merged.get(step.after.resource, step)
        before = first.before if isinstance(first, ReplaceResource) else step.before
        merged[step.after.resource] = ReplaceResource(before=before, after=step.after)
    return list(merged.values())


def _describe_step(step: Step) -> Json:
    match step:
        case CreateResource(resource=resource):
            return _of_resource(
                "create", resource, _bare_facts(resource), facts_of_resource(resource)
            )
        case ReplaceResource(before=before, after=after):
            return _of_resource(
                "update", after, facts_of_resource(before), facts_of_resource(after)
            )
        case DeleteResource(resource=resource):
            return _of_resource("delete", resource, {}, {})
        case CreateClient(registration=after):
            bare = ClientRegistration(client_id=after.client_id)
            return _of_client("create", after, facts_of_client(bare), facts_of_client(after))
        case ReplaceClient(before=before, after=after):
            return _of_client("update", after, facts_of_client(before), facts_of_client(after))
        case DeleteClient(client=client):
            return _of_client("delete", client.registration, {}, {})
        case _:
            return _describe_secret_step(step)


def _describe_secret_step(step: AddSecret | RevokeSecret) -> Json:
    if isinstance(step, RevokeSecret):
        change = {"action": "revoke", "kind": "secret", "client_id": step.client_id}
        return change | {"secret_id": step.secret.secret_id}
    return {
        "action": "add",
        "kind": "secret",
        "client_id": step.client_id,
        "source": step.secret.source,
        "expires_at": write_time(step.secret.expires_at),
        "generate": step.must_be_generated,
    }


def _of_resource(action: str, resource: Resource, before: Facts, after: Facts) -> Json:
    change = {"action": action, "kind": "resource", "resource": resource.resource}
    return change | {"fields": _fields(before, after)}


def _of_client(action: str, client: ClientRegistration, before: Facts, after: Facts) -> Json:
    change = {"action": action, "kind": "client", "client_id": client.client_id}
    return change | {"fields": _fields(before, after)}


def _bare_facts(resource: Resource) -> Facts:
    """Give the facts of a resource that says nothing for itself."""
    return {
        **facts_of_resource(Resource(resource=resource.resource, scopes=resource.scopes)),
        ("scopes", None): [],
    }


def _fields(before: Facts, after: Facts) -> list[Json]:
    return [
        _field(key, before.get(key), after.get(key)) for key in sorted(changed_facts(before, after))
    ]


def _field(key: Key, before: Any, after: Any) -> Json:  # noqa: ANN401 - JSON of any kind
    """Describe a change: of lists what came and what went, of the rest how it was and is."""
    name, resource = key
    field: Json = {"name": name} if resource is None else {"name": name, "resource": resource}
    if not isinstance(before or after, list):
        return field | {"before": before, "after": after}
    old, new = before or [], after or []
    return field | {
        "added": [each for each in new if each not in old],
        "removed": [each for each in old if each not in new],
    }


def _takes_away(change: Json) -> bool:
    """Tell whether somebody can do less than before."""
    if change["action"] in ("delete", "revoke"):
        return True
    fields = change.get("fields", ())
    return any(
        (field["name"] in ("scope", "scopes") and field["removed"])
        or (field["name"] == "disabled" and field["after"])
        for field in fields
    )


def _describe_use(use: Use) -> Json:
    named = {"resource": use.resource, "scope": use.scope, "secret_id": use.secret_id}
    return {
        "client_id": use.client_id,
        **{name: value for name, value in named.items() if value is not None},
        "last_used_at": write_time(use.last_used_at),
    }
