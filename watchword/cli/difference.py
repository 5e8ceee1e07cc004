"""Say what a change changed, a line for each value: what came, what went, what became what."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]


def difference(before: Document | None, after: Document | None) -> list[str]:
    """Compare two descriptions of one thing; None is no thing."""
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


def _flat(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the values that are set, each as one text; what lies deeper by a longer name."""
    for name, value in document.items():
        if name == "grants":
            for grant in value:
                yield from _flat_grant(grant)
        elif name == "metadata":
            yield from ((f"metadata.{key}", _text(each)) for key, each in value.items())
        elif value is not False and value not in (None, "", [], {}):
            yield name, _text(value)


def _flat_grant(grant: Document) -> Iterator[tuple[str, str]]:
    yield f"scope on {grant['resource']}", grant["scope"]
    if "default_scope" in grant:
        yield f"default scope on {grant['resource']}", grant["default_scope"]


def _text(value: object) -> str:
    if value is True:
        return "yes"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
