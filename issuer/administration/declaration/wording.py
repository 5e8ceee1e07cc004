"""Say in the words of the file what its models found wrong with it."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from issuer.administration.declaration.document import LISTED, SOURCES, VERSION, Declaration
from issuer.administration.declaration.errors import KeyPath
from issuer.registry.schema import members_of

_WORDS = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must not be empty",
    "too_long": "is too long a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "dataclass_type": "must be a table",
    "literal_error": f"must be {VERSION}",
}

# Comparing takes time with the lengths of both, for each.
_COMPARED = 200
_LONGEST_WORD = 256


def complaints_of(error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    """Yield where and why, for everything that a model refused."""
    for details in error.errors(include_url=False, include_input=False):
        yield details["loc"], _why(details)


def suggest(word: str, known: list[str]) -> str:
    """Name the known word that was probably meant, as the end of a message; empty if none is near.

    Compared without regard to case, since `ClientId` and `client_id` are one mistake.
    """
    lowered = {each.lower(): each for each in known[:_COMPARED]}
    near = get_close_matches(word.lower()[:_LONGEST_WORD], list(lowered), n=1)
    return f"; did you mean {lowered[near[0]]}?" if near else ""


def _why(details: ErrorDetails) -> str:
    path = details["loc"]
    if details["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return _unknown_key(path)
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    return _WORDS.get(details["type"], details["msg"]).format(**details.get("ctx", {}))


def _unknown_key(path: KeyPath) -> str:
    *around, key = path
    model = _model_at(tuple(around))
    if model is LISTED["secrets"] and key in ("value", "secret"):
        return f"a secret does not belong in the file; use {', '.join(SOURCES)}"
    return "unknown key" + suggest(str(key), members_of(model))


def _model_at(path: KeyPath) -> type[Any]:
    lists = [step for step in path if isinstance(step, str)]
    return LISTED[lists[-1]] if lists else Declaration
