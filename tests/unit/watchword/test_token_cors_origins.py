"""The setting that lets web pages ask for tokens."""

import pytest

from watchword.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        (None, ()),
        (" , ", ()),
        ("*", ("*",)),
        (
            "https://app.example.com, http://localhost:3000,https://[::1]:8443",
            ("https://app.example.com", "http://localhost:3000", "https://[::1]:8443"),
        ),
    ],
)
def test_origins_are_listed_with_commas_between(
    given: str | None, origins: tuple[str, ...]
) -> None:
    """No page may ask unless its origin is named."""
    assert load_settings(token_cors_origins=given).issuer_config.token_origins == origins


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("https://app.example.com/", "such as https://app.example.com"),
        ("https://app.example.com/x?y", "such as https://app.example.com"),
        ("https://App.example.com", "such as https://app.example.com"),
        ("HTTPS://app.example.com", "such as https://app.example.com"),
        ("https://app.example.com:443", "such as https://app.example.com"),
        ("http://localhost:3000,http://localhost:80", "such as http://localhost"),
        ("app.example.com", "an origin must be an absolute URL"),
        ("null", "an origin must be an absolute URL"),
        ("https://*.example.com", "an origin has a host that is neither"),
        ("https://me@app.example.com", "an origin must not carry user information"),
        ("*,https://app.example.com", "* allows every origin; leave the others out"),
    ],
)
def test_what_no_browser_sends_is_refused_at_start(given: str, why: str) -> None:
    """It would never match, and a page would fail for no reason that shows."""
    with pytest.raises(SettingsError) as caught:
        load_settings(token_cors_origins=given)
    (line,) = caught.value.lines
    assert line.startswith("--token-cors-origins: ")
    assert why in line
