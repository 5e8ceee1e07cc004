"""Own JSON as a security protocol needs it read: a document has one meaning or none.

RFC 8259, RFC 7493, RFC 7515 §4, RFC 7519 §4, RFC 8725 §3.7.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32

_TOO_DEEP = "JSON is nested too deeply"


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object, refusing whatever two parsers might read differently.

    UTF-8 without a byte order mark; no repeated name at any depth (RFC 7515 §4, RFC 7519 §4), no
    NaN or Infinity, no lone surrogate, no NUL, nothing after the object, bounded nesting. The
    caller bounds the size of the input; Python bounds the digits of an integer.

    Raises:
        ValueError: the bytes are not such an object.
    """
    try:
        text = raw.decode().strip(" \t\r\n")
        value, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if end != len(text):
        raise ValueError("something follows the JSON value")
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    # Only an escape can smuggle in a surrogate or a NUL (raw ones are no UTF-8, or control
    # characters), and depth needs a container inside: most claim sets never pay for a second look.
    if "\\" in text or "[" in text or text.find("{", 1) > 0:
        _inspect(value)
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name is repeated in a JSON object")
    return members


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a JSON number is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    # RFC 8259 §6: Infinity and NaN are not permitted.
    raise ValueError("NaN and Infinity are not JSON")


def _inspect(root: dict[str, Any]) -> None:
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _children(value: object) -> list[Any]:
    """Give the values and names inside a container, after checking a string."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and ("\x00" in value or not _is_encodable(value)):
        raise ValueError("a JSON string holds NUL or a lone surrogate")
    return []


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_float=_finite_float,
    parse_constant=_refuse_constant,
    strict=True,
)
