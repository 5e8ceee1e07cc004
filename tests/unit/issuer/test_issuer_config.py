"""Unit tests of `issuer.config`."""

import pytest

from issuer.config import IssuerConfig, check_resource, check_token_ttl, is_loopback


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_lifetimes_outside_a_day_are_refused(seconds: int) -> None:
    """No token lives for ever, nor for nothing."""
    with pytest.raises(ValueError, match="from 1 to 86400"):
        check_token_ttl(seconds)
    with pytest.raises(ValueError, match="from 1 to 86400"):
        IssuerConfig(issuer="https://a.example", token_ttl=seconds)


def test_a_negative_age_is_refused() -> None:
    """Documents cannot be older than now."""
    with pytest.raises(ValueError, match="negative"):
        IssuerConfig(issuer="https://a.example", document_max_age=-1)


@pytest.mark.parametrize("uri", ["https://api.example", "urn:example:api", "spiffe://td/api?x=1"])
def test_resources_may_be_any_absolute_uri(uri: str) -> None:
    """RFC 8707 §2 asks for an absolute URI, not for https."""
    assert check_resource(uri) == uri


@pytest.mark.parametrize("uri", ["api", "/api", "https:", "1a:b", "a b:c", "é:x", "a_b:c", "x:y#"])
def test_other_resources_are_refused(uri: str) -> None:
    """Relative references, fragments and odd characters are no resource identifiers."""
    with pytest.raises(ValueError):
        check_resource(uri)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        (None, False),
    ],
)
def test_loopback_is_this_machine_alone(host: str | None, local: bool) -> None:
    """Private networks are not loopback."""
    assert is_loopback(host) is local
