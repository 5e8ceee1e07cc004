"""Decode what peers send, strictly: base64url, JSON objects, gzip and zlib.

Pure, and without cryptography. A document has one meaning or none, a byte string one spelling, and
what is unpacked has a bound. RFC 4648, RFC 7515, RFC 7519 §4, RFC 8259, RFC 8725 §3.7, RFC 9110.
"""

import binascii
import json
import math
import zlib
from typing import Any, NoReturn

MAX_DEPTH = 32
"""How deeply the arrays and objects of a JSON document may be nested."""

# `-` and `_` become `+` and `/`; the three characters that base64url does not have become one
# that no base64 alphabet has, so that the strict decoder refuses them.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/\x00\x00\x00")
_FROM_BASE64 = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"", b"==", b"=")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The characters whose unused low bits are zero, by length modulo 4: the only ones that may end
# such a segment (RFC 4648 §3.5). Two spellings of one token would defeat caches and denylists.
_CANONICAL_ENDS = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])

_TOO_DEEP = "JSON is nested too deeply"

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_NAMES = frozenset({"gzip", "x-gzip"})  # RFC 9110 §8.4.1.3: two names of one coding


def encode_base64url(data: bytes) -> str:
    """Write bytes in base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_FROM_BASE64).decode()


def decode_base64url(text: str | bytes) -> bytes:
    """Read unpadded base64url, accepting the canonical spelling alone.

    Raises:
        ValueError: padding, whitespace, a foreign character, an impossible length, or unused
            bits that are not zero (RFC 7515 §2, RFC 4648 §3.5).
    """
    segment = text.encode("utf-8", "replace") if isinstance(text, str) else text
    rest = len(segment) & 3
    if segment and segment[-1] not in _CANONICAL_ENDS[rest]:
        raise ValueError("not canonical base64url")
    try:
        return binascii.a2b_base64(segment.translate(_TO_BASE64) + _PADDING[rest], strict_mode=True)
    except binascii.Error:
        raise ValueError("not base64url") from None


def is_gzip(content_encoding: str) -> bool:
    """Read a `Content-Encoding` field: True for gzip, False for none at all.

    Raises:
        ValueError: another coding, or several.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):  # RFC 9110 §12.5.3: "identity" is no coding
        return False
    if coding not in _GZIP_NAMES:
        raise ValueError("a content coding that was not asked for")
    return True


def inflate(body: bytes, *, maximum: int) -> bytes:
    """Return what a gzip body holds; a kilobyte of gzip can unfold into a megabyte.

    Args:
        body: one whole gzip member.
        maximum: the most bytes that may come out.

    Raises:
        ValueError: it is no gzip, is cut short, has something after it, or holds more.
    """
    return _inflate(body, maximum, _GZIP, "gzip")


def inflate_zlib(data: bytes, *, maximum: int) -> bytes:
    """Return what zlib data (RFC 1950) holds; `inflate` says what is refused.

    Raises:
        ValueError: as `inflate`.
    """
    return _inflate(data, maximum, zlib.MAX_WBITS, "zlib")


def _inflate(data: bytes, maximum: int, form: int, name: str) -> bytes:
    inflater = zlib.decompressobj(form)
    try:
        content = inflater.decompress(data, maximum + 1)
    except zlib.error:
        raise ValueError(f"it is not {name}") from None
    if len(content) > maximum:
        raise ValueError(f"it holds more than {maximum} bytes")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("it is cut short, or something follows it")
    return content


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object, refusing whatever two parsers might read differently.

    UTF-8 without a byte order mark; no repeated name at any depth (RFC 7515 §4, RFC 7519 §4), no
    NaN or Infinity, no lone surrogate, no NUL, nothing after the object, bounded nesting. The
    caller bounds the size of the input; Python bounds the digits of an integer.

    Raises:
        ValueError: the bytes are not such an object.
    """
    value = _parse(raw)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def parse_json_array(raw: bytes) -> list[Any]:
    """Parse one JSON array as strictly as `parse_json_object` does an object.

    Raises:
        ValueError: the bytes are not such an array.
    """
    value = _parse(raw)
    if not isinstance(value, list):
        raise ValueError("not a JSON array")
    return value


def _parse(raw: bytes) -> object:
    try:
        text = raw.decode().strip(" \t\r\n")
        value, end = _DECODER.raw_decode(text)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        # Python's own text, for an integer of more than 4,300 digits.
        if str(error).startswith("Exceeds the limit"):
            raise ValueError("a JSON number is too large") from None
        raise
    if end != len(text):
        raise ValueError("something follows the JSON value")
    # Only an escape can smuggle in a surrogate or a NUL (raw ones are no UTF-8, or control
    # characters), and depth needs as many brackets: most claim sets never pay for a second look.
    if "\\" in text or text.count("{") + text.count("[") >= MAX_DEPTH:
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


def _inspect(root: object) -> None:
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
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_float=_finite_float,
    parse_constant=_refuse_constant,
    strict=True,
)
