"""Unit tests of `watchword.process.serving`: what an operator is warned of."""

import pytest

from watchword.process.serving import warnings_at_start
from watchword.settings import load_settings


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("issuer", "port", "warned"),
    [
        ("http://localhost:8080", 8080, False),
        ("http://localhost:8080", 8081, True),
        ("http://127.0.0.1", 80, False),
        ("http://127.0.0.1", 8080, True),
        ("https://auth.example", 8080, False),
    ],
)
def test_a_loopback_issuer_that_is_elsewhere_is_told(issuer, port, warned):
    """Behind a proxy ports differ; on loopback that is a mistake."""
    warnings = warnings_at_start(load_settings(issuer=issuer), port=port)
    assert [issuer in warning for warning in warnings] == [True] * warned


def test_guessing_without_a_limit_is_told():
    """With the setting that switched the limit off, and what to set."""
    (warning,) = warnings_at_start(load_settings(failed_auth_limit=0), port=8080)
    assert warning.startswith("WATCHWORD_FAILED_AUTH_LIMIT is 0: secrets can be guessed")
    assert not warnings_at_start(load_settings(failed_auth_limit=1), port=8080)
