"""What each check of an access token is about: its clause, what would pass, and what the token has.

Pure. `resource_api.explanation` runs the checks. A description holds claims of the token and
settings of the API: it is for an operator, and never for an answer.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from keys.jwks import JwkSet
from keys.jwt import (
    FORBIDDEN_HEADERS,
    FUTURE_IAT,
    MAX_IDENTITY_LENGTH,
    MAX_KID_LENGTH,
    SPACE_INSIDE,
)
from resource_api.config import ResourcePolicy
from resource_api.confirmation import CERTIFICATE, KEY
from resource_api.profiles import RFC9068

if TYPE_CHECKING:
    from typing import TypeGuard

_LONGEST_VALUE = 200
_END_OF_DATES = 253_402_300_800  # the year 10000


class Seen(NamedTuple):
    """What there is to judge by: a token with its header members and claims, and what it meets."""

    token: bytes
    members: Mapping[str, Any]
    claims: Mapping[str, Any]
    policy: ResourcePolicy
    keys: JwkSet | None
    now: float


class Description(NamedTuple):
    """What a check is about: the clause, what passes, and what the token has."""

    clause: str
    expected: Callable[[Seen], str]
    found: Callable[[Seen], str]


def _claim(*names: str) -> Callable[[Seen], str]:
    return lambda seen: show_members(seen.claims, names)


def _member(*names: str) -> Callable[[Seen], str]:
    return lambda seen: show_members(seen.members, names)


def show_members(members: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Write members as JSON, shortened."""
    shown = []
    for name in names:
        text = json.dumps(members[name]) if name in members else "missing"
        shown.append(
            f"{name} {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '…'}"
        )
    return ", ".join(shown)


def _identifying(seen: Seen) -> tuple[str, ...]:
    profile = seen.policy.token_profile
    return profile.client + profile.identifier


def _needed_identity(seen: Seen) -> str:
    profile = seen.policy.token_profile
    named = f"sub, {' or '.join(profile.client)} and {' or '.join(profile.identifier)}"
    bounds = f"strings of 1 to {MAX_IDENTITY_LENGTH} characters"
    return f"{named}{'' if profile.must_be_identified else ' (which may be missing)'}: {bounds}"


def _needed_audience(seen: Seen) -> str:
    resource = seen.policy.resource
    wanted = f'aud "{resource}", or a list of strings with it'
    if seen.policy.token_profile.audience_in_scope:
        wanted += f'; or no aud and a scope that begins with "{resource}/"'
    return wanted


def _scope_claims(seen: Seen) -> tuple[str, ...]:
    paths = seen.policy.token_profile.scopes
    return tuple(path if isinstance(path, str) else path[0] for path in paths)


def _listed_scopes(seen: Seen) -> str:
    return "" if seen.policy.token_profile is RFC9068 else ", or a list of names"


def _forbidden_names(seen: Seen) -> list[str]:
    return sorted(FORBIDDEN_HEADERS - seen.policy.token_profile.ignored_headers)


def _forbidden(seen: Seen) -> str:
    names = [name for name in _forbidden_names(seen) if name in seen.members]
    return ", ".join(names) or "none of them"


def _accepted_types(seen: Seen) -> str:
    profile = seen.policy.token_profile
    types = " or ".join("no typ" if each is None else f'typ "{each}"' for each in profile.types)
    return ", ".join([types, *(f'claim {name} "{value}"' for name, value in profile.marks)])


def _found_types(seen: Seen) -> str:
    marks = [
        f"claim {show_members(seen.claims, (name,))}" for name, _ in seen.policy.token_profile.marks
    ]
    return ", ".join([show_members(seen.members, ("typ",)), *marks])


def _needed_confirmation(seen: Seen) -> str:
    key, certificate = "jkt (a DPoP key)", "x5t#S256 (a certificate)"
    return {
        "": f"no cnf, or one with {key}, {certificate} or both",
        "any": f"a cnf with {key}, {certificate} or both",
        "dpop": f"a cnf with {key}, and perhaps {certificate}",
        "certificate": f"a cnf with {certificate}, and perhaps {key}",
    }[seen.policy.binding_required]


def _found_confirmation(seen: Seen) -> str:
    found = show_members(seen.claims, ("cnf",))
    confirmation = seen.claims.get("cnf")
    if not isinstance(confirmation, dict):
        return found
    needs = {KEY: "the scheme DPoP and a proof", CERTIFICATE: "the client certificate"}
    needed = " and ".join(what for name, what in needs.items() if name in confirmation)
    return f"{found}; each request needs {needed}" if needed else found


def _published(seen: Seen) -> str:
    if seen.keys is None:
        return "a key of the issuer with this kid and algorithm"
    told = ", ".join(f"{key.kid} ({key.alg})" for key in seen.keys.keys)
    return f"one of the issuer's keys: {told}"


def _allowed_times(seen: Seen) -> str:
    policy = seen.policy
    return (
        f"it is {show_time(seen.now)}: iat at most {FUTURE_IAT} s ahead, exp and nbf within a "
        f"leeway of {policy.leeway} s, exp at most {policy.max_lifetime} s after iat"
    )


