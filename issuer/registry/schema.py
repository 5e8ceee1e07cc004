"""What the documents of the registry are made of: strict types with their constraints in them.

`client` and `resource` have the models. From these come reading and writing on every interface,
the JSON Schemas that editors and OpenAPI get, and the columns of the database. Unknown members are
refused: a mistyped name that is ignored is a hole with a delay.

On the wire a time is RFC 3339 text, and the scopes of a grant are one text with spaces between; in
Python they are seconds since the epoch, and a tuple. `read` takes the one form, constructors the
other, and neither takes both.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError, SchemaSerializer, SchemaValidator

from issuer.config import MAX_TOKEN_TTL
from issuer.registry.errors import InvalidValue

# RFC 6749 §3.3: scope = scope-token *( SP scope-token )
# scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE_TOKEN = r"[\x21\x23-\x5B\x5D-\x7E]+"  # noqa: S105 - a grammar, not a secret
_SCOPE = re.compile(rf"{_SCOPE_TOKEN}(?: {_SCOPE_TOKEN})*")
SCOPE_TOKEN_PATTERN = f"^{_SCOPE_TOKEN}$"
SCOPE_PATTERN = f"^{_SCOPE.pattern}$"
"""The grammar of one scope and of a whole scope value, for JSON Schema."""

MAX_SCOPE_LENGTH = 4096
"""Characters of a whole scope value; a longer one counts as malformed."""


def parse_scope(text: str) -> tuple[str, ...]:
    """Split a scope value into its tokens, in the order asked, each once.

    Raises:
        ValueError: the text is outside the grammar, or longer than `MAX_SCOPE_LENGTH`.
    """
    if len(text) > MAX_SCOPE_LENGTH or _SCOPE.fullmatch(text) is None:
        raise ValueError("malformed scope")
    return tuple(dict.fromkeys(text.split(" ")))


def is_scope_token(text: str) -> bool:
    """Tell whether a text is a single token of a scope value."""
    try:
        return parse_scope(text) == (text,)
    except ValueError:
        return False


# RFC 3339 §5.6, without fractions of a second.
_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_LATEST_TIME = 253_402_300_799  # the last second that RFC 3339 can write


def check_time(seconds: int) -> int:
    """Return a time unchanged if RFC 3339 can write it.

    Raises:
        InvalidValue: it is before 1970 or after the year 9999.
    """
    if not 0 <= seconds <= _LATEST_TIME:
        raise InvalidValue("a time is from 1970 to the year 9999")
    return seconds


@overload
def write_time(seconds: int) -> str: ...
@overload
def write_time(seconds: None) -> None: ...
@overload
def write_time(seconds: int | None) -> str | None: ...
def write_time(seconds: int | None) -> str | None:
    """Write seconds since the epoch; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Read a time with its offset to seconds since the epoch.

    Raises:
        ValueError: it is not RFC 3339, has a fraction, or names no moment that exists.
        InvalidValue: `write_time` could not write it (`check_time`).
    """
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("must be a time such as 2027-01-31T12:00:00Z")
    try:
        seconds = int(datetime.fromisoformat(text.upper()).timestamp())
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2027-01-31T12:00:00Z") from None
    return check_time(seconds)


T = TypeVar("T")
Json = dict[str, Any]

_WIRE: Final = "wire"
_MAXIMUM_DEPTH = 16
_INTEGERS = range(-(2**63), 2**63)
"""Files of the registry may be TOML, whose numbers have 64 bits."""
_SCOPE_WORDS = (
    "must be scopes with single spaces between, visible ASCII without quote and backslash"
)

MODEL: Final = ConfigDict(
    extra="forbid",
    hide_input_in_errors=True,
    validate_by_name=True,
    validate_by_alias=True,
    defer_build=True,
)
"""For dataclasses of pydantic: no unknown members, and no value in an error."""


class Document(BaseModel):
    """A document without unknown members and without conversions: `"1"` is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def read(model: type[T], document: object) -> T:
    """Read a document in its form on the wire.

    Args:
        model: a pydantic model or dataclass.
        document: JSON, as Python has it.

    Raises:
        ValidationError: with every mistake in it.
    """
    found: T = _validator(model).validate_python(
        document, by_alias=True, by_name=False, context=_WIRE
    )
    return found


def write(value: object, *, exclude_defaults: bool = False) -> Json:
    """Write a model as its document on the wire, with or without what is as it is by default."""
    written: Json = _serializer(type(value)).to_python(
        value, mode="json", by_alias=True, exclude_defaults=exclude_defaults
    )
    return written


def stored(value: object, *, without: set[str]) -> Json:
    """Write a model as the database keeps it: by its Python names, without what is None.

    Args:
        value: a client's registration or a resource.
        without: members that have columns or tables of their own.
    """
    kept: Json = _serializer(type(value)).to_python(value, exclude=without, exclude_none=True)
    return kept


def restored(
    model: type[T], kept: str | Json, columns: Json, *, of: str, needs: Collection[str] = ()
) -> T:
    """Read a model as the database keeps it.

    Args:
        model: the model.
        kept: what `stored` wrote, as an object or as its JSON text.
        columns: the members that `stored` left to columns and tables.
        of: what the error names, such as a client.
        needs: members that are always kept, whose default would be the weaker rule.

    Raises:
        InvalidValue: the database holds what no model can be.
    """
    try:
        members = json.loads(kept) if isinstance(kept, str) else kept
        if not isinstance(members, dict) or members.keys() & columns or set(needs) - members.keys():
            raise ValueError("not what `stored` writes")
    except (ValueError, RecursionError):
        raise InvalidValue(f"the database holds no readable registration of {of}") from None
    try:
        found: T = _validator(model).validate_python(
            members | columns, by_alias=False, by_name=True
        )
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise InvalidValue(
            f"the database holds no possible registration of {of}: see {place or model.__name__}"
        ) from None
    return found


