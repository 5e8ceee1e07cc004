"""Explain why an access token is accepted or refused: every check, not only the first that fails.

Pure. The verdicts are those of the very functions that validation calls, so the two cannot differ;
what stands here besides is what each check is about. An explanation holds claims of the token and
settings of the API: it is for an operator, and never for an answer.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from keys.encoding import parse_json_object
from keys.errors import InvalidJwt
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jws import parse_compact
from keys.jwt import (
    ACCESS_TOKEN_TYPE,
    FORBIDDEN_HEADERS,
    FUTURE_IAT,
    HEADER_CHECKS,
    MAX_IDENTITY_LENGTH,
    MAX_KID_LENGTH,
    JwtHeader,
    ParsedJwt,
    verify_signature,
)
from resource_api.access_token import CHECKS, parse_token, profile_of
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason, ResourceError
from resource_api.status_list import Statuses, StatusReference, check_status, read_status

if TYPE_CHECKING:
    from typing import TypeGuard

_LONGEST_VALUE = 200
_END_OF_DATES = 253_402_300_800  # the year 10000


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"


class Finding(NamedTuple):
    """One check of a token.

    Args:
        check: its name.
        outcome: what came of it.
        clause: the section of the specification that asks for it.
        expected: what would pass.
        found: what the token has; or why the check was not reached.
        reason: the code with which validation refuses for it; None where it does not.
    """

    check: str
    outcome: Outcome
    clause: str
    expected: str
    found: str
    reason: Reason | None = None


class Explanation(NamedTuple):
    """All checks of a token in the order of validation.

    Args:
        findings: one for each check.
        status_list: the URI of the list that decides, if all other checks passed.
    """

    findings: tuple[Finding, ...]
    status_list: str | None

    @property
    def accepted(self) -> bool:
        """Whether every check passed."""
        return all(each.outcome is Outcome.PASSED for each in self.findings)

    @property
    def refused(self) -> bool:
        """Whether a check failed; one that is neither refused nor accepted was not decided."""
        return any(each.outcome is Outcome.FAILED for each in self.findings)

    @property
    def reason(self) -> Reason | None:
        """The code of the first check that failed; else of the first that was not reached.

        It is the one with which validation refuses, where the keys are at hand. None for a token
        that is accepted.
        """
        kind = Outcome.FAILED if self.refused else Outcome.NOT_REACHED
        told = (each.reason for each in self.findings if each.outcome is kind)
        return next((reason for reason in told if reason is not None), None)


def explain(
    token: bytes,
    keys: JwkSet | None,
    policy: ResourcePolicy,
    *,
    now: float,
    status_lists: Mapping[str, Statuses | ResourceError] = MappingProxyType({}),
) -> Explanation:
    """Run every check of a token that `verify` makes.

    Args:
        token: the compact serialisation as received.
        keys: the keys of the policy's issuer; None if they cannot be had.
        policy: what the API accepts.
        now: seconds since the epoch.
        status_lists: the lists at hand by their URIs, or what a `StatusSource` raised instead.
    """
    seen = _Seen(token, {}, {}, policy, keys, now)
    size = seen.judge("size", lambda: parse_token(token, profile_of(policy)), Reason.TOKEN_TOO_LONG)
    whole = replace(profile_of(policy), max_bytes=len(token))
    shape = seen.judge("shape", lambda: parse_token(token, whole), Reason.MALFORMED_TOKEN)
    if shape.outcome is not Outcome.PASSED:
        why = "the token cannot be taken apart"
        rest = [seen.skip(name, why) for name in DESCRIPTIONS if name not in ("size", "shape")]
        return Explanation((size, shape, *rest), None)
    jws = parse_compact(token)
    claims = parse_json_object(jws.payload)
    seen = seen._replace(members=jws.header, claims=claims)
    kid, alg = jws.header.get("kid"), jws.header["alg"]
    key = keys.select(kid, alg) if keys is not None and isinstance(kid, str) else None
    parsed = ParsedJwt(
        JwtHeader(alg, str(kid)), claims, jws.signing_input, jws.signature, jws.header_segment
    )
    header = [seen.judge(name, partial(check, jws.header, whole)) for name, check in HEADER_CHECKS]
    findings = [
        size,
        shape,
        *header,
        _judge_key(seen, key, header),
        _judge_signature(seen, parsed, key),
        *(seen.judge(name, partial(check, claims, policy, now)) for name, check in CHECKS),
    ]
    good = all(each.outcome is Outcome.PASSED for each in findings)
    reference = read_status(seen.claims, policy) if good else None
    findings.append(_judge_status(seen, reference, status_lists, good=good))
    return Explanation(tuple(findings), None if reference is None else reference.uri)


class _Seen(NamedTuple):
    """What there is to judge by."""

    token: bytes
    members: Mapping[str, Any]
    claims: Mapping[str, Any]
    policy: ResourcePolicy
    keys: JwkSet | None
    now: float

    def judge(self, name: str, check: Callable[[], object], only: Reason | None = None) -> Finding:
        """Run a check; with `only`, no other reason counts against it."""
        try:
            check()
        except InvalidJwt as error:
            return self.note(name, Outcome.FAILED, Reason(error.fault))
        except InvalidToken as error:
            if only is None or error.reason is only:
                return self.note(name, Outcome.FAILED, error.reason)
        return self.note(name, Outcome.PASSED)

    def note(self, name: str, outcome: Outcome, reason: Reason | None = None) -> Finding:
        """Write what came of a check, what would pass, and what there is."""
        about = DESCRIPTIONS[name]
        return Finding(name, outcome, about.clause, about.expected(self), about.found(self), reason)

    def skip(self, name: str, why: str, reason: Reason | None = None) -> Finding:
        """Write that a check was not reached, and why."""
        about = DESCRIPTIONS[name]
        return Finding(name, Outcome.NOT_REACHED, about.clause, about.expected(self), why, reason)


def _judge_key(seen: _Seen, key: PublicJwk | None, header: Sequence[Finding]) -> Finding:
    if seen.keys is None:
        return seen.skip("key", "the issuer's key set could not be had", Reason.NO_KEYS)
    if key is not None:
        return seen.note("key", Outcome.PASSED)
    if any(each.outcome is Outcome.FAILED for each in header):
        return seen.skip("key", "the header does not name one")
    return seen.note("key", Outcome.FAILED, Reason.UNKNOWN_KEY)


def _judge_signature(seen: _Seen, parsed: ParsedJwt, key: PublicJwk | None) -> Finding:
    if key is None:
        return seen.skip("signature", "there is no key to verify it with")
    return seen.judge("signature", lambda: verify_signature(parsed, key))


def _judge_status(
    seen: _Seen,
    reference: StatusReference | None,
    lists: Mapping[str, Statuses | ResourceError],
    *,
    good: bool,
) -> Finding:
    """Look the status up; only for a token that is good otherwise, as validation does."""
    if not good:
        return seen.skip("status list", "looked up only if all other checks pass")
    if reference is None:
        return seen.note("status list", Outcome.PASSED)
    statuses = lists.get(reference.uri)
    if isinstance(statuses, InvalidToken):
        return seen.note("status list", Outcome.FAILED, statuses.reason)
    if isinstance(statuses, ResourceError):
        return seen.skip("status list", "the list could not be had", statuses.reason)
    if statuses is None:
        return seen.skip("status list", "no list was looked at", Reason.UNCHECKED_STATUS)
    return seen.judge("status list", lambda: check_status(reference, statuses))


class Description(NamedTuple):
    """What a check is about: the clause, what passes, and what the token has."""

    clause: str
    expected: Callable[[_Seen], str]
    found: Callable[[_Seen], str]


def _claim(*names: str) -> Callable[[_Seen], str]:
    return lambda seen: _show(seen.claims, names)


def _member(*names: str) -> Callable[[_Seen], str]:
    return lambda seen: _show(seen.members, names)


def _show(members: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Write members as JSON, shortened."""
    shown = []
    for name in names:
        text = json.dumps(members[name]) if name in members else "missing"
        shown.append(
            f"{name} {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '…'}"
        )
    return ", ".join(shown)


