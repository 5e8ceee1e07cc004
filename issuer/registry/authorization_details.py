"""Types of authorization details, and the schemas that their objects must match (RFC 9396 §2, §5).

A schema is JSON Schema 2020-12 without what can make a check long, or can be written and not be
checked. Pure; the library that checks is loaded with the first schema, so that an issuer without
types does not pay for it.
"""

import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from issuer.registry.errors import InvalidValue
from issuer.registry.schema import MODEL, SCOPE_TOKEN_PATTERN, Text, check_json_size, is_scope_token

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_SCHEMA_BYTES = 16_384
MAX_TYPES = 32
"""Types that one resource may have."""
MAX_COST = 500
"""Steps of checking one value, with every `$ref` written out; see `_Measure`."""
MAX_STEPS = 10_000
"""Steps of checking one object, some 5 to 10 µs each: its values times the cost of its schema."""
MAX_LEVELS = 50
"""Schemas within each other, with every `$ref` written out: checking calls itself for each."""

_MAX_TYPE_LENGTH = 255
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/"
_UNIQUE_COST = 32  # compares values in pairs

_SCHEMA: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
)
_SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS: Final = frozenset({"dependentSchemas", "properties"})
_NO_SCHEMA: Final = frozenset(
    {"$comment", "default", "deprecated", "description", "examples", "title"}
    | {"const", "dependentRequired", "enum", "required", "type", "uniqueItems"}
    | {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
    | {"maxContains", "maxItems", "maxLength", "maxProperties"}
    | {"minContains", "minItems", "minLength", "minProperties"}
)
_NOT_CHECKED = {
    "format": "is not checked in JSON Schema 2020-12; use enum, const or lengths",
    "pattern": "can take exponential time; use enum, const or lengths",
    "patternProperties": "can take exponential time; name the members in properties",
}


class DetailsSchema(dict[str, Any]):
    """A schema that has been checked, shared by all who hold the same; not to be changed."""

    def __init__(self, text: str) -> None:
        super().__init__(json.loads(text))
        self._text = text
        _check_root(self)
        self.cost = _Measure(self).total
        """Steps of checking one value."""

    # By the text, since Python holds 1, 1.0 and true for equal, and JSON does not.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, DetailsSchema) and self._text == other._text

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self._text)

    @cached_property
    def validator(self) -> "Draft202012Validator":
        """What checks an object, compiled once; members that no `properties` name are refused."""
        from jsonschema import Draft202012Validator
        from referencing import Registry

        # RFC 9396 §5: an object with an unknown member MUST be refused. Its `type` is known.
        closed = {
            **self,
            "properties": {"type": True, **self.get("properties", {})},
            "additionalProperties": False,
        }
        # An empty registry: nothing is ever fetched.
        return Draft202012Validator(closed, registry=Registry())

    def fault(self, value: Mapping[str, Any]) -> str | None:
        """Tell which rule an object breaks: a place in the schema, with no part of the object.

        None if it breaks none.
        """
        if self.cost * _count_values(value) > MAX_STEPS:
            return "more values than can be checked"
        error = next(self.validator.iter_errors(value), None)
        return None if error is None else "/".join(map(str, error.absolute_schema_path))


def check_schema(document: dict[str, Any]) -> DetailsSchema:
    """Return a schema, ready to check objects, if it is valid and checking is bounded in time.

    Raises:
        InvalidValue: it is not; the text names the first fault.
    """
    if isinstance(document, DetailsSchema):
        return document
    check_json_size(document, "the schema", maximum=MAX_SCHEMA_BYTES)
    return _checked(json.dumps(document, sort_keys=True, ensure_ascii=False))


@lru_cache(maxsize=1024)
def _checked(text: str) -> DetailsSchema:
    schema = DetailsSchema(text)
    if schema.cost > MAX_COST:
        raise InvalidValue(
            f"the schema takes more than {MAX_COST} steps to check, $ref written out; shorten it"
        )
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its root"
        raise InvalidValue(f"the schema is no JSON Schema: see {place[:200]!a}") from None
    return schema


def _check_root(schema: Mapping[str, Any]) -> None:
    if schema.get("$schema", _DIALECT) != _DIALECT:
        raise InvalidValue(f"the schema must be of the dialect {_DIALECT}")
    if schema.get("type", "object") != "object":
        raise InvalidValue("the schema must be of an object")
    if schema.get("additionalProperties", False) is not False:
        # RFC 9396 §5: objects with members that are not known MUST be refused.
        raise InvalidValue("the schema must not allow additionalProperties at its root")


