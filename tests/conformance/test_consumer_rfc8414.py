"""The consumer and RFC 8414: where the metadata are, and whose they must be."""

import json

import pytest

from consumer.errors import MetadataError
from consumer.fetch import FetchAnswer
from consumer.metadata import build_metadata_requests, parse_metadata


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a", "https://a/.well-known/oauth-authorization-server"),
        ("https://a/", "https://a/.well-known/oauth-authorization-server"),
        ("https://a/t1", "https://a/.well-known/oauth-authorization-server/t1"),
        ("https://a/t1/", "https://a/.well-known/oauth-authorization-server/t1"),
        ("https://a:8443/t1/x", "https://a:8443/.well-known/oauth-authorization-server/t1/x"),
        ("http://[::1]:8080", "http://[::1]:8080/.well-known/oauth-authorization-server"),
        ("https://a/%7Et", "https://a/.well-known/oauth-authorization-server/%7Et"),
    ],
)
def test_3_1_the_well_known_path_is_inserted(issuer, url):
    """Between host and path, without the issuer's last slash; never appended."""
    assert build_metadata_requests(issuer)[0].url == url


@pytest.mark.rfc("8414-3.3-1")
@pytest.mark.parametrize(
    "found",
    [
        "https://as.example/",
        "https://AS.example",
        "https://as.example:443",
        "HTTPS://as.example",
        "http://as.example",
        "https://as.example/x",
        "https://evil.example",
        None,
        ["https://as.example"],
    ],
    ids=repr,
)
def test_3_3_metadata_of_another_issuer_are_discarded(found):
    """The comparison is of strings; nothing is normalised, on either side."""
    with pytest.raises(MetadataError, match="another issuer"):
        judge(found, "https://as.example")


@pytest.mark.rfc("8414-3.3-1")
@pytest.mark.parametrize("issuer", ["https://as.example", "https://as.example/", "https://a/t1/"])
def test_3_3_metadata_of_the_same_issuer_are_used(issuer):
    """Byte for byte, a slash included."""
    assert judge(issuer, issuer).issuer == issuer


def judge(found, wanted):
    """Judge metadata that name one issuer, looked for under another."""
    document = {"issuer": found, "token_endpoint": "https://as.example/token"}
    headers = {"content-type": "application/json"}
    answer = FetchAnswer(status=200, headers=headers, body=json.dumps(document).encode())
    return parse_metadata(answer, wanted, allow_insecure_http=False)
