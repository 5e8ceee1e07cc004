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


def test_settings_without_effect_are_told(monkeypatch):
    """Nobody believes in a limit that is not kept."""
    monkeypatch.setenv("WATCHWORD_FAILED_AUTH_LIMIT", "10")
    (warning,) = warnings_at_start(load_settings(), port=8080)
    assert warning == "WATCHWORD_FAILED_AUTH_LIMIT has no effect in this version"
