"""Own the header of an access token: its type, algorithm, key name and what it must not hold.

RFC 9068 §4, RFC 8725 §3.1, §3.10, §3.11; standards call these steps 3 and 4.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from resource_api.errors import InvalidToken, Reason

MAX_KID_LENGTH = 255

_ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
# Keys and compression named by the token itself, and nested tokens: never looked at, always
# refused (RFC 8725 §3.10). The JWS parser refused `crit` and `b64` before.
_FORBIDDEN = frozenset({"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "cty", "enc"})


class TokenHeader(NamedTuple):
    """What a checked header says: which key, for which algorithm."""

    alg: str
    kid: str


def check_header(members: Mapping[str, Any], algorithms: frozenset[str]) -> TokenHeader:
    """Check the header members of an access token against the accepted algorithms.

    Raises:
        InvalidToken: another kind of token, another algorithm, a forbidden header, no usable kid.
    """
    typ = members.get("typ")
    # RFC 9068 §4: at+jwt or application/at+jwt, media types being case-insensitive. Anything else
    # from the same issuer is another kind of token (RFC 8725 §3.11, §3.12).
    if not isinstance(typ, str) or typ.lower() not in _ACCESS_TOKEN_TYPES:
        raise InvalidToken(Reason.WRONG_TYPE)
    alg: str = members["alg"]
    if alg not in algorithms:  # RFC 8725 §3.1: an allow-list, exact and case-sensitive
        raise InvalidToken(Reason.WRONG_ALGORITHM)
    if not _FORBIDDEN.isdisjoint(members):
        raise InvalidToken(Reason.FORBIDDEN_HEADER)
    kid = members.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        raise InvalidToken(Reason.INVALID_KID)
    return TokenHeader(alg, kid)


class HeaderMemo:
    """Remember the headers of good tokens by their exact first segment.

    An equal segment is an equal header, so a look-up replaces decoding and parsing. Only verified
    tokens enter, so that nobody without a key can push the good ones out.
    """

    __slots__ = ("_bound", "_headers", "get")

    def __init__(self, bound: int = 64) -> None:
        """Remember at most this many headers."""
        self._bound = bound
        self._headers: dict[bytes, TokenHeader] = {}
        self.get = self._headers.get
        """Give the header of a segment seen before, or None."""

    def remember(self, segment: bytes, header: TokenHeader) -> None:
        """Keep a header; a full memo starts afresh."""
        if segment not in self._headers:
            if len(self._headers) >= self._bound:
                self._headers.clear()
            self._headers[segment] = header
