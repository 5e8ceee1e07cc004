"""The difference that a declaration makes, for people: a line for each thing and each change."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from issuer.registry.schema import Json

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_DONE = {
    "+": ("to create", "created"),
    "~": ("to change", "changed"),
    "-": ("to delete", "deleted"),
}


@dataclass(slots=True)
class _Entry:
    """A resource or a client with what changes of it."""

    title: str
    sign: str = "~"  # of a client of which only the secrets change
    details: list[str] = field(default_factory=list)


def render_outcome(outcome: Json) -> str:
    """Write what `describe_outcome` describes, as lines with a last line that counts."""
    entries = _entries(outcome["changes"])
    lines = [
        *(line for entry in entries for line in _lines(entry)),
        *(f"! {_shown(note)}" for note in outcome["notes"]),
        *_usage_lines(outcome["usage"]),
        _summary(entries, applied=outcome["applied"]),
    ]
    return "".join(f"{line}\n" for line in lines)


def _entries(changes: Iterable[Json]) -> list[_Entry]:
    """Gather changes by what they are of, in the order of their first mention."""
    entries: dict[str, _Entry] = {}
    for change in changes:
        name = change.get("resource") or change["client_id"]
        kind = "resource" if change["kind"] == "resource" else "client"
        entry = entries.setdefault(f"{kind} {name}", _Entry(f"{kind} {name}"))
        if change["kind"] == "secret":
            entry.details.append(_secret_line(change))
        else:
            entry.sign = _SIGNS[change["action"]]
            entry.details += [_field_line(each, change["action"]) for each in change["fields"]]
    return list(entries.values())


def _lines(entry: _Entry) -> Iterator[str]:
    yield f"{entry.sign} {entry.title}"
    yield from (f"    {detail}" for detail in entry.details)


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


def _summary(entries: list[_Entry], *, applied: bool) -> str:
    counts = Counter(entry.sign for entry in entries)
    said = [f"{counts[sign]} {words[applied]}" for sign, words in _DONE.items() if counts[sign]]
    if not said:
        return "Nothing to change: the registry is as the file says."
    return ", ".join(said) + ("." if applied else "; nothing is changed yet.")