def _forbidden(seen: _Seen) -> str:
    return ", ".join(sorted(FORBIDDEN_HEADERS & seen.members.keys())) or "none of them"


def _published(seen: _Seen) -> str:
    if seen.keys is None:
        return "a key of the issuer with this kid and algorithm"
    told = ", ".join(f"{key.kid} ({key.alg})" for key in seen.keys.keys)
    return f"one of the issuer's keys: {told}"


def _allowed_times(seen: _Seen) -> str:
    policy = seen.policy
    return (
        f"it is {show_time(seen.now)}: iat at most {FUTURE_IAT} s ahead, exp and nbf within a "
        f"leeway of {policy.leeway} s, exp at most {policy.max_lifetime} s after iat"
    )


def _found_times(seen: _Seen) -> str:
    names = [name for name in ("iat", "nbf", "exp") if name in seen.claims]
    shown = [f"{name} {show_time(seen.claims[name])}" for name in names]
    age = describe_age(seen.claims, seen.now)
    return ", ".join([*shown, *([age] if age else [])]) or "no times"


DESCRIPTIONS: Mapping[str, Description] = {
    "size": Description(
        "RFC 9068 §4",
        lambda seen: f"at most {seen.policy.max_token_bytes} bytes",
        lambda seen: f"{len(seen.token)} bytes",
    ),
    "shape": Description(
        "RFC 7515 §7.1, RFC 7519 §7.2",
        lambda seen: "three base64url parts; header and claims one strict JSON object each",
        lambda seen: f"{seen.token.count(b'.') + 1} parts",
    ),
    "type": Description(
        "RFC 9068 §4, RFC 8725 §3.11", lambda seen: f'typ "{ACCESS_TOKEN_TYPE}"', _member("typ")
    ),
    "algorithm": Description(
        "RFC 8725 §3.1",
        lambda seen: "alg " + " or ".join(sorted(seen.policy.algorithms)),
        _member("alg"),
    ),
    "header members": Description(
        "RFC 8725 §3.10",
        lambda seen: "none of " + ", ".join(sorted(FORBIDDEN_HEADERS)),
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
        lambda seen: f'aud "{seen.policy.resource}", or a list of strings with it',
        _claim("aud"),
    ),
    "times": Description("RFC 7519 §4.1.4 to §4.1.6", _allowed_times, _found_times),
    "identity": Description(
        "RFC 9068 §2.2",
        lambda seen: f"sub, client_id and jti: strings of 1 to {MAX_IDENTITY_LENGTH} characters",
        _claim("sub", "client_id", "jti"),
    ),
    "confirmation": Description(
        "RFC 7800 §3.1, RFC 9449 §7.2",
        lambda seen: "no cnf: a bound token needs a proof that this API cannot check",
        _claim("cnf"),
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
        lambda seen: "no scope, or names with single spaces between",
        _claim("scope"),
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
