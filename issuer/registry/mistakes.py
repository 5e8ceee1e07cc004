"""Mistakes in documents: where each is and what is wrong, in one wording for every interface.

The words for types, lengths and bounds repeat no value; a rule of a member of its own, such as a
scope's, may quote what breaks it, escaped. No rule of a secret does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from issuer.registry.schema import members_of

KeyPath = tuple[str | int, ...]
"""The way to a value in a document: `("clients", 0, "grants", 1, "scope")`."""

MAXIMUM_MISTAKES = 100
"""Mistakes of a model that are told at once."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]{1,64}")
_LONGEST_KEY = 64
# Comparing takes time with the lengths of both, for each.
COMPARED = 200
"""Known words that `suggest` looks at, the first ones."""
_LONGEST_WORD = 256

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_WORDS = {
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be on, true, yes or 1, or else off, false, no or 0",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "dataclass_type": "must be an object",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} members",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a document; `str` is one line.

    Args:
        path: where in the document, empty for all of it.
        why: what is wrong, in words that fit behind a colon.
        line: where in the text, counted from 1; None if that is not known.
    """

    path: KeyPath
    why: str
    line: int | None = None

    def __str__(self) -> str:
        """Write line, path and reason."""
        where = "" if self.line is None else f"line {self.line}: "
        return where + (f"{write_path(self.path)}: {self.why}" if self.path else self.why)


def mistakes_of(error: ValidationError, model: type[Any]) -> list[Mistake]:
    """Say what a model found wrong with a document.

    Args:
        error: what it found.
        model: the model, whose members are suggested for those that it does not know.
    """
    return [
        Mistake(details["loc"], _why(details, model))
        for details in error.errors(include_url=False, include_input=False)[:MAXIMUM_MISTAKES]
    ]


def _why(details: ErrorDetails, model: type[Any]) -> str:
    if details["type"] in _UNKNOWN:
        *around, key = details["loc"]
        return unknown(str(key), _members_at(model, around))
    return words_of(details) or details["msg"].removeprefix("Value error, ")


def words_of(details: ErrorDetails) -> str | None:
    """Say what kind of mistake pydantic found, in fixed words; None for other kinds."""
    words = _WORDS.get(details["type"])
    return None if words is None else words.format(**details.get("ctx", {}))


def _members_at(model: type[Any], path: Sequence[str | int]) -> list[str]:
    """List the members that the model knows at a place, by the names in the document."""
    found: type[Any] | None = model
    for step in path:
        if found is not None and isinstance(step, str):
            fields = dict(zip(members_of(found), found.__pydantic_fields__.values(), strict=True))
            found = _model_in(fields[step].annotation) if step in fields else None
    return [] if found is None else members_of(found)


def _model_in(annotation: Any) -> type[Any] | None:  # noqa: ANN401 - any annotation
    if hasattr(annotation, "__pydantic_fields__"):
        found: type[Any] = annotation
        return found
    inner = (_model_in(each) for each in get_args(annotation))
    return next((each for each in inner if each is not None), None)


def unknown(name: str, known: list[str]) -> str:
    """Say that there is no such member, and which one was probably meant."""
    return "is not known here" + suggest(name, known)


def suggest(word: str, known: list[str]) -> str:
    """Name the known word that was probably meant, as the end of a message; empty if none is near.

    Compared without regard to case, since `ClientId` and `client_id` are one mistake.
    """
    lowered = {each.lower(): each for each in known[:COMPARED]}
    near = get_close_matches(word.lower()[:_LONGEST_WORD], list(lowered), n=1)
    return f"; did you mean {lowered[near[0]]}?" if near else ""


def write_path(path: KeyPath) -> str:
    """Write a path as people do: `clients[0].grants[1].scope`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in path)
    return text.removeprefix(".")


def _key(name: str) -> str:
    """Show a key; one that a terminal could not show as it is, escaped and shortened."""
    if _PLAIN_KEY.fullmatch(name):
        return name
    return ascii(name[:_LONGEST_KEY]) + ("…" if len(name) > _LONGEST_KEY else "")


def write_pointer(path: KeyPath) -> str:
    """Write a path as a JSON pointer (RFC 6901 §3)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def read_pointer(pointer: str) -> KeyPath:
    """Read a JSON pointer; a step of digits is taken for the index of an array."""
    steps = (each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:])
    return tuple(int(each) if _is_index(each) else each for each in steps)


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 10


def name_some(names: Sequence[str]) -> str:
    """List the first three names, and say whether there are more."""
    return ", ".join([*names[:3], *(["…"] if len(names) > 3 else [])])
