"""Read a query string strictly: a parameter that is mistyped must not be passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from issuer.administration.http.problems import MALFORMED_REQUEST, RequestRefused

Value = str | int | bool | None
_FLAGS = {"": True, "true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that a route knows.

    Args:
        name: as in the query.
        kind: its JSON type; a boolean may stand alone, and is true then.
        default: what it is when it is left out.
        least: the least that an integer may be.
        most: the most.
        description: for the reference.
        scopes: what a token must hold beside the route's scopes if the parameter is true.
    """

    name: str
    kind: Literal["string", "integer", "boolean"]
    description: str
    default: Value = None
    least: int = 0
    most: int = 0
    scopes: tuple[str, ...] = ()


def parse_query(raw: bytes, parameters: Sequence[Parameter]) -> dict[str, Value]:
    """Read a query string into a value for each parameter.

    Raises:
        RequestRefused: one is unknown, given twice, or has a value that it cannot have.
    """
    known = {each.name: each for each in parameters}
    values: dict[str, Value] = {each.name: each.default for each in parameters}
    given = _split(raw)
    for name, text in given.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise _refused(f"there is an unknown query parameter; known here: {allowed}")
        values[name] = _value(known[name], text)
    return values


def _split(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise _refused("the query string cannot be read") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise _refused("a query parameter is given twice")
    return given


def _value(parameter: Parameter, text: str) -> Value:
    name = parameter.name
    if parameter.kind == "string":
        if "\0" in text:  # no database takes it as a part of a text
            raise _refused(f"{name} must not have a NUL in it")
        return text
    if parameter.kind == "boolean":
        if text not in _FLAGS:
            raise _refused(f"{name} must be true or false")
        return _FLAGS[text]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _refused(f"{name} must be a whole number")
    if not parameter.least <= int(text) <= parameter.most:
        raise _refused(f"{name} must be from {parameter.least} to {parameter.most}")
    return int(text)


def _refused(detail: str) -> RequestRefused:
    return RequestRefused(MALFORMED_REQUEST, detail)
