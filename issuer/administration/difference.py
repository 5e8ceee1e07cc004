"""Differences between documents of the registry: what changes, as data and as lines for people.

`watchword apply` shows the difference that a declaration makes, the audit list that of each entry.
No secret is ever in it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from issuer.registry.client import ClientRegistration
from issuer.registry.resource import Resource, describe_resource
from issuer.registry.schema import Json, write

Key = tuple[str, str | None]
"""The name of a fact and, for one of a grant, the resource that it is on."""

Facts = Mapping[Key, Any]

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_DONE = {
    "+": ("to create", "created"),
    "~": ("to change", "changed"),
    "-": ("to delete", "deleted"),
}


def facts_of_client(registration: ClientRegistration) -> Facts:
    """Take a registration apart into facts that are equal exactly if they mean the same.

    The order of scopes means nothing, and neither does that of grants after the first, which names
    the default resource.
    """
    described = write(registration)
    del described["client_id"], described["grants"]
    described["grant_types"] = sorted(registration.grant_types)
    facts: dict[Key, Any] = {(name, None): value for name, value in described.items()}
    if registration.grants:
        facts[("default_resource", None)] = registration.grants[0].resource
    for grant in registration.grants:
        facts[("scope", grant.resource)] = sorted(grant.scopes)
        # All that is granted is the default without any choice.
        if set(grant.defaults) != set(grant.scopes):
            facts[("default_scope", grant.resource)] = sorted(grant.defaults)
    return facts


def facts_of_resource(resource: Resource) -> Facts:
    """Take a resource apart into facts that are equal exactly if they mean the same."""
    described = describe_resource(resource) | {"scopes": sorted(resource.scopes)}
    del described["resource"]
    return {(name, None): value for name, value in described.items()}


def is_same_client(one: ClientRegistration, other: ClientRegistration) -> bool:
    """Tell whether two registrations mean the same."""
    return not changed_fields(facts_of_client(one), facts_of_client(other))


def is_same_resource(one: Resource, other: Resource) -> bool:
    """Tell whether two resources mean the same."""
    return not changed_fields(facts_of_resource(one), facts_of_resource(other))


def changed_fields(before: Facts, after: Facts) -> list[Json]:
    """Describe what differs: of lists what came and what went, of the rest how it was and is.

    An absent fact and one that is null are the same.
    """
    fields = []
    for key in sorted({*before, *after}):
        (name, resource), old, new = key, before.get(key), after.get(key)
        if old == new:
            continue
        field: Json = {"name": name} if resource is None else {"name": name, "resource": resource}
        if isinstance(old or new, list):
            field["added"] = [each for each in new or () if each not in (old or ())]
            field["removed"] = [each for each in old or () if each not in (new or ())]
        else:
            field |= {"before": old, "after": new}
        fields.append(field)
    return fields


def render_outcome(outcome: Json) -> str:
    """Write what a declaration does, or has done: a line for each thing and each change of it.

    Args:
        outcome: what `Operations.apply` returns. The last line counts.
    """
    signs: dict[str, str] = {}
    details: dict[str, list[str]] = {}
    for change in outcome["changes"]:
        kind = "resource" if change["kind"] == "resource" else "client"
        title = f"{kind} {change.get('resource') or change['client_id']}"
        signs.setdefault(title, "~")  # of a client of which only the secrets change
        if change["kind"] == "secret":
            details.setdefault(title, []).append(_secret_line(change))
        else:
            signs[title] = _SIGNS[change["action"]]
            lines = (_field_line(each, change["action"]) for each in change["fields"])
            details.setdefault(title, []).extend(lines)
    written = []
    for title, sign in signs.items():
        written += [f"{sign} {title}", *(f"    {detail}" for detail in details.get(title, ()))]
    written += (f"! {_shown(note)}" for note in outcome["notes"])
    written += _usage_lines(outcome["usage"])
    written.append(_summary(Counter(signs.values()), applied=outcome["applied"]))
    return "".join(f"{line}\n" for line in written)


def _secret_line(change: Json) -> str:
    if change["action"] == "revoke":
        return f"secret: -{change['secret_id']}"
    made = " (generated)" if change["generate"] else ""
    end = f", until {change['expires_at']}" if change["expires_at"] else ""
    return f"secret: +{_shown(change['source'])}{made}{end}"


def _field_line(changed: Json, action: str) -> str:
    name = changed["name"]
    if "resource" in changed:
        name += f" on {changed['resource']}"
    if "added" in changed:
        signed = [f"+{each}" for each in changed["added"]]
        signed += [f"-{each}" for each in changed["removed"]]
        return f"{name}: {' '.join(map(_shown, signed))}"
    before, after = changed["before"], changed["after"]
    if isinstance(before or after, dict):
        return f"{name}: {'changed' if before and after else 'set' if after else 'removed'}"
    if action == "create":
        return f"{name}: {_shown(after)}"
    return f"{name}: {_shown(before)} -> {_shown(after)}"


def _shown(value: Any) -> str:  # noqa: ANN401 - JSON of any kind
    """Write a value so that a terminal shows all of it and does nothing else."""
    if value is None:
        return "none"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if value.isprintable() else ascii(value)


def _usage_lines(usage: Json) -> Iterator[str]:
    if not usage["takes_away"]:
        return
    days = f"{usage['days']} day{'' if usage['days'] == 1 else 's'}"
    if not usage["uses"]:
        yield f"Nothing of what goes was used in the last {days}."
        return
    yield f"Of what goes, this was used in the last {days}:"
    for use in usage["uses"]:
        what = f"{use['scope']} on {use['resource']}" if "scope" in use else use["secret_id"]
        kind = "" if "scope" in use else "secret "
        yield f"    client {use['client_id']}: {kind}{what}, last at {use['last_used_at']}"


def _summary(counts: Counter[str], *, applied: bool) -> str:
    said = [f"{counts[sign]} {words[applied]}" for sign, words in _DONE.items() if counts[sign]]
    if not said:
        return "Nothing to change: the registry is as the file says."
    return ", ".join(said) + ("." if applied else "; nothing is changed yet.")


def difference(before: Json | None, after: Json | None) -> list[str]:
    """Compare two descriptions of one thing, as an audit entry has them: a line for each value.

    Args:
        before: the description; None if there was no such thing.
        after: the same, None if there is no such thing any more.
    """
    old, new = dict(_flat(before or {})), dict(_flat(after or {}))
    lines = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            lines.append(f"+ {name}: {new[name]}")
        elif name not in new:
            lines.append(f"- {name}: {old[name]}")
        elif old[name] != new[name]:
            lines.append(f"~ {name}: {old[name]} -> {new[name]}")
    return lines


def _flat(document: Json) -> Iterator[tuple[str, str]]:
    """Yield the values that are set, each as one text; what lies deeper by a longer name."""
    for name, value in document.items():
        if name == "grants":
            for grant in value:
                yield f"scope on {grant['resource']}", grant["scope"]
                if "default_scope" in grant:
                    yield f"default scope on {grant['resource']}", grant["default_scope"]
        elif name == "metadata":
            yield from ((f"metadata.{key}", _text(each)) for key, each in value.items())
        elif value is not False and value not in (None, "", [], {}):
            yield name, _text(value)


def _text(value: object) -> str:
    if value is True:
        return "yes"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