class _Measure:
    """Count what checking one value takes at most, and refuse what has no bound.

    Every subschema counts 1, and what compares values more. A `$ref` counts as what it refers to,
    each time: a chain of definitions with two references each is small to write and exponential to
    check. A reference that leads back to itself could loop without end, or as deep as the value; a
    long chain of references leads deeper than Python can call.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        definitions = root.get("$defs", {})
        if not isinstance(definitions, dict):
            raise InvalidValue("$defs must be an object")
        self._definitions = definitions
        # By name, cost and levels; None while they are being counted.
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self._level = self._deepest = 0
        for name in definitions:
            self._definition(name)
        members = {name: value for name, value in root.items() if name not in ("$schema", "$defs")}
        self.total = self._schema(members)

    def _definition(self, name: str) -> int:
        if name not in self._definitions:
            raise InvalidValue(f"the schema refers to {name[:200]!a}, which $defs does not have")
        if name not in self._sizes:
            self._sizes[name] = None
            before, self._deepest = self._deepest, self._level
            cost = self._schema(self._definitions[name])
            self._sizes[name] = cost, self._deepest - self._level
            self._deepest = max(before, self._deepest)
        size = self._sizes[name]
        if size is None:
            raise InvalidValue(f"the definition {name[:200]!a} of the schema refers to itself")
        cost, levels = size
        self._reach(self._level + levels)
        return cost

    def _schema(self, schema: object) -> int:
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, dict):
            raise InvalidValue("a schema is an object, true or false")
        self._level += 1
        self._reach(self._level)
        cost = 1 + sum(self._keyword(name, value) for name, value in schema.items())
        self._level -= 1
        return cost

    def _reach(self, level: int) -> None:
        if level > MAX_LEVELS:
            raise InvalidValue(f"the schema has more than {MAX_LEVELS} levels, $ref written out")
        self._deepest = max(self._deepest, level)

    def _keyword(self, name: str, value: object) -> int:
        if name in _SCHEMA:
            return self._schema(value)
        if name in _SCHEMAS and isinstance(value, list):
            return sum(map(self._schema, value))
        if name in _NAMED_SCHEMAS and isinstance(value, dict):
            return sum(map(self._schema, value.values()))
        if name == "$ref":
            return self._reference(value)
        if name in _NO_SCHEMA:
            return _UNIQUE_COST if name == "uniqueItems" else _count(value)
        why = _NOT_CHECKED.get(name, "is not known here, or not in this place")
        raise InvalidValue(f"the schema has {name[:200]!a}, which {why}")

    def _reference(self, value: object) -> int:
        name = value.removeprefix(_DEFINITIONS) if isinstance(value, str) else ""
        # One name, without the escapes of a JSON pointer (RFC 6901 §3) or of a URI.
        if value != _DEFINITIONS + name or not name or not {"/", "~", "%"}.isdisjoint(name):
            raise InvalidValue(f"a $ref of the schema must be {_DEFINITIONS}NAME")
        return self._definition(name)


def _count_values(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count_values, inner))


def _count(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def check_type_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of types unchanged if each can be one, and is named once.

    Raises:
        InvalidValue: naming the first that cannot.
    """
    for name in names:
        check_type_name(name)
        if names.count(name) > 1:
            raise InvalidValue(f"the type of authorization details {name} is named twice")
    return names


def check_type_name(name: str) -> str:
    """Return the name of a type unchanged if it has the characters of a scope.

    Raises:
        InvalidValue: it has others, or more than 255.
    """
    if len(name) > _MAX_TYPE_LENGTH or not is_scope_token(name):
        raise InvalidValue(
            f"{name[:_MAX_TYPE_LENGTH]!a} is no type of authorization details: 1 to"
            f" {_MAX_TYPE_LENGTH} visible ASCII characters without space, quote and backslash"
        )
    return name


TypeName = Annotated[
    Text,
    AfterValidator(check_type_name),
    Field(json_schema_extra={"pattern": SCOPE_TOKEN_PATTERN, "maxLength": _MAX_TYPE_LENGTH}),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=MODEL)
class DetailsType:
    """A type of authorization details that a resource understands."""

    type: TypeName = Field(description="its name, as in the member `type` of such objects")
    schema: Annotated[dict[str, Any], AfterValidator(check_schema)] = Field(
        description="the JSON Schema (2020-12) that such objects must match"
    )

    def fault(self, value: Mapping[str, Any]) -> str | None:
        """Tell which rule of the schema an object breaks; None if it breaks none."""
        return check_schema(self.schema).fault(value)


def check_types(types: tuple[DetailsType, ...]) -> tuple[DetailsType, ...]:
    """Return types unchanged if each is named once, and there are not too many.

    Raises:
        InvalidValue: they are not.
    """
    if len(types) > MAX_TYPES:
        raise InvalidValue(f"a resource has at most {MAX_TYPES} types of authorization details")
    check_type_names(tuple(each.type for each in types))
    return types
