"""Validate one JWT access token (RFC 9068 §4). Pure, and in one fixed order.

Size and shape, type, algorithm, headers, key and signature are those of `keys.jwt`; then the claims
are checked one after another, as `CHECKS` lists them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, Unpack

from keys.encoding import encode_base64url
from keys.errors import InvalidJwt
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import (
    HeaderMemo,
    JwtProfile,
    ParsedJwt,
    check_identity,
    check_times,
    parse_jwt,
    verify_signature,
)
from resource_api.authorization_details import (
    DetailsMembers,
    check_details_claim,
    needed_details,
)
from resource_api.config import ResourcePolicy
from resource_api.confirmation import check_confirmation
from resource_api.errors import InvalidToken, Reason
from resource_api.profiles import TokenProfile
from resource_api.scope import parse_scope_claim
from resource_api.status_list import Statuses, check_status, read_status


class TokenText:
    """A token as it was received, for those who have to show it again; in no repr and no pickle."""

    __slots__ = ("_signature", "_signing_input")

    def __init__(self, parsed: ParsedJwt) -> None:
        """Keep the parts of a parsed token."""
        self._signing_input = parsed.signing_input
        self._signature = parsed.signature

    def reveal(self) -> str:
        """Write the compact serialisation; the parser accepts one spelling of it only."""
        return f"{self._signing_input.decode('ascii')}.{encode_base64url(self._signature)}"

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "TokenText(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse: a pickle may be kept, or sent, where no token may be."""
        raise TypeError("the text of a token is not pickled")


class _Proven(NamedTuple):
    issuer: str
    subject: str
    client_id: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    expires_at: float
    issued_at: float
    jti: str
    """Empty for a token of an issuer whose profile does not ask for one."""
    claims: Mapping[str, Any]
    presented: TokenText


class AccessToken(_Proven):
    """A token that passed every check; only verification makes one.

    Times are seconds since the epoch; `claims` holds all of them, as they were signed.
    """

    # A tuple underneath, because one is made for every request and costs a fifth of a dataclass.
    __slots__ = ()

    @property
    def text(self) -> str:
        """The token as the caller sent it, such as for an exchange; as secret as a password."""
        return self.presented.reveal()

    def __new__(cls) -> "AccessToken":
        """Refuse: a token that was not verified is not one."""
        raise TypeError("access tokens are made by verification only")

    @property
    def authorization_details(self) -> tuple[Mapping[str, Any], ...]:
        """What was granted in detail (RFC 9396 §9.1): objects that have a `type`."""
        return tuple(map(MappingProxyType, self.claims.get("authorization_details", ())))

    @property
    def confirmation(self) -> Mapping[str, str]:
        """What the token is bound to (`cnf`, RFC 7800 §3.1); empty for a bearer token."""
        return MappingProxyType(self.claims.get("cnf", {}))

    def find_details(
        self, kind: str, **members: Unpack[DetailsMembers]
    ) -> Mapping[str, Any] | None:
        """Find an object of a type that has all that is named; None if no single one has.

        Args:
            kind: the `type`.
            members: what else it must have.

        Raises:
            ValueError: a text stands where a collection of texts belongs.
        """
        return needed_details(kind, **members).find(self.authorization_details)


def verify(
    token: bytes,
    keys: JwkSet,
    policy: ResourcePolicy,
    *,
    now: float,
    memo: HeaderMemo | None = None,
    status_lists: Mapping[str, Statuses] = MappingProxyType({}),
) -> AccessToken:
    """Validate a bearer token against a key set, and against status lists if it names one.

    A token that is bound to a key or a certificate is refused, as `unchecked_binding`: what its
    sender possesses is not seen here.

    Args:
        token: the compact serialisation as received.
        keys: the keys of the policy's issuer, and of no other (RFC 8725 §3.8).
        policy: what this API accepts.
        now: seconds since the epoch.
        memo: headers checked before, under the same policy.
        status_lists: the lists at hand, by their URIs (`resource_api.status_list`).

    Raises:
        InvalidToken: a check failed; the first one is the reason. A token that names a list which
            is not at hand is refused as `unchecked_status`.
    """
    parsed = parse_token(token, profile_of(policy), memo)
    key = keys.select(parsed.header.kid, parsed.header.alg)
    if key is None:
        raise InvalidToken(Reason.UNKNOWN_KEY, kid=parsed.header.kid)
    verified = verify_parsed(parsed, key, policy, now=now, memo=memo)
    refuse_bound(verified)
    reference = read_status(verified.claims, policy)
    if reference is not None:
        check_status(reference, status_lists.get(reference.uri))
    return verified


def refuse_bound(token: AccessToken) -> None:
    """Pass a bearer token alone.

    Raises:
        InvalidToken: it is bound, and nothing tells what its sender possesses (RFC 9449 §7.2).
    """
    if token.confirmation:
        raise InvalidToken(Reason.UNCHECKED_BINDING)


