"""What free-form JSON the registry keeps: real JSON (RFC 8259), of bounded size."""

import json
from collections.abc import Mapping

from issuer.registry.errors import InvalidValue


def check_json_size(document: Mapping[str, object], name: str, *, maximum: int) -> None:
    """Refuse a document that JSON cannot write in UTF-8, or only in more bytes than allowed.

    Args:
        document: an object of JSON.
        name: what the error calls it.
        maximum: bytes.

    Raises:
        InvalidValue: it is too large, nested too deeply, or holds what is not JSON: NaN, Infinity,
            half a character, a Python object.
    """
    try:
        size = len(json.dumps(dict(document), ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise InvalidValue(f"{name} is not JSON") from None
    if size > maximum:
        raise InvalidValue(f"{name} has more than {maximum} bytes")
