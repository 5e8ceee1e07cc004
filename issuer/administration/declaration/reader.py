"""Read a declaration from a text: the declaration, or every mistake in it at once.

A mistake is told by its key path, and in YAML by its line too.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any, Literal

from issuer.administration.declaration.document import VERSION, DeclarationFile, find_mistakes
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import KeyPath, Mistake

Form = Literal["toml", "yaml"]

MAXIMUM_CHARACTERS = 10 * 1024 * 1024
MAXIMUM_DEPTH = 32
SHOWN_DEPTH = 4
TOO_DEEP = f"is nested more than {MAXIMUM_DEPTH} levels deep"
_UNSTORABLE = "has a NUL or a lone surrogate in it"
_INTEGERS = range(-(2**63), 2**63)  # what TOML and SQLite can have

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed text: its values, and the line of each path where that is known."""

    values: Mapping[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a path, or of the nearest thing around it that is in the text."""
        if not self.lines:
            return None
        around = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[each] for each in around if each in self.lines), 1)


def read_declaration(text: str, form: Form) -> DeclarationFile:
    """Read a declaration.

    Args:
        text: what the file says.
        form: the language that it says it in.

    Raises:
        InvalidDocument: with every mistake, those of YAML with their lines.
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise InvalidDocument([Mistake((), f"has more than {MAXIMUM_CHARACTERS} characters")])
    source = _parse(text, form)
    version = source.values.get("version")
    if isinstance(version, int) and version > VERSION:
        # What else a newer file says cannot be judged.
        why = f"the file is of version {version}; this program reads version {VERSION}"
        raise InvalidDocument([Mistake(("version",), why, source.line(("version",)))])
    found: dict[KeyPath, Mistake] = {}
    values = _plain(source.values, (), found)
    declaration, mistakes = find_mistakes(DeclarationFile, values)
    for mistake in mistakes:
        found.setdefault(mistake.path, mistake)
    if found or declaration is None:
        placed = [replace(each, line=source.line(each.path)) for each in found.values()]
        raise InvalidDocument(sorted(placed, key=lambda mistake: mistake.line or 0))
    return declaration


def _parse(text: str, form: Form) -> Source:
    if form == "toml":
        return read_toml(text)
    # Loaded by need: most files are TOML.
    from issuer.administration.declaration.yaml_form import read_yaml

    return read_yaml(text)


def read_toml(text: str) -> Source:
    """Parse TOML.

    Raises:
        InvalidDocument: it is not TOML, or nested too deeply.
    """
    try:
        return Source(tomllib.loads(text))
    except RecursionError:
        raise InvalidDocument([Mistake((), TOO_DEEP)]) from None
    except ValueError as error:  # TOMLDecodeError is one, and so are a number's limits
        said = str(error)
    place = _TOML_PLACE.search(said)
    if place is None:
        raise InvalidDocument([Mistake((), f"not TOML: {said}")])
    where = "end of file" if place[1] is None else f"column {place[2]}"
    line = text.count("\n") + 1 if place[1] is None else int(place[1])
    raise InvalidDocument([Mistake((), f"not TOML: {said[: place.start()]} ({where})", line)])


def _plain(
    table: Mapping[str, Any], path: KeyPath, found: dict[KeyPath, Mistake]
) -> dict[str, Any]:
    """Return the values as JSON can have them, times as text; note where that is impossible."""
    for name in table:
        if not _is_storable(name):
            found[(*path, name)] = Mistake((*path, name), _UNSTORABLE)
    return {name: _plain_value(each, (*path, name), found) for name, each in table.items()}


def _plain_value(value: object, path: KeyPath, found: dict[KeyPath, Mistake]) -> object:
    why = None
    if len(path) > MAXIMUM_DEPTH:
        path, why = path[:SHOWN_DEPTH], TOO_DEEP
    elif isinstance(value, dict):
        return _plain(value, path, found)
    elif isinstance(value, list):
        return [_plain_value(each, (*path, index), found) for index, each in enumerate(value)]
    elif isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    elif isinstance(value, str) and not _is_storable(value):
        why = _UNSTORABLE
    elif isinstance(value, int) and value not in _INTEGERS:
        why = "is a number of more than 64 bits"
    elif isinstance(value, float) and not math.isfinite(value):
        why = "is no finite number"
    if why is None:
        return value
    found[path] = Mistake(path, why)
    return None


def _is_storable(text: str) -> bool:
    """Tell whether JSON in every database takes it: no NUL, no lone surrogate."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
