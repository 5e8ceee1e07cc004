"""The setting that lets the issuer be on plain http beyond loopback."""

import pytest

from watchword.process.serving import warnings_at_start
from watchword.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("given", "issuer"),
    [
        (True, "http://watchword:8080"),
        ("TRUE", "http://auth.corp.internal/tenant"),
        ("true", "http://192.168.1.7:8080"),
        ("Auth.test.example.com, other.example", "http://auth.test.example.com:8080"),
        ("auth.test.example.com", "http://watchword:8080"),
    ],
)
def test_hosts_of_a_private_network_and_named_ones_may_do_without_tls(given, issuer):
    """And the log says so at every start."""
    settings = load_settings(allow_insecure_http=given, issuer=issuer)
    assert settings.issuer_config.issuer == issuer
    (warning,) = warnings_at_start(settings, port=8080)
    assert warning.startswith("WATCHWORD_ALLOW_INSECURE_HTTP is set")


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize(
    ("given", "issuer", "why"),
    [
        (None, "http://watchword:8080", "--issuer: plain http is for loopback hosts only"),
        ("false", "http://watchword:8080", "--issuer: plain http is for loopback hosts only"),
        (" False ", "http://watchword:8080", "--issuer: plain http is for loopback hosts only"),
        (
            "true",
            "http://auth.example.com",
            "--issuer: plain http is allowed for hosts of a private",
        ),
        ("a.example", "http://b.example", "--issuer: plain http is allowed for hosts of a private"),
        ("https://a.example", "http://a.example", "--allow-insecure-http: must be true, false or"),
        ("a.example:8080", "https://a.example", "--allow-insecure-http: must be true, false or"),
        ("*", "https://a.example", "--allow-insecure-http: must be true, false or"),
        # What may be meant as a refusal is no host that plain http is allowed to.
        *(
            (word, "https://a.example", "--allow-insecure-http: must be true, false or")
            for word in ("no", "off", "none", "0", "false,", "a.example, off")
        ),
    ],
)
def test_any_other_host_needs_tls(given, issuer, why):
    """One line for each mistake, whichever of the two settings it is in."""
    with pytest.raises(SettingsError) as caught:
        load_settings(allow_insecure_http=given, issuer=issuer)
    assert caught.value.lines[0].startswith(why)


def test_by_default_there_is_nothing_to_warn_of():
    """Neither on https nor on loopback."""
    assert warnings_at_start(load_settings(issuer="https://auth.example.com"), port=443) == []