def _found_times(seen: Seen) -> str:
    names = [name for name in ("iat", "nbf", "exp") if name in seen.claims]
    shown = [f"{name} {show_time(seen.claims[name])}" for name in names]
    age = describe_age(seen.claims, seen.now)
    return ", ".join([*shown, *([age] if age else [])]) or "no times"


def _found_parts(seen: Seen) -> str:
    if any(each.isspace() for each in seen.token.decode("utf-8", "replace")):
        return SPACE_INSIDE
    number = seen.token.count(b".") + 1
    return "1 part" if number == 1 else f"{number} parts"


DESCRIPTIONS: Mapping[str, Description] = {
    "size": Description(
        "RFC 9068 §4",
        lambda seen: f"at most {seen.policy.max_token_bytes} bytes",
        lambda seen: f"{len(seen.token)} bytes",
    ),
    "shape": Description(
        "RFC 7515 §7.1, RFC 7519 §7.2",
        lambda seen: "three base64url parts; header and claims one strict JSON object each",
        _found_parts,
    ),
    "type": Description("RFC 9068 §4, RFC 8725 §3.11", _accepted_types, _found_types),
    "algorithm": Description(
        "RFC 8725 §3.1",
        lambda seen: "alg " + " or ".join(sorted(seen.policy.algorithms)),
        _member("alg"),
    ),
    "header members": Description(
        "RFC 8725 §3.10",
        lambda seen: "none of " + ", ".join(_forbidden_names(seen)),
        _forbidden,
    ),
    "kid": Description(
        "RFC 7515 §4.1.4",
        lambda seen: f"a string of 1 to {MAX_KID_LENGTH} characters",
        _member("kid"),
    ),
    "key": Description("RFC 9068 §4, RFC 8725 §3.8", _published, _member("kid", "alg")),
    "signature": Description(
        "RFC 7515 §5.2",
        lambda seen: "made with the key that kid names",
        lambda seen: "over the header and claims as received",
    ),
    "issuer": Description("RFC 9068 §4", lambda seen: f'iss "{seen.policy.issuer}"', _claim("iss")),
    "audience": Description(
        "RFC 9068 §4, RFC 7519 §4.1.3",
        _needed_audience,
        _claim("aud"),
    ),
    "times": Description("RFC 7519 §4.1.4 to §4.1.6", _allowed_times, _found_times),
    "identity": Description(
        "RFC 9068 §2.2",
        _needed_identity,
        lambda seen: show_members(seen.claims, ("sub", *_identifying(seen))),
    ),
    "confirmation": Description(
        "RFC 7800 §3.1, RFC 9449 §6.1, RFC 8705 §3.1",
        _needed_confirmation,
        _found_confirmation,
    ),
    "status": Description(
        "Token Status List §6.2",
        lambda seen: (
            "no status, or an index from 0 on in a list below "
            + (seen.policy.status_lists or seen.policy.issuer)
        ),
        _claim("status"),
    ),
    "scope": Description(
        "RFC 9068 §2.2.3, RFC 6749 §3.3",
        lambda seen: "no scope, or names with single spaces between" + _listed_scopes(seen),
        lambda seen: show_members(seen.claims, _scope_claims(seen)),
    ),
    "authorization_details": Description(
        "RFC 9396 §9.1",
        lambda seen: "no authorization_details, or a list of objects with a type each",
        _claim("authorization_details"),
    ),
    "status list": Description(
        "Token Status List §8.3",
        lambda seen: "status 0 (valid) where the status claim points to, if there is one",
        _claim("status"),
    ),
}
"""Every check, in the order of validation."""


def describe_age(claims: Mapping[str, Any], now: float) -> str | None:
    """Say whether a token expired, is valid or will be; None if its times do not say.

    Args:
        claims: of the token.
        now: seconds since the epoch.
    """
    ends, begins = claims.get("exp"), claims.get("nbf")
    if not _is_date(ends):
        return None
    if now >= ends:
        return f"expired {show_duration(now - ends)} ago"
    if _is_date(begins) and begins > now:
        return f"not valid for another {show_duration(begins - now)}"
    return f"valid for {show_duration(ends - now)}"


def show_duration(seconds: float) -> str:
    """Write seconds as people say them: `61 s`, `9 min`, `5 h`, `3 days`."""
    for size, unit, most in ((1, "s", 120), (60, "min", 7200), (3600, "h", 172_800)):
        if seconds < most:
            return f"{math.floor(seconds / size)} {unit}"
    return f"{math.floor(seconds / 86_400)} days"


def show_time(value: object) -> str:
    """Write a NumericDate as RFC 3339 in UTC; anything else as JSON."""
    if not _is_date(value):
        return json.dumps(value)[:_LONGEST_VALUE]
    return datetime.fromtimestamp(math.floor(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_date(value: object) -> "TypeGuard[float]":
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value < _END_OF_DATES
    )
