"""What an explanation says of each check; that its verdicts are those of validation."""

from typing import Any

import pytest

from keys.jwks import JwkSet
from keys.jwt import HEADER_CHECKS
from resource_api.access_token import CHECKS, verify
from resource_api.check_descriptions import (
    DESCRIPTIONS,
    describe_age,
    show_duration,
    show_time,
)
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason, ResourceError, StatusUnavailable
from resource_api.explanation import Explanation, Finding, Outcome, explain
from resource_api.status_list import Statuses, StatusList
from tests.support.keys import rsa_key
from watchword.testing.forge import DROP, ISSUER, NOW, RESOURCE, TokenForge
from watchword.testing.status_lists import pack, status

FORGE = TokenForge()
OTHER = TokenForge(rsa_key(1))
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
LIST = f"{ISSUER}/status-lists/1"
STATUSES = StatusList(pack((0, 1, 2, 3), 2), 2, issued_at=NOW, expires_at=NOW + 60, ttl=8)


def told(token: bytes | None = None, keys: JwkSet | None = FORGE.keys, **lists: Any) -> Explanation:
    """Explain a token."""
    named: dict[str, Statuses | ResourceError] = {LIST: lists["at"]} if lists else {}
    return explain(token or FORGE.token(), keys, POLICY, now=NOW, status_lists=named)


def finding(explanation: Explanation, check: str) -> Finding:
    """Give one finding."""
    [found] = [each for each in explanation.findings if each.check == check]
    return found


def test_every_check_of_validation_is_described_in_its_order() -> None:
    """A check that is added to validation needs an entry of DESCRIPTIONS."""
    before = ["size", "shape", *(name for name, _ in HEADER_CHECKS), "key", "signature"]
    checks = [*before, *(name for name, _ in CHECKS), "status list"]
    assert list(DESCRIPTIONS) == checks, "describe each check in resource_api/explanation.py"
    assert [each.check for each in told().findings] == checks
    assert [each.check for each in told(b"x").findings] == checks


def test_a_good_token_passes_every_check() -> None:
    """It is accepted, and there is no reason."""
    explanation = told()
    assert explanation.accepted
    assert explanation.reason is None
    assert explanation.status_list is None
    assert {each.outcome for each in explanation.findings} == {Outcome.PASSED}
    assert all(each.clause and each.expected and each.found for each in explanation.findings)


@pytest.mark.parametrize(
    ("token", "check", "expected", "found"),
    [
        (FORGE.token(x="x" * 9000), "size", "at most 8192 bytes", "bytes"),
        (b"a", "shape", "three base64url parts", "1 part"),
        (b"a.b", "shape", "three base64url parts", "2 parts"),
        (b"a.\nb.c", "shape", "three base64url parts", "white space inside"),
        ("a.\u00a0b.c".encode(), "shape", "three base64url parts", "white space inside"),
        (FORGE.token(header={"typ": "JWT"}), "type", 'typ "at+jwt"', 'typ "JWT"'),
        (FORGE.token(header={"typ": DROP}), "type", 'typ "at+jwt"', "typ missing"),
        (FORGE.token(header={"alg": "none"}), "algorithm", "alg RS256", 'alg "none"'),
        (FORGE.token(header={"jku": "x"}), "header members", "jku", "jku"),
        (FORGE.token(header={"kid": ""}), "kid", "1 to 255", 'kid ""'),
        (FORGE.token(header={"kid": "other"}), "key", FORGE.jwk.kid, 'kid "other"'),
        (FORGE.token()[:-8] + b"AAAAAAAA", "signature", "the key that kid names", "as received"),
        (FORGE.token(iss="https://x.example"), "issuer", ISSUER, '"https://x.example"'),
        (FORGE.token(aud=["a", "b"]), "audience", RESOURCE, '["a", "b"]'),
        (FORGE.token(aud="a" * 999), "audience", RESOURCE, "a…"),
        (FORGE.token(iat=NOW - 90, exp=NOW - 61), "times", "leeway of 10 s", "expired 61 s ago"),
        (FORGE.token(exp="x"), "times", "leeway", 'exp "x"'),
        (FORGE.token(exp=DROP, iat=DROP), "times", "leeway", "no times"),
        (FORGE.token(sub=""), "identity", "sub, client_id and jti", 'sub ""'),
        (FORGE.token(cnf={"jkt": "x"}), "confirmation", "no cnf", '{"jkt": "x"}'),
        (FORGE.token(status=status("https://x.example/1")), "status", ISSUER, "x.example"),
        (FORGE.token(authorization_details={}), "authorization_details", "with a type", "{}"),
        (FORGE.token(scope=["read"]), "scope", "single spaces", '["read"]'),
    ],
)
def test_a_check_that_fails_says_what_was_expected(
    token: bytes, check: str, expected: str, found: str
) -> None:
    """One check alone fails, with the reason of validation; those that can be run all are."""
    explanation = told(token)
    failed = finding(explanation, check)
    assert failed.outcome is Outcome.FAILED
    assert expected in failed.expected
    assert found in failed.found
    with pytest.raises(InvalidToken) as refusal:
        verify(token, FORGE.keys, POLICY, now=NOW)
    assert failed.reason == explanation.reason == refusal.value.reason
    outcomes = [each.outcome for each in explanation.findings if each.check != check]
    assert Outcome.FAILED not in outcomes
    assert not explanation.accepted


