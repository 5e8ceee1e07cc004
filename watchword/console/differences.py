"""Set versions of a document side by side, with what differs marked; pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

Mark = Literal["", "del", "ins"]

_WORDS = ("scope", "default_scope")
"""Members that are one text of scopes with spaces between."""


class Piece(NamedTuple):
    """A part of a value, and whether the other version lacks it."""

    text: str
    mark: Mark


class Line(NamedTuple):
    """A member in both versions; no pieces where a version has none."""

    name: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    differs: bool


class ConflictLine(NamedTuple):
    """A member that two operators see differently."""

    name: str
    base: tuple[Piece, ...]
    theirs: tuple[Piece, ...]
    mine: tuple[Piece, ...]
    saved: tuple[Piece, ...]
    """What it is if the second one saves as well."""
    both: bool
    """Whether both have changed it, so that what the first one saved is lost."""


class Conflict(NamedTuple):
    """What two operators made of one version."""

    lines: tuple[ConflictLine, ...]
    by: Mapping[str, Any] | None
    """The entry of the audit trail of the first one; None if it cannot be seen."""


def compare(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[Line, ...]:
    """Compare two versions member by member, those that differ first.

    Args:
        before: the earlier one; None if there was none.
        after: the later one; None if it is gone.
    """
    old, new = before or {}, after or {}
    lines = []
    for name in dict.fromkeys([*old, *new]):
        was, is_now = old.get(name), new.get(name)
        differs = was != is_now or (name in old) != (name in new)
        # Of what is all new, or all gone, nothing stands out.
        marked = differs and before is not None and after is not None
        left, right = (_pieces(name, was, is_now, "del"), _pieces(name, is_now, was, "ins"))
        lines.append(
            Line(
                name,
                (left if marked else _plain(left)) if name in old else (),
                (right if marked else _plain(right)) if name in new else (),
                differs,
            )
        )
    return tuple(sorted(lines, key=lambda line: not line.differs))


def compare_conflict(
    base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any]
) -> tuple[ConflictLine, ...]:
    """Compare what two operators made of one version; members that both left alone are left out.

    Args:
        base: what both began with.
        theirs: what the first one saved.
        mine: what the second one wants.
    """
    lines = []
    for name in dict.fromkeys([*base, *theirs, *mine]):
        was, saved, wanted = base.get(name), theirs.get(name), mine.get(name)
        if was == saved == wanted:
            continue
        result = wanted if wanted != was else saved
        lines.append(
            ConflictLine(
                name,
                _plain(_pieces(name, was, was, "")),
                _changes(name, was, saved),
                _changes(name, was, wanted),
                _plain(_pieces(name, result, result, "")),
                both=was not in (saved, wanted) and saved != wanted,
            )
        )
    return tuple(lines)


def changed_members(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a document that differ from the version that it was made of."""
    return {name: value for name, value in wanted.items() if value != base.get(name)}


def _pieces(name: str, value: Any, other: Any, mark: Mark) -> tuple[Piece, ...]:  # noqa: ANN401
    items, others = _items(name, value), set(_items(name, other))
    return tuple(Piece(text, "" if text in others else mark) for text in items)


def _changes(name: str, was: Any, value: Any) -> tuple[Piece, ...]:  # noqa: ANN401
    """Return a value, and after it what is gone from it."""
    gone = (each for each in _pieces(name, was, value, "del") if each.mark)
    return (*_pieces(name, value, was, "ins"), *gone)


def _plain(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(Piece(each.text, "") for each in pieces)


def _items(name: str, value: Any) -> list[str]:  # noqa: ANN401
    """Take a value apart into what is compared."""
    if name in _WORDS and isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [item for each in value for item in _items_of(each)]
    if isinstance(value, dict):
        return [f"{key}: {_write(each)}" for key, each in value.items()]
    if value is None:
        return []
    return [value if isinstance(value, str) else _write(value)]


def _items_of(value: Any) -> list[str]:  # noqa: ANN401
    """Take an item of a list apart: a grant scope by scope, anything else not at all."""
    if not (isinstance(value, dict) and {"resource", "scope"} <= value.keys()):
        return [_write(value)]
    rest = {name: each for name, each in value.items() if name not in ("resource", "scope")}
    granted = [f"{value['resource']} {scope}" for scope in str(value["scope"]).split()]
    return granted + [f"{value['resource']} {name}: {_write(rest[name])}" for name in rest]


def _write(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_write(each)}" for key, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
