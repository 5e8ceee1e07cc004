"""Reading `WWW-Authenticate`."""

import pytest

from consumer.token_scheme import BEARER, MAX_HEADER_LENGTH, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer", [("bearer", {})]),
        ('Bearer realm="api"', [("bearer", {"realm": "api"})]),
        ('BEARER Error="invalid_token"', [("bearer", {"error": "invalid_token"})]),
        ("Bearer error=invalid_token", [("bearer", {"error": "invalid_token"})]),
        (
            'Bearer realm = "a" ,error="b",  scope="c d"',
            [("bearer", {"realm": "a", "error": "b", "scope": "c d"})],
        ),
        ('Bearer realm="a" error="b"', [("bearer", {"realm": "a", "error": "b"})]),
        (r'Bearer realm="a \"b\" \\c, d=e"', [("bearer", {"realm": 'a "b" \\c, d=e'})]),
        (
            'Basic realm="x", Bearer error="invalid_token"',
            [("basic", {"realm": "x"}), ("bearer", {"error": "invalid_token"})],
        ),
        (
            "Negotiate oYG2==, Bearer error=x, NTLM",
            [("negotiate", {}), ("bearer", {"error": "x"}), ("ntlm", {})],
        ),
        ("Negotiate, Bearer error=x", [("negotiate", {}), ("bearer", {"error": "x"})]),
        (" , ,Bearer", [("bearer", {})]),
        ("", []),
    ],
)
def test_what_is_well_formed_is_understood(header, expected):
    """One or several challenges a line, in any case, quoted or not (RFC 9110 §11.6.1)."""
    assert expected == [(found.scheme, found.parameters) for found in parse_challenges(header)]


@pytest.mark.parametrize(
    "header",
    [
        'Bearer error="a", error="b"',
        'Bearer error="a", ERROR="a"',
        '"Bearer" error="invalid_token"',
        "Bearer\x00 error=x",
        "Bearer " + "a" * MAX_HEADER_LENGTH,
    ],
)
def test_what_breaks_the_grammar_is_dropped(header):
    """A name given twice, quotes around the scheme, rubbish: no challenge."""
    assert not [found for found in parse_challenges(header) if found.parameters]


def test_what_stood_before_the_rubbish_counts():
    """A broken challenge does not take a good one with it."""
    good, *rest = parse_challenges('Bearer error="invalid_token", Basic realm="open')
    assert good.parameters == {"error": "invalid_token"}
    assert all(not found.parameters for found in rest)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        (['Basic realm="x"', 'Bearer error="invalid_token"'], "invalid_token"),
        (['Bearer realm="x"', 'Bearer error="insufficient_scope"'], "insufficient_scope"),
        (['DPoP error="invalid_token"'], None),
        (['Bearer realm="error=invalid_token"'], None),
        (["Bearer"], None),
        ([], None),
    ],
)
def test_only_the_bearer_challenge_speaks_of_our_token(headers, error):
    """Other schemes may have errors of their own."""
    assert error == BEARER.challenge(headers).get("error")


def test_hostile_headers_take_no_time():
    """The parser looks at each character a bounded number of times, and reads what comes beside."""
    good = 'Bearer error="invalid_token"'
    for header in ("a " * 4000, "a=" * 4000, 'a="' + "\\" * 8000, "a,\t" * 2700, '"' * 8000):
        assert BEARER.challenge([header, good])["error"] == "invalid_token"
