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


@pytest.mark.parametrize(
    ("within", "max_age", "shared", "interval"),
    [(15, 300, 7, 8), (1, 300, 0, 1), (2, 300, 1, 1), (3600, 300, 300, 1800), (15, 2, 2, 8)],
)
def test_a_withdrawal_is_known_in_time_behind_a_shared_cache(
    within: int, max_age: int, shared: int, interval: int
) -> None:
    """What the cache may keep and what a validator may: together no more than is promised."""
    config = IssuerConfig(
        issuer="https://a.example", document_max_age=max_age, withdrawal_seconds=within
    )
    assert (config.jwks_shared_max_age, config.jwks_revalidation_seconds) == (shared, interval)
    assert shared + interval <= within
    with pytest.raises(ValueError, match="at least 1"):
        IssuerConfig(issuer="https://a.example", withdrawal_seconds=0)


@pytest.mark.parametrize(
    ("within", "outage", "life"), [(15, 3600, 3600), (15, 0, 300), (3600, 0, 7200)]
)
def test_a_status_list_outlives_an_outage_and_two_looks(
    within: int, outage: int, life: int
) -> None:
    """Else validators would refuse good tokens while the issuer still makes them."""
    config = IssuerConfig(
        issuer="https://a.example", withdrawal_seconds=within, outage_seconds=outage
    )
    assert config.status_list_life == life
    assert config.status_list_ttl + config.status_list_max_age == within
    with pytest.raises(ValueError, match="negative"):
        IssuerConfig(issuer="https://a.example", outage_seconds=-1)