def test_every_mistake_is_told_not_only_the_first() -> None:
    """Header, signature and claims are judged though the ones before are wrong."""
    token = OTHER.token(header={"typ": "JWT", "kid": FORGE.jwk.kid}, aud="x", exp=NOW - 100)
    failed = [each.check for each in told(token).findings if each.outcome is Outcome.FAILED]
    assert failed == ["type", "signature", "audience", "times"]
    assert told(token).reason is Reason.WRONG_TYPE


def test_without_a_kid_no_key_is_looked_for() -> None:
    """The key and the signature are not reached."""
    explanation = told(FORGE.token(header={"kid": 7}))
    assert explanation.reason is Reason.INVALID_KID
    assert finding(explanation, "key").outcome is Outcome.NOT_REACHED
    assert finding(explanation, "signature").outcome is Outcome.NOT_REACHED


def test_without_keys_the_claims_are_judged_all_the_same() -> None:
    """The signature is not reached, so the token is not accepted."""
    explanation = told(FORGE.token(aud="x"), keys=None)
    assert finding(explanation, "key").outcome is Outcome.NOT_REACHED
    assert "could not be had" in finding(explanation, "key").found
    assert finding(explanation, "audience").outcome is Outcome.FAILED
    assert explanation.reason is Reason.WRONG_AUDIENCE
    undecided = told(keys=None)
    assert (undecided.accepted, undecided.refused) == (False, False)
    assert undecided.reason is Reason.NO_KEYS


@pytest.mark.parametrize(
    ("at", "idx", "outcome", "reason"),
    [
        (STATUSES, 0, Outcome.PASSED, None),
        (STATUSES, 1, Outcome.FAILED, Reason.TOKEN_REVOKED),
        (STATUSES, 2, Outcome.FAILED, Reason.TOKEN_SUSPENDED),
        (STATUSES, 3, Outcome.FAILED, Reason.INVALID_STATUS),
        (STATUSES, 4, Outcome.FAILED, Reason.INVALID_STATUS),
        (InvalidToken(Reason.INVALID_STATUS), 0, Outcome.FAILED, Reason.INVALID_STATUS),
        (StatusUnavailable(1), 0, Outcome.NOT_REACHED, Reason.STATUS_UNAVAILABLE),
        (None, 0, Outcome.NOT_REACHED, Reason.UNCHECKED_STATUS),
    ],
)
def test_the_status_is_looked_up(
    at: Any, idx: int, outcome: Outcome, reason: Reason | None
) -> None:
    """What the list says, or why there is none."""
    explanation = told(FORGE.token(status=status(LIST, idx)), at=at)
    assert finding(explanation, "status list").outcome is outcome
    assert explanation.reason is reason
    assert explanation.status_list == LIST
    assert explanation.accepted is (reason is None)


def test_the_list_of_a_bad_token_is_not_asked_for() -> None:
    """Token Status List §8.3: the status counts only for a token that is good otherwise."""
    explanation = told(FORGE.token(status=status(LIST, 1), aud="x"), at=STATUSES)
    assert finding(explanation, "status list").outcome is Outcome.NOT_REACHED
    assert explanation.status_list is None
    assert explanation.reason is Reason.WRONG_AUDIENCE


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": NOW - 61}, "expired 61 s ago"),
        ({"exp": NOW}, "expired 0 s ago"),
        ({"exp": NOW + 540}, "valid for 9 min"),
        ({"exp": NOW + 540, "nbf": NOW - 5}, "valid for 9 min"),
        ({"exp": NOW + 540, "nbf": NOW + 30}, "not valid for another 30 s"),
        ({"exp": "x"}, None),
        ({"exp": True}, None),
        ({}, None),
    ],
)
def test_the_age_of_a_token(claims: dict[str, Any], says: str | None) -> None:
    """In words, for people."""
    assert describe_age(claims, NOW) == says


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0.5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"),
     (172_799, "47 h"), (172_800, "2 days")],
)  # fmt: skip
def test_durations_are_written_in_one_unit(seconds: float, says: str) -> None:
    """Rounded down, so that "valid for" never says too much."""
    assert show_duration(seconds) == says


@pytest.mark.parametrize(
    ("value", "says"),
    [(0.9, "1970-01-01T00:00:00Z"), (10**18, "1000000000000000000"), ("x", '"x"'), (-1, "-1")],
)
def test_times_are_written_as_rfc_3339(value: object, says: str) -> None:
    """What is no time is written as it is."""
    assert show_time(value) == says


@pytest.mark.parametrize(
    ("token", "outcome", "found"),
    [
        (FORGE.token(scope="a b"), Outcome.PASSED, "a b"),
        (FORGE.token(scope="A ab"), Outcome.FAILED, "A ab"),
        (FORGE.token(scope=DROP), Outcome.FAILED, "no scope"),
        (FORGE.token(scope="a", aud="x"), Outcome.NOT_REACHED, "other checks"),
        (b"x", Outcome.NOT_REACHED, "taken apart"),
    ],
)
def test_what_a_route_needs_is_judged_last(token: bytes, outcome: Outcome, found: str) -> None:
    """Only where it is named; the reason is that of the first check that failed."""
    explanation = explain(token, FORGE.keys, POLICY, now=NOW, scopes=("a",))
    scopes = explanation.findings[-1]
    assert (scopes.check, scopes.outcome, scopes.expected) == ("scopes", outcome, "a")
    assert found in scopes.found
    assert (explanation.reason is Reason.INSUFFICIENT_SCOPE) == (outcome is Outcome.FAILED)
    assert explanation.accepted == (outcome is Outcome.PASSED)
