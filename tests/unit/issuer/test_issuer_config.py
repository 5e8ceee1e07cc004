"""Unit tests of `issuer.config`."""

import pytest

from issuer.config import IssuerConfig, check_token_ttl


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
