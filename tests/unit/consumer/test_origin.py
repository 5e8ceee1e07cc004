"""Where credentials may travel."""

import pytest

from consumer.errors import InsecureUrl
from consumer.origin import Origin, parse_origin, require_secure


def test_an_origin_is_scheme_host_and_port():
    """Path and query are no part of it, and upper case in the host means nothing."""
    assert Origin("https", "api.example", 8443) == parse_origin("https://API.example:8443/x?y")
    assert Origin("http", "::1") == parse_origin("http://[::1]/")


@pytest.mark.parametrize(
    "url",
    ["api.example", "/path", "https://", "https://u:p@api.example", "https://a:99999/", "ftp://a"],
)
def test_what_is_no_absolute_url_is_refused(url):
    """No scheme, no host, a user name or an impossible port: not an address to send to."""
    with pytest.raises(ValueError):
        parse_origin(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://a.example", "https://a.example"),
        ("http://[::1]:80/x", "http://[::1]:80"),
    ],
)
def test_an_origin_reads_like_a_url(url, text):
    """It is shown in messages."""
    assert text == str(parse_origin(url))


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize(
    "url", ["http://api.example", "http://10.0.0.1:8080", "http://a.localhost"]
)
def test_plain_http_to_another_machine_is_refused(url):
    """Neither a secret nor a token travels where others can read it."""
    with pytest.raises(InsecureUrl, match=r"not https.*set allow_insecure_http"):
        require_secure(parse_origin(url), allow_insecure_http=False)


@pytest.mark.rfc("21-1.5-1")
@pytest.mark.parametrize("url", ["https://api.example", "http://localhost:8080", "http://[::1]"])
def test_tls_and_loopback_are_allowed(url):
    """TLS everywhere, plain http on this machine."""
    require_secure(parse_origin(url), allow_insecure_http=False)


def test_the_loud_option_allows_http_and_nothing_else():
    """`allow_insecure_http` is about http; other schemes are no way to send a request at all."""
    require_secure(Origin("http", "orders"), allow_insecure_http=True)
    require_secure(Origin("http", "api.example"), allow_insecure_http={"api.example"})
    with pytest.raises(InsecureUrl):
        require_secure(Origin("ftp", "orders"), allow_insecure_http=True)


def test_a_public_host_is_to_be_named():
    """The message says how."""
    with pytest.raises(InsecureUrl, match="name the host in allow_insecure_http"):
        require_secure(Origin("http", "api.example"), allow_insecure_http=True)
