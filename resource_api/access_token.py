"""Own the validation of one JWT access token: pure, and in one fixed order (RFC 9068 §4).

Size and shape, type, algorithm and headers, key, signature, issuer, audience, times, identity,
confirmation, status, scope. RFC 7515 and RFC 8725 rule the first half, RFC 7519 §4 the second.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from keys.algorithms import verifier
from keys.encoding import decode_base64url, parse_json_object
from keys.errors import InvalidJws
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jws import parse_header, split_compact
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason
from resource_api.scope import parse_scope_claim
from resource_api.token_header import HeaderMemo, TokenHeader, check_header

MAX_IDENTITY_LENGTH = 255
FUTURE_IAT = 60
"""Seconds that `iat` may lie ahead of our clock."""

_LARGEST_DATE = 2**53  # beyond it, JSON numbers stop being exact integers (RFC 7493 §2.2)
_ABSENT = object()


class _Proven(NamedTuple):
    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    expires_at: float
    issued_at: float
    jti: str
    claims: Mapping[str, Any]


class AccessToken(_Proven):
    """A token that passed every check; only verification makes one.

    Times are seconds since the epoch; `claims` holds all of them, as they were signed.
    """

    # A tuple underneath, because one is made for every request and costs a fifth of a dataclass.
    __slots__ = ()

    def __new__(cls) -> "AccessToken":
        """Refuse: a token that was not verified is not one."""
        raise TypeError("access tokens are made by verification only")


class ParsedToken(NamedTuple):
    """A well-formed token of the right type whose signature nobody has checked yet."""

    header: TokenHeader
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    header_segment: bytes


def verify(
    token: bytes,
    keys: JwkSet,
    policy: ResourcePolicy,
    *,
    now: float,
    memo: HeaderMemo | None = None,
) -> AccessToken:
    """Validate a token against a key set.

    Args:
        token: the compact serialisation as received.
        keys: the keys of the policy's issuer, and of nobody else (RFC 8725 §3.8).
        policy: what this API accepts.
        now: seconds since the epoch.
        memo: headers checked before, under the same policy.

    Raises:
        InvalidToken: a check failed; the first one is the reason.
    """
    parsed = parse_token(token, policy, memo)
    key = keys.select(parsed.header.kid, parsed.header.alg)
    if key is None:
        raise InvalidToken(Reason.UNKNOWN_KEY, kid=parsed.header.kid)
    return verify_parsed(parsed, key, policy, now=now, memo=memo)


def parse_token(
    token: bytes, policy: ResourcePolicy, memo: HeaderMemo | None = None
) -> ParsedToken:
    """Do what needs no key: size, shape, type, algorithm, headers.

    Raises:
        InvalidToken: one of them is wrong.
    """
    if len(token) > policy.max_token_bytes:
        raise InvalidToken(Reason.TOKEN_TOO_LONG)
    try:
        segment, payload, signature, signing_input = split_compact(token)
        header = None if memo is None else memo.get(segment)
        members = parse_header(segment) if header is None else {}
        claims = parse_json_object(decode_base64url(payload))
        decoded_signature = decode_base64url(signature)
    except (InvalidJws, ValueError):
        raise InvalidToken(Reason.MALFORMED_TOKEN) from None
    if header is None:
        header = check_header(members, policy.algorithms)
    return ParsedToken(header, claims, signing_input, decoded_signature, segment)


def verify_parsed(
    parsed: ParsedToken,
    key: PublicJwk,
    policy: ResourcePolicy,
    *,
    now: float,
    memo: HeaderMemo | None = None,
) -> AccessToken:
    """Check the signature with a key of the issuer, then the claims.

    Raises:
        InvalidToken: one of them is wrong.
    """
    if not _is_signed(parsed, key):
        raise InvalidToken(Reason.BAD_SIGNATURE, kid=parsed.header.kid)
    if memo is not None:
        memo.remember(parsed.header_segment, parsed.header)
    try:
        return _check_claims(parsed.claims, policy, now)
    except InvalidToken as refusal:
        refusal.kid = parsed.header.kid
        raise


def _is_signed(parsed: ParsedToken, key: PublicJwk) -> bool:
    # RFC 8725 §3.1: one key, one algorithm, enforced where the key is used.
    if key.alg != parsed.header.alg:
        return False
    try:
        return verifier(key.alg).verify(parsed.signing_input, key.key, parsed.signature)
    except Exception:
        # Whatever the library raises, the signature is not proven; its errors stop here.
        return False


def _check_claims(claims: dict[str, Any], policy: ResourcePolicy, now: float) -> AccessToken:
    if claims.get("iss") != policy.issuer:  # RFC 9068 §4: exactly, byte for byte
        raise InvalidToken(Reason.WRONG_ISSUER)
    audience = _check_audience(claims.get("aud"), policy.resource)
    issued_at, expires_at = _check_times(claims, policy, now)
    subject = _identity(claims.get("sub"))
    client_id = _identity(claims.get("client_id"))
    jti = _identity(claims.get("jti"))
    # RFC 7800 §3.1, RFC 9449 §7.2: a bound token is not a bearer token. Neither a proof of
    # possession nor a status can be checked here, so a token that asks for either is refused.
    if "cnf" in claims:
        raise InvalidToken(Reason.SENDER_CONSTRAINED)
    if "status" in claims:
        raise InvalidToken(Reason.UNCHECKED_STATUS)
    scopes = parse_scope_claim(claims["scope"]) if "scope" in claims else frozenset()
    proven = _Proven(
        policy.issuer,
        subject,
        client_id,
        audience,
        scopes,
        expires_at,
        issued_at,
        jti,
        MappingProxyType(claims),
    )
    return tuple.__new__(AccessToken, proven)


def _check_audience(value: object, resource: str) -> tuple[str, ...]:
    """RFC 7519 §4.1.3: a string or an array of strings; RFC 9068 §4: we must be one of them."""
    if value == resource:
        return (resource,)
    if not isinstance(value, list) or resource not in value:
        raise InvalidToken(Reason.WRONG_AUDIENCE)
    if not all(isinstance(member, str) for member in value):
        raise InvalidToken(Reason.WRONG_AUDIENCE)
    return tuple(value)


def _check_times(claims: dict[str, Any], policy: ResourcePolicy, now: float) -> tuple[float, float]:
    """RFC 7519 §4.1.4-6, with bounds of our own on `iat` and on the lifetime."""
    issued_at, expires_at = _date(claims.get("iat")), _date(claims.get("exp"))
    if now >= expires_at + policy.leeway:
        raise InvalidToken(Reason.EXPIRED)
    not_before = claims.get("nbf", _ABSENT)
    if not_before is not _ABSENT and now < _date(not_before) - policy.leeway:
        raise InvalidToken(Reason.NOT_YET_VALID)
    if issued_at > now + FUTURE_IAT:
        raise InvalidToken(Reason.NOT_YET_VALID)
    if expires_at < issued_at:
        raise InvalidToken(Reason.INVALID_TIME)
    if expires_at - issued_at > policy.max_lifetime + policy.leeway:
        raise InvalidToken(Reason.LIFETIME_TOO_LONG)
    return issued_at, expires_at


def _date(value: object) -> float:
    """Read a NumericDate (RFC 7519 §2): a JSON number, which `true` and `"1"` are not."""
    # `type` and not `isinstance`: bool is a subclass of int.
    if (type(value) is int or type(value) is float) and 0 <= value < _LARGEST_DATE:
        return value
    raise InvalidToken(Reason.INVALID_TIME)


def _identity(value: object) -> str:
    """RFC 9068 §2.2: `sub`, `client_id` and `jti` are required; the bound is ours."""
    if isinstance(value, str) and 0 < len(value) <= MAX_IDENTITY_LENGTH:
        return value
    raise InvalidToken(Reason.INVALID_IDENTITY)
