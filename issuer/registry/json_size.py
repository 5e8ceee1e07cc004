"""What free-form JSON the registry keeps: real JSON (RFC 8259), of bounded size."""

import json
from collections.abc import Iterable, Mapping

from issuer.registry.errors import InvalidValue

_MAXIMUM_DEPTH = 16
_INTEGERS = range(-(2**63), 2**63)
"""Files of the registry may be TOML, whose numbers have 64 bits."""


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
        inner: Iterable[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return
    if depth > _MAXIMUM_DEPTH:
        raise InvalidValue(f"{name} is nested more than {_MAXIMUM_DEPTH} deep")
    for each in inner:
        _check_value(each, name, depth + 1)
