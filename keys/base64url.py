"""Own base64url as JOSE writes it: no padding, no whitespace, one spelling only.

RFC 7515 §2, RFC 4648 §5 and §3.5.
"""

import binascii

# `-` and `_` become `+` and `/`; the three characters that base64url does not have become one
# that no base64 alphabet has, so that the strict decoder refuses them.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/\x00\x00\x00")
_FROM_BASE64 = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"", b"==", b"=")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The characters whose unused low bits are zero, by length modulo 4: the only ones that may end
# such a segment (RFC 4648 §3.5). Two spellings of one token would defeat caches and denylists.
_CANONICAL_ENDS = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])


def encode(data: bytes) -> str:
    """Write bytes in base64url without padding (RFC 7515 §2)."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_FROM_BASE64).decode()


def decode(text: str | bytes) -> bytes:
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
