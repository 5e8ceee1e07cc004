"""Parse the compact serialisation of a JWS strictly (RFC 7515 §3.1, §4, §7.1; RFC 7797 §7).

Nothing here verifies a signature; a parsed JWS is still an unproven claim of its sender.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keys.encoding import decode_base64url, parse_json_object
from keys.errors import InvalidJws


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactJws:
    """A well-formed compact JWS whose signature is not verified yet."""

    header: Mapping[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes
    header_segment: bytes

    def __repr__(self) -> str:
        """Show no part of what may be a good token."""
        return f"CompactJws({len(self.payload)} bytes)"


def parse_compact(token: str | bytes) -> CompactJws:
    """Take a compact JWS apart.

    Raises:
        InvalidJws: not exactly three base64url segments, or a header that `parse_header` refuses.
    """
    raw = token.encode("utf-8", "replace") if isinstance(token, str) else token
    header_segment, payload_segment, signature_segment, signing_input = split_compact(raw)
    return CompactJws(
        header=parse_header(header_segment),
        payload=decode_segment(payload_segment),
        signature=decode_segment(signature_segment),
        signing_input=signing_input,
        header_segment=header_segment,
    )


def split_compact(token: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Split into header, payload and signature segments and the signing input, all still encoded.

    Raises:
        InvalidJws: there are not exactly three segments.
    """
    # RFC 7515 §5.2: the signature is over the bytes received, never over JSON written again, so
    # the signing input is a slice of them.
    segments = token.split(b".", 3)
    # RFC 7515 §3.1, §7.1: BASE64URL(header).BASE64URL(payload).BASE64URL(signature). Five segments
    # would be a JWE (RFC 7516 §3.1), a leading `{` the JSON serialisation.
    if len(segments) != 3:
        raise InvalidJws("not three segments")
    header, payload, signature = segments
    return header, payload, signature, token[: len(header) + 1 + len(payload)]


def decode_segment(segment: bytes) -> bytes:
    """Decode one segment.

    Raises:
        InvalidJws: it is not canonical base64url (RFC 7515 §2).
    """
    try:
        return decode_base64url(segment)
    except ValueError:
        raise InvalidJws("a segment is not canonical base64url") from None


def parse_header(segment: bytes) -> dict[str, Any]:
    """Parse the protected header of a JWT.

    Raises:
        InvalidJws: not a strict JSON object, no string `alg`, or any `crit` or `b64`.
    """
    # RFC 7515 §4: a repeated name makes the header invalid, which the strict parser refuses.
    try:
        header = parse_json_object(decode_segment(segment))
    except ValueError:
        raise InvalidJws("the header is not a JSON object") from None
    if not isinstance(header.get("alg"), str):  # RFC 7515 §4.1.1: MUST be present
        raise InvalidJws("the header has no algorithm name")
    # RFC 7515 §4.1.11: what `crit` lists must be understood, and no extension is understood here,
    # not even an empty list. RFC 7797 §7: a JWT MUST NOT have an unencoded payload.
    if "crit" in header or "b64" in header:
        raise InvalidJws("the header asks for an extension")
    return header
