"""Read JWTs strictly: header, type, algorithm, signature, times and identity claims.

Pure. RFC 7515 §5.2, RFC 7519 §4 and §7.2, RFC 8725 §3. What a kind of token asks for beyond that,
such as RFC 9068, is up to its own reader. Nothing here trusts a claim: `parse_jwt` returns what a
sender says, `verify_signature` and the checks say whether to believe it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from keys.encoding import decode_base64url, parse_json_object
from keys.errors import InvalidJws, InvalidJwt, JwtFault
from keys.jwk import PublicJwk
from keys.jws import parse_compact, parse_header, split_compact
from keys.key_types import verifier

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1, a media type

MAX_TOKEN_BYTES = 8192
"""The longest token that an issuer of ours issues, and that an API looks at unless told otherwise.

It has room for ML-DSA-87 and 1,400 octets of claims, and fits the 8 KB that common servers and
proxies allow for a header field.
"""
SPACE_INSIDE = "white space inside, as in a token that was copied from lines: take it out"
"""What is said of a token that was copied in pieces (RFC 7515 §7.1 has none)."""
MAX_KID_LENGTH = 255
MAX_IDENTITY_LENGTH = 255
FUTURE_IAT = 60
"""Seconds that `iat` may lie ahead of our clock."""

_LARGEST_DATE = 2**53  # beyond it, JSON numbers stop being exact integers (RFC 7493 §2.2)
# Keys and compression named by the token itself, and nested tokens: never looked at, always
# refused (RFC 8725 §3.10). The JWS parser refused `crit` and `b64` before.
CERTIFICATE_THUMBPRINTS = frozenset({"x5t", "x5t#S256"})
FORBIDDEN_HEADERS = CERTIFICATE_THUMBPRINTS | {"jwk", "jku", "x5u", "x5c", "zip", "cty", "enc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtProfile:
    """The kind of JWT that is accepted, as far as can be told without a key."""

    types: frozenset[str | None]
    """The accepted media types without `application/`, in lower case; None for no `typ`."""
    algorithms: frozenset[str]
    """The accepted `alg` values."""
    max_bytes: int
    """The longest token that is looked at."""
    ignored: frozenset[str] = frozenset()
    """Those of `FORBIDDEN_HEADERS` that a header may have all the same."""
    kid_required: bool = True
    """Whether a header without `kid` is refused; it has an empty one otherwise."""


class JwtHeader(NamedTuple):
    """What a checked header says: which key, for which algorithm."""

    alg: str
    kid: str


class ParsedJwt(NamedTuple):
    """A well-formed JWT of the right type whose signature is not verified yet."""

    header: JwtHeader
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    header_segment: bytes

    def __repr__(self) -> str:
        """Show no part of a token that may be good."""
        return f"ParsedJwt(kid={self.header.kid!r})"


class UnverifiedJwt(NamedTuple):
    """A JWT that was taken apart and not judged: all that it says is a claim of its sender."""

    header: Mapping[str, Any]
    """As sent; `alg` is known to be a string, and no more."""
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    header_segment: bytes

    @property
    def type(self) -> str:
        """What `typ` says, as `JwtProfile.types` writes it; empty without one."""
        found = self.header.get("typ")
        return _media_type(found) if isinstance(found, str) else ""

    def under(self, header: JwtHeader) -> ParsedJwt:
        """Return it for verification, by a header that was checked."""
        return ParsedJwt(header, *self[1:])

    def __repr__(self) -> str:
        """Show no part of a token that may be good."""
        return f"UnverifiedJwt(type={self.type!r})"


class HeaderMemo:
    """Remember the headers of good tokens by their exact first segment.

    An equal segment is an equal header, so a look-up replaces decoding and parsing. Only verified
    tokens enter, so that a sender without a key cannot push the good ones out.
    """

    __slots__ = ("_bound", "_headers", "get")

    def __init__(self, bound: int = 64) -> None:
        """Remember at most this many headers."""
        self._bound = bound
        self._headers: dict[bytes, JwtHeader] = {}
        self.get = self._headers.get
        """Give the header of a segment seen before, or None."""

    def remember(self, segment: bytes, header: JwtHeader) -> None:
        """Keep a header; a full memo starts afresh."""
        if segment not in self._headers:
            if len(self._headers) >= self._bound:
                self._headers.clear()
            self._headers[segment] = header


def parse_jwt(token: bytes, profile: JwtProfile, memo: HeaderMemo | None = None) -> ParsedJwt:
    """Do what needs no key: size, shape, type, algorithm, headers.

    Args:
        token: the compact serialisation as received.
        profile: what is accepted.
        memo: headers that were checked before, under the same profile.

    Raises:
        InvalidJwt: one of them is wrong.
    """
    if len(token) > profile.max_bytes:
        raise InvalidJwt(JwtFault.TOKEN_TOO_LONG)
    try:
        segment, payload, encoded_signature, signing_input = split_compact(token)
        header = None if memo is None else memo.get(segment)
        members = parse_header(segment) if header is None else {}
        claims = parse_json_object(decode_base64url(payload))
        signature = decode_base64url(encoded_signature)
    except (InvalidJws, ValueError):
        raise InvalidJwt(JwtFault.MALFORMED_TOKEN) from None
    if header is None:
        header = check_header(members, profile)
    return ParsedJwt(header, claims, signing_input, signature, segment)


def read_jwt(token: str | bytes) -> UnverifiedJwt:
    """Take a JWT apart without judging it.

    Raises:
        InvalidJwt: it is none in the compact serialisation, or its header asks for an extension.
    """
    try:
        jws = parse_compact(token)
        claims = parse_json_object(jws.payload)
    except (InvalidJws, ValueError):
        raise InvalidJwt(JwtFault.MALFORMED_TOKEN) from None
    return UnverifiedJwt(jws.header, claims, jws.signing_input, jws.signature, jws.header_segment)


def check_header(members: Mapping[str, Any], profile: JwtProfile) -> JwtHeader:
    """Check the header members that `parse_header` returned.

    Raises:
        InvalidJwt: another kind of token, another algorithm, a forbidden header, no usable kid.
    """
    for _, check in HEADER_CHECKS:
        check(members, profile)
    return JwtHeader(members["alg"], members.get("kid", ""))


def _check_type(members: Mapping[str, Any], profile: JwtProfile) -> None:
    found = members.get("typ")
    # RFC 8725 §3.11: explicit typing, so that one kind of token cannot pass for another.
    if isinstance(found, str):
        found = _media_type(found)
    elif "typ" in members:
        raise InvalidJwt(JwtFault.WRONG_TYPE)
    if found not in profile.types:
        raise InvalidJwt(JwtFault.WRONG_TYPE)


def _media_type(typ: str) -> str:
    # Case-insensitive, and `application/` may be left out (RFC 7515 §4.1.9).
    return typ.lower().removeprefix("application/")


def _check_algorithm(members: Mapping[str, Any], profile: JwtProfile) -> None:
    # RFC 8725 §3.1: an allow-list, exact and case-sensitive
    if members["alg"] not in profile.algorithms:
        raise InvalidJwt(JwtFault.WRONG_ALGORITHM)


def _check_members(members: Mapping[str, Any], profile: JwtProfile) -> None:
    if FORBIDDEN_HEADERS & members.keys() - profile.ignored:
        raise InvalidJwt(JwtFault.FORBIDDEN_HEADER)


def _check_kid(members: Mapping[str, Any], profile: JwtProfile) -> None:
    if "kid" not in members and not profile.kid_required:
        return
    kid = members.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_LENGTH:
        raise InvalidJwt(JwtFault.INVALID_KID)


HEADER_CHECKS: tuple[tuple[str, Callable[[Mapping[str, Any], JwtProfile], None]], ...] = (
    ("type", _check_type),
    ("algorithm", _check_algorithm),
    ("header members", _check_members),
    ("kid", _check_kid),
)
"""The checks of a header by name, in order; each raises InvalidJwt, and none depends on another."""


def verify_signature(jwt: ParsedJwt, key: PublicJwk) -> None:
    """Verify the signature over the bytes received (RFC 7515 §5.2).

    Raises:
        InvalidJwt: it does not prove that the holder of this key signed.
    """
    # RFC 8725 §3.1: one key, one algorithm, enforced where the key is used.
    if key.alg == jwt.header.alg:
        try:
            if verifier(key.alg).verify(jwt.signing_input, key.key, jwt.signature):
                return
        except Exception:  # noqa: S110
            # Whatever the library raises, the signature is not proven; its errors stop here.
            pass
    raise InvalidJwt(JwtFault.BAD_SIGNATURE)


def check_times(claims: Mapping[str, Any], now: float, leeway: float, max_lifetime: float) -> None:
    """Check `iat`, `exp` and `nbf`, with bounds of our own on `iat` and on the lifetime.

    RFC 7519 §4.1.4 to §4.1.6; `iat` and `exp` are required.

    Args:
        claims: the claim set.
        now: seconds since the epoch.
        leeway: seconds that two clocks may differ.
        max_lifetime: the longest `exp - iat` in seconds.

    Raises:
        InvalidJwt: expired, not valid yet, too long, or a claim that is not a date.
    """
    issued_at, expires_at = read_date(claims.get("iat")), read_date(claims.get("exp"))
    if now >= expires_at + leeway:  # §4.1.4: "on or after"
        raise InvalidJwt(JwtFault.EXPIRED)
    if "nbf" in claims and now < read_date(claims["nbf"]) - leeway:
        raise InvalidJwt(JwtFault.NOT_YET_VALID)
    if issued_at > now + FUTURE_IAT:
        raise InvalidJwt(JwtFault.NOT_YET_VALID)
    if expires_at < issued_at:
        raise InvalidJwt(JwtFault.INVALID_TIME)
    if expires_at - issued_at > max_lifetime + leeway:
        raise InvalidJwt(JwtFault.LIFETIME_TOO_LONG)


def check_identity(claims: Mapping[str, Any], *names: str) -> None:
    """Check that claims such as `sub` and `jti` are strings of bounded length, and not empty.

    Raises:
        InvalidJwt: one is missing or something else.
    """
    for name in names:
        value = claims.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= MAX_IDENTITY_LENGTH:
            raise InvalidJwt(JwtFault.INVALID_IDENTITY)


def read_date(value: object) -> float:
    """Read a NumericDate (RFC 7519 §2): a JSON number, which `true` and `"1"` are not.

    Raises:
        InvalidJwt: it is something else, negative, or beyond what JSON counts exactly.
    """
    # `type` and not `isinstance`: bool is a subclass of int.
    if (type(value) is int or type(value) is float) and 0 <= value < _LARGEST_DATE:
        return value
    raise InvalidJwt(JwtFault.INVALID_TIME)
