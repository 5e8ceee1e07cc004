"""Explain why an access token is accepted or refused: every check, not only the first that fails.

Pure. The verdicts are those of the very functions that validation calls, so the two cannot differ;
what each is about is in `resource_api.check_descriptions`. An explanation holds claims of the token
and settings of the API: it is for an operator, and never for an answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from keys.errors import InvalidJwt
from keys.jwk import PublicJwk
from keys.jwks import JwkSet
from keys.jwt import HEADER_CHECKS, JwtHeader, ParsedJwt, read_jwt, verify_signature
from resource_api.access_token import CHECKS, check_marks, parse_token, profile_of
from resource_api.check_descriptions import DESCRIPTIONS, Seen
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason, ResourceError
from resource_api.scope import parse_scope_claim
from resource_api.status_list import Statuses, StatusReference, check_status, read_status


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
    scopes: Sequence[str] = (),
) -> Explanation:
    """Run every check of a token that `verify` makes.

    What a bound token needs besides shows in a request alone, so it is said and not judged.

    Args:
        token: the compact serialisation as received.
        keys: the keys of the policy's issuer; None if they cannot be had.
        policy: what the API accepts.
        now: seconds since the epoch.
        status_lists: the lists at hand by their URIs, or what a `StatusSource` raised instead.
        scopes: what the route needs that the token is for; judged last, since only a route knows.
    """
    seen = Seen(token, {}, {}, policy, keys, now)
    size = _judge(
        seen, "size", lambda: parse_token(token, profile_of(policy)), Reason.TOKEN_TOO_LONG
    )
    whole = replace(profile_of(policy), max_bytes=len(token))
    shape = _judge(seen, "shape", lambda: parse_token(token, whole), Reason.MALFORMED_TOKEN)
    if shape.outcome is not Outcome.PASSED:
        why = "the token cannot be taken apart"
        rest = [_skip(seen, name, why) for name in DESCRIPTIONS if name not in ("size", "shape")]
        if scopes:
            rest.append(_about_scopes(scopes, Outcome.NOT_REACHED, why))
        return Explanation((size, shape, *rest), None)
    jwt = read_jwt(token)
    claims = jwt.claims
    standard = policy.token_profile.translate(claims, policy.resource)
    seen = seen._replace(members=jwt.header, claims=claims)
    kid, alg = jwt.header.get("kid"), jwt.header["alg"]
    key = keys.select(kid, alg) if keys is not None and isinstance(kid, str) else None
    parsed = jwt.under(JwtHeader(alg, str(kid)))
    header = [
        _judge_header(seen, name, partial(check, jwt.header, whole))
        for name, check in HEADER_CHECKS
    ]
    findings = [
        size,
        shape,
        *header,
        _judge_key(seen, key, header),
        _judge_signature(seen, parsed, key),
        *(_judge(seen, name, partial(check, standard, policy, now)) for name, check in CHECKS),
    ]
    good = all(each.outcome is Outcome.PASSED for each in findings)
    reference = read_status(seen.claims, policy) if good else None
    findings.append(_judge_status(seen, reference, status_lists, good=good))
    if scopes:
        good = all(each.outcome is Outcome.PASSED for each in findings)
        findings.append(_judge_scopes(standard, scopes, good=good))
    return Explanation(tuple(findings), None if reference is None else reference.uri)


def _judge(
    seen: Seen, name: str, check: Callable[[], object], only: Reason | None = None
) -> Finding:
    """Run a check; with `only`, no other reason counts against it."""
    try:
        check()
    except InvalidJwt as error:
        return _note(seen, name, Outcome.FAILED, Reason(error.fault))
    except InvalidToken as error:
        if only is None or error.reason is only:
            return _note(seen, name, Outcome.FAILED, error.reason)
    return _note(seen, name, Outcome.PASSED)


def _note(seen: Seen, name: str, outcome: Outcome, reason: Reason | None = None) -> Finding:
    """Write what came of a check, what would pass, and what there is."""
    about = DESCRIPTIONS[name]
    return Finding(name, outcome, about.clause, about.expected(seen), about.found(seen), reason)


def _skip(seen: Seen, name: str, why: str, reason: Reason | None = None) -> Finding:
    """Write that a check was not reached, and why."""
    about = DESCRIPTIONS[name]
    return Finding(name, Outcome.NOT_REACHED, about.clause, about.expected(seen), why, reason)


def _judge_header(seen: Seen, name: str, check: Callable[[], object]) -> Finding:
    """Run a check of the header; some claims, too, tell of what type a token is."""
    found = _judge(seen, name, check)
    if name != "type" or found.outcome is not Outcome.PASSED:
        return found
    return _judge(seen, name, lambda: check_marks(seen.claims, seen.policy.token_profile))


def _judge_key(seen: Seen, key: PublicJwk | None, header: Sequence[Finding]) -> Finding:
    if seen.keys is None:
        return _skip(seen, "key", "the issuer's key set could not be had", Reason.NO_KEYS)
    if key is not None:
        return _note(seen, "key", Outcome.PASSED)
    if any(each.outcome is Outcome.FAILED for each in header):
        return _skip(seen, "key", "the header does not name one")
    return _note(seen, "key", Outcome.FAILED, Reason.UNKNOWN_KEY)


def _judge_signature(seen: Seen, parsed: ParsedJwt, key: PublicJwk | None) -> Finding:
    if key is None:
        return _skip(seen, "signature", "there is no key to verify it with")
    return _judge(seen, "signature", lambda: verify_signature(parsed, key))


def _judge_status(
    seen: Seen,
    reference: StatusReference | None,
    lists: Mapping[str, Statuses | ResourceError],
    *,
    good: bool,
) -> Finding:
    """Look the status up; only for a token that is good otherwise, as validation does."""
    if not good:
        return _skip(seen, "status list", "looked up only if all other checks pass")
    if reference is None:
        return _note(seen, "status list", Outcome.PASSED)
    statuses = lists.get(reference.uri)
    if isinstance(statuses, InvalidToken):
        return _note(seen, "status list", Outcome.FAILED, statuses.reason)
    if isinstance(statuses, ResourceError):
        return _skip(seen, "status list", "the list could not be had", statuses.reason)
    if statuses is None:
        return _skip(seen, "status list", "no list was looked at", Reason.UNCHECKED_STATUS)
    return _judge(seen, "status list", lambda: check_status(reference, statuses))


def _judge_scopes(claims: Mapping[str, object], needed: Sequence[str], *, good: bool) -> Finding:
    """Compare the scopes of a token that is good otherwise with what a route needs."""
    if not good:
        return _about_scopes(needed, Outcome.NOT_REACHED, "looked at only if all other checks pass")
    held = parse_scope_claim(claims["scope"]) if "scope" in claims else frozenset()
    found = " ".join(sorted(held)) or "no scope"
    if held.issuperset(needed):
        return _about_scopes(needed, Outcome.PASSED, found)
    return _about_scopes(needed, Outcome.FAILED, found, Reason.INSUFFICIENT_SCOPE)


def _about_scopes(
    needed: Sequence[str], outcome: Outcome, found: str, reason: Reason | None = None
) -> Finding:
    return Finding("scopes", outcome, "RFC 6750 §3.1", " ".join(needed), found, reason)