def profile_of(*policies: ResourcePolicy) -> JwtProfile:
    """Give the kind of JWT that at least one of some policies accepts."""
    profiles = [policy.token_profile for policy in policies]
    return JwtProfile(
        types=frozenset[str | None]().union(*(each.types for each in profiles)),  # RFC 9068 §4
        algorithms=frozenset[str]().union(*(policy.algorithms for policy in policies)),
        max_bytes=max(policy.max_token_bytes for policy in policies),
        ignored=frozenset[str]().union(*(each.ignored_headers for each in profiles)),
    )


def parse_token(token: bytes, profile: JwtProfile, memo: HeaderMemo | None = None) -> ParsedJwt:
    """Do what needs no key: size, shape, type, algorithm, headers.

    Raises:
        InvalidToken: one of them is wrong.
    """
    try:
        return parse_jwt(token, profile, memo)
    except InvalidJwt as error:
        raise InvalidToken(Reason(error.fault)) from None


def verify_parsed(
    parsed: ParsedJwt,
    key: PublicJwk,
    policy: ResourcePolicy,
    *,
    now: float,
    memo: HeaderMemo | None = None,
) -> AccessToken:
    """Check the signature with a key of the policy's issuer, then the claims.

    A status claim is read alone: `check_status` looks it up. So is `cnf`: the caller of this either
    checks what the sender possesses, or calls `refuse_bound`.

    Raises:
        InvalidToken: one of them is wrong.
    """
    try:
        verify_signature(parsed, key)
        if memo is not None:
            memo.remember(parsed.header_segment, parsed.header)
        profile = policy.token_profile
        check_marks(parsed.claims, profile)
        claims = profile.translate(parsed.claims, policy.resource)
        for _, check in CHECKS:
            check(claims, policy, now)
    except InvalidJwt as error:
        raise InvalidToken(Reason(error.fault), kid=parsed.header.kid) from None
    except InvalidToken as refusal:
        refusal.kid = parsed.header.kid
        raise
    audience = claims["aud"]
    # The order is that of `_Proven`; a tuple made by its name would cost a second one.
    proven = (
        policy.issuer,
        claims["sub"],
        claims["client_id"],
        (audience,) if isinstance(audience, str) else tuple(audience),
        parse_scope_claim(claims["scope"]) if "scope" in claims else frozenset(),
        claims["exp"],
        claims["iat"],
        claims.get("jti", ""),
        MappingProxyType(parsed.claims),
        TokenText(parsed),
    )
    return tuple.__new__(AccessToken, proven)


Claims = Mapping[str, Any]


def check_marks(claims: Claims, profile: TokenProfile) -> None:
    """Check the claims that tell an access token of a profile from other tokens.

    Raises:
        InvalidToken: one is missing, or has another value.
    """
    for name, value in profile.marks:
        if claims.get(name) != value:
            raise InvalidToken(Reason.WRONG_TYPE)


def _check_issuer(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    if claims.get("iss") != policy.issuer:  # RFC 9068 §4: exactly, byte for byte
        raise InvalidToken(Reason.WRONG_ISSUER)


def _check_audience(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    # RFC 7519 §4.1.3: a string or an array of strings; RFC 9068 §4: this API is one of them.
    value = claims.get("aud")
    if value == policy.resource:
        return
    if not isinstance(value, list) or policy.resource not in value:
        raise InvalidToken(Reason.WRONG_AUDIENCE)
    if not all(isinstance(member, str) for member in value):
        raise InvalidToken(Reason.WRONG_AUDIENCE)


def _check_times(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    check_times(claims, now, policy.leeway, policy.max_lifetime)


def _check_identity(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    if "jti" in claims or policy.token_profile.must_be_identified:
        check_identity(claims, "sub", "client_id", "jti")  # RFC 9068 §2.2 requires them
    else:
        check_identity(claims, "sub", "client_id")


def _check_confirmation(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    check_confirmation(claims, policy.binding_required)


def _check_status(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    read_status(claims, policy)


def _check_details(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    if "authorization_details" in claims:  # RFC 9396 §9.1
        check_details_claim(claims["authorization_details"])


def _check_scope(claims: Claims, policy: ResourcePolicy, now: float) -> None:
    if "scope" in claims:  # RFC 9068 §2.2.3; without it the token allows nothing that is guarded
        parse_scope_claim(claims["scope"])


CHECKS: tuple[tuple[str, Callable[[Claims, ResourcePolicy, float], None]], ...] = (
    ("issuer", _check_issuer),
    ("audience", _check_audience),
    ("times", _check_times),
    ("identity", _check_identity),
    ("confirmation", _check_confirmation),
    ("status", _check_status),
    ("scope", _check_scope),
    ("authorization_details", _check_details),
)
"""The checks of the claims by name, in order; each raises InvalidToken or InvalidJwt.

Verification stops at the first that fails; an explanation can run them all, since none depends on
another. Their arguments are what `TokenProfile.translate` gives, policy and time in seconds since
the epoch.
"""
