"""The settings that limit how many tokens a client gets."""

import pytest

from watchword.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"token_quota_mode": "log"}, "there is no quota to log by: set WATCHWORD_TOKEN_QUOTA"),
        (
            {"token_quota_mode": "refuse", "token_quota": 0},
            "there is no quota to refuse by: set WATCHWORD_TOKEN_QUOTA",
        ),
        ({"token_quota": -1}, "must be at least 0"),
        ({"token_quota": 10, "token_quota_mode": "warn"}, "'refuse' or 'log'"),
        ({"failed_auth_limit": 2**40}, "must be at most"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(given: dict[str, object], why: str) -> None:
    """In one line that names the setting."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    (line,) = caught.value.lines
    assert why in line
    assert next(iter(given)) in line.lower().replace("-", "_")


def test_a_quota_refuses_unless_it_is_told_to_log() -> None:
    """The mode alone is never needed."""
    assert load_settings(token_quota=5).token_quota_mode == "refuse"
    assert load_settings(token_quota=5, token_quota_mode="log").token_quota == 5
