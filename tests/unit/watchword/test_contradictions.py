"""Settings of TLS that do not go with each other."""

import pytest

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
