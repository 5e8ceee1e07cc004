"""Own undoing a content coding that nobody asked for: gzip, never beyond a bound (RFC 9110 §8.4.1).

Pure. A kilobyte of gzip can unfold into a megabyte, so the bound counts what comes out.
"""

import zlib

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_NAMES = frozenset({"gzip", "x-gzip"})  # RFC 9110 §8.4.1.3: one and the same


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
    """Return what a gzip body holds.

    Args:
        body: one whole gzip member.
        maximum: the most bytes that may come out.

    Raises:
        ValueError: it is no gzip, is cut short, has something after it, or holds more.
    """
    inflater = zlib.decompressobj(_GZIP)
    try:
        content = inflater.decompress(body, maximum + 1)
    except zlib.error:
        raise ValueError("it is not gzip") from None
    if len(content) > maximum:
        raise ValueError(f"it holds more than {maximum} bytes")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("it is cut short, or something follows it")
    return content
