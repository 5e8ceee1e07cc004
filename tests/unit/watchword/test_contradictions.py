"""Settings of TLS that do not go with each other, or with a client."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from issuer.client_auth.methods import METHODS
from issuer.events import ignore_event
from issuer.limits import Limits
from keys.replay import RecentProofs
from tests.support.certificates import Authority
from watchword.contradictions import find_missing_setting
from watchword.provider.authentication import Authentication
from watchword.settings import SettingsError, load_settings

HTTPS = "https://auth.example.com"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"tls_cert": "c.pem"}, "WATCHWORD_TLS_KEY: TLS takes a certificate and its key"),
        ({"tls_key": "k.pem"}, "WATCHWORD_TLS_CERT: TLS takes a certificate and its key"),
    ],
)
def test_half_of_what_tls_takes(given: dict[str, str], line: str) -> None:
    """The half that is missing is named."""
    with pytest.raises(SettingsError) as caught:
        load_settings(issuer=HTTPS, **given)
    (told,) = caught.value.lines
    assert told.startswith(line)


def test_an_issuer_on_plain_http_that_is_served_with_tls() -> None:
    """Its clients would be sent where nothing answers them."""
    with pytest.raises(SettingsError) as caught:
        load_settings(tls_cert="c.pem", tls_key="k.pem")
    assert caught.value.lines == [
        "WATCHWORD_ISSUER: http://localhost:8080 is on plain http, but with WATCHWORD_TLS_CERT this"
        " server speaks TLS alone; use https"
    ]


def test_a_certificate_with_its_key() -> None:
    """It goes with an issuer on https."""
    assert str(load_settings(issuer=HTTPS, tls_cert="c.pem", tls_key="k.pem").tls_key) == "k.pem"


@pytest.mark.parametrize(
    "given",
    [
        {"tls_client_certs": "own.pem"},
        {"tls_client_certs": "own.pem", "tls_client_ca": "none", "trusted_proxies": "10.0.0.1"},
        {"tls_client_certs": "own.pem", "tls_cert": "c.pem", "tls_key": "k.pem"},
    ],
)
def test_certificates_for_a_handshake_that_there_is_not(given: dict[str, str]) -> None:
    """A proxy makes its own; without the other setting no certificate is asked for."""
    with pytest.raises(SettingsError) as caught:
        load_settings(issuer=HTTPS, **given)
    assert caught.value.lines == [
        "--tls-client-certs: goes with TLS in this server and with certificates that count:"
        " set WATCHWORD_TLS_CERT, and WATCHWORD_TLS_CLIENT_CA, to `none` if no authority names"
        " clients"
    ]


def test_certificates_of_clients_without_authorities() -> None:
    """Those that are listed are the only ones that TLS lets pass."""
    tls = {"tls_cert": "c.pem", "tls_key": "k.pem", "tls_client_ca": "none"}
    assert load_settings(issuer=HTTPS, **tls, tls_client_certs="own.pem").client_ca_file is None
    with pytest.raises(SettingsError) as caught:
        load_settings(issuer=HTTPS, **tls)
    assert caught.value.lines[0].startswith("--tls-client-ca: a server that speaks TLS")


@pytest.mark.parametrize("trusted", [None, "none", "authority.pem"])
def test_a_method_without_its_setting_is_one_that_the_provider_switches_off(
    trusted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what an operator is told of a client is what the token endpoint does."""
    monkeypatch.chdir(tmp_path)
    Authority(tmp_path)
    settings = load_settings(tls_client_ca=trusted, trusted_proxies="10.0.0.1")
    unused: Any = SimpleNamespace(is_open=False)
    running = set(threading.enumerate())
    claims = RecentProofs(1, clock=lambda: 0.0)
    provider = Authentication(
        settings, unused, unused, claims, limits=Limits(), events=ignore_event
    )
    provider.close()
    for each in set(threading.enumerate()) - running:
        each.join(10)  # closing does not wait for it, and other tests count threads
    on = [each for each in METHODS if find_missing_setting(each, settings) is None]
    assert tuple(on) == provider.authenticator.methods