def narrowed(model: type[T], value: T) -> T:
    """Return what a model has of a value of a class derived from it, and nothing else.

    Args:
        model: a pydantic dataclass.
        value: a document that has more, such as a secret beside the registration.
    """
    return model(**{name: getattr(value, name) for name in _fields(model)})


def members_of(model: type[Any]) -> list[str]:
    """List the members of a model's document, by their names on the wire."""
    return [str(info.validation_alias or name) for name, info in _fields(model).items()]


def _fields(model: type[Any]) -> Mapping[str, FieldInfo]:
    fields: Mapping[str, FieldInfo] = model.__pydantic_fields__
    return fields


# What a class itself has is taken, not a `TypeAdapter`: one that is made before the class is built
# would not hide the input in its errors.
def _validator(model: type[Any]) -> SchemaValidator:
    validator: SchemaValidator = model.__pydantic_validator__
    return validator


def _serializer(model: type[Any]) -> SchemaSerializer:
    serializer: SchemaSerializer = model.__pydantic_serializer__
    return serializer


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How the command line asks for a member; stands in the annotation of its field.

    Args:
        flag: such as `--token-ttl`, or `--dpop/--no-dpop` for a member that is true or false.
        metavar: what stands for the value in help; a `FILE` holds it as JSON,
            a `DURATION` may have a unit.
        unset: whether `--unset` takes the value away, by the flag's name.
        help: where the description of the field does not say enough.
    """

    flag: str
    metavar: str | None = None
    unset: bool = False
    help: str | None = None


@dataclass(frozen=True, slots=True)
class Registrable:
    """Marks a member that a client may set itself by dynamic registration (RFC 7591 §2)."""


def marks_of(model: type[Any], kind: type[T]) -> dict[str, T]:
    """Return what marks of a kind stand in the annotations of a model, by the members' names."""
    return {
        name: each
        for name, info in _fields(model).items()
        for each in info.metadata
        if isinstance(each, kind)
    }


def is_unset(value: object) -> bool:
    """Tell whether a member is left out of the document, by `Field(exclude_if=is_unset)`.

    A client or resource that has none of something is described without it.
    """
    return value is None or value is False or value in ({}, ())


def _read_time(value: object, info: ValidationInfo) -> object:
    if info.context != _WIRE:
        return value
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return parse_time(value)


def _read_scopes(value: object, info: ValidationInfo) -> object:
    if info.context != _WIRE:
        return value
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return parse_scope(check_scope_text(value))


def check_scope_text(text: str) -> str:
    """Return a scope value as it came if it has the form of RFC 6749 §3.3.

    Raises:
        InvalidValue: it has another.
    """
    try:
        parse_scope(text)
    except ValueError:
        raise InvalidValue(_SCOPE_WORDS) from None
    return text


def _write_scopes(scopes: tuple[str, ...]) -> str:
    return " ".join(scopes)


def _check_time_text(text: str) -> str:
    parse_time(text)
    return text


Text = Annotated[str, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Time = Annotated[
    int,
    Field(strict=True),
    AfterValidator(check_time),
    BeforeValidator(_read_time),
    PlainSerializer(write_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Seconds since the epoch; RFC 3339 text on the wire."""
TimeText = Annotated[
    str, AfterValidator(_check_time_text), Field(json_schema_extra={"format": "date-time"})
]
"""The same as text, for documents that stay what they are on the wire."""

_SCOPE_SCHEMA: Json = {"type": "string", "pattern": SCOPE_PATTERN, "maxLength": MAX_SCOPE_LENGTH}
Scopes = Annotated[
    tuple[str, ...],
    BeforeValidator(_read_scopes),
    PlainSerializer(_write_scopes, return_type=str, when_used="json"),
    WithJsonSchema(_SCOPE_SCHEMA),
]
"""Scopes in the order given, each once; one text with spaces between on the wire."""

TokenTtl = Annotated[int, Field(strict=True, ge=1, le=MAX_TOKEN_TTL)]
"""Life of access tokens in seconds."""

ReuseWindow = Annotated[int, Field(strict=True, ge=0, le=3600)]
"""Seconds during which the same request gets the same token; 0 for never."""


def same_json(one: object, other: object) -> bool:
    """Tell whether two values are one in JSON; Python holds 1, 1.0 and true for equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def check_json_size(document: Mapping[str, object], name: str, *, maximum: int) -> None:
    """Refuse a document that JSON cannot write in UTF-8, or only in more bytes than allowed.

    Args:
        document: an object of JSON.
        name: what the error calls it.
        maximum: bytes.

    Raises:
        InvalidValue: it is too large, nested too deeply, or holds what is not JSON: NaN, Infinity,
            half a character, a Python object; or a NUL, or a whole number of more than 64 bits.
    """
    try:
        size = len(json.dumps(dict(document), ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise InvalidValue(f"{name} is not JSON") from None
    if size > maximum:
        raise InvalidValue(f"{name} has more than {maximum} bytes")
    _check_value(document, name, 1)


def _check_value(value: object, name: str, depth: int) -> None:
    if isinstance(value, str) and "\0" in value:
        raise InvalidValue(f"{name} has a NUL in it")
    if isinstance(value, int) and value not in _INTEGERS:
        raise InvalidValue(f"{name} has a number of more than 64 bits")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InvalidValue(f"{name} is not JSON")  # the encoder would make strings of them
        inner: Iterable[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return
    if depth > _MAXIMUM_DEPTH:
        raise InvalidValue(f"{name} is nested more than {_MAXIMUM_DEPTH} deep")
    for each in inner:
        _check_value(each, name, depth + 1)
