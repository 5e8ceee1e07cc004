"""What a text says as plain values, and on which line it says each."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cached_property
from typing import Any

from issuer.administration.declaration.errors import InvalidDeclaration, KeyPath, Mistake

MAXIMUM_CHARACTERS = 10 * 1024 * 1024
MAXIMUM_DEPTH = 32
SHOWN_DEPTH = 4
TOO_DEEP = f"is nested more than {MAXIMUM_DEPTH} levels deep"

_UNSTORABLE = "has NUL or half a character in it"
_INTEGERS = range(-(2**63), 2**63)  # what TOML and SQLite can have


@dataclass(frozen=True)
class SourceText:
    """A parsed text.

    Args:
        values: dicts, lists, strings, booleans, numbers and None.
        find_lines: finds the line of every path; asked only when there is a mistake to show.
    """

    values: Mapping[str, Any]
    find_lines: Callable[[], Mapping[KeyPath, int]]

    @cached_property
    def _lines(self) -> Mapping[KeyPath, int]:
        return self.find_lines()

    def line(self, path: KeyPath) -> int:
        """Return the line of a path, or of the nearest thing around it that is in the text."""
        known = (path[:length] for length in range(len(path), 0, -1))
        return next((self._lines[step] for step in known if step in self._lines), 1)


def check_size(text: str) -> None:
    """Refuse a text that is too large to be a declaration.

    Raises:
        InvalidDeclaration: it has more than `MAXIMUM_CHARACTERS`.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise InvalidDeclaration([Mistake(why=f"has more than {MAXIMUM_CHARACTERS} characters")])


def plain_values(source: SourceText) -> tuple[dict[str, Any], list[tuple[KeyPath, str]]]:
    """Return the values as JSON can have them, times as text; and where that was impossible."""
    found: list[tuple[KeyPath, str]] = []
    return _plain_table(source.values, (), found), found


def _plain_table(
    table: Mapping[str, Any], path: KeyPath, found: list[tuple[KeyPath, str]]
) -> dict[str, Any]:
    found += [((*path, name), _UNSTORABLE) for name in table if not _is_storable(name)]
    return {name: _plain(each, (*path, name), found) for name, each in table.items()}


def _plain(value: object, path: KeyPath, found: list[tuple[KeyPath, str]]) -> object:
    if len(path) > MAXIMUM_DEPTH:
        found.append((path[:SHOWN_DEPTH], TOO_DEEP))
        return None
    if isinstance(value, dict):
        return _plain_table(value, path, found)
    if isinstance(value, list):
        return [_plain(each, (*path, index), found) for index, each in enumerate(value)]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if why := _objection(value):
        found.append((path, why))
        return None
    return value


def _objection(value: object) -> str | None:
    if isinstance(value, str) and not _is_storable(value):
        return _UNSTORABLE
    if isinstance(value, int) and value not in _INTEGERS:
        return "is a number of more than 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number"
    return None


def _is_storable(text: str) -> bool:
    """Tell whether JSON in every database takes it: no NUL, no lone surrogate."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
