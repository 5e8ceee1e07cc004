"""The issuer's metadata, as a consumer reads them."""

import json

import pytest

from consumer.errors import InsecureUrl, MetadataError, TokenEndpointUnreachable
from consumer.fetch import FetchAnswer
from consumer.metadata import build_metadata_requests, check_endpoint, check_issuer, parse_metadata

ISSUER = "https://as.example"
GOOD = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "jwks_uri": f"{ISSUER}/jwks"}


def judged(document, status=200, *, issuer=ISSUER, allow_insecure_http=False):
    """Judge such a document."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {"content-type": "application/json"}
    answer = FetchAnswer(status=status, headers=headers, body=body)
    return parse_metadata(answer, issuer, allow_insecure_http=allow_insecure_http)


def test_good_metadata_give_the_addresses():
    """Members that nobody here needs are ignored."""
    metadata = judged(GOOD | {"whatever": [1]})
    assert (f"{ISSUER}/token", f"{ISSUER}/jwks") == (metadata.token_endpoint, metadata.jwks_uri)


def test_a_consumer_does_without_keys():
    """`jwks_uri` is for those who validate."""
    del (document := dict(GOOD))["jwks_uri"]
    assert judged(document).jwks_uri is None


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"token_endpoint": "/token"},
        {"token_endpoint": f"{ISSUER}/token#f"},
        {"token_endpoint": "https://u:p@as.example/token"},
        {"jwks_uri": ["x"]},
    ],
    ids=repr,
)
def test_an_unusable_address_is_refused(change):
    """Missing, relative, with a fragment or a password in it."""
    with pytest.raises(MetadataError):
        judged(GOOD | change)


@pytest.mark.rfc("21-1.5-1")
def test_an_endpoint_on_plain_http_is_refused():
    """Metadata cannot lead the secret out of TLS, and to plain http only where that is allowed."""
    endpoint = {"token_endpoint": "http://as.example/token"}
    for allowed in (False, True, {"as.example"}):
        with pytest.raises(InsecureUrl):
            judged(GOOD | endpoint, allow_insecure_http=allowed)
    plain = "http://as.example"
    document = GOOD | endpoint | {"issuer": plain}
    with pytest.raises(InsecureUrl):
        judged(document, issuer=plain)
    found = judged(document, issuer=plain, allow_insecure_http={"as.example"})
    assert found.token_endpoint == "http://as.example/token"


@pytest.mark.parametrize("status", [301, 401, 404])
def test_metadata_that_are_not_there_are_an_error(status):
    """The message names the address, because that is what is wrong."""
    with pytest.raises(MetadataError, match=r"oauth-authorization-server answered"):
        judged(b"", status)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_out_of_order_is_unreachable(status):
    """It is worth asking again later."""
    with pytest.raises(TokenEndpointUnreachable):
        judged(b"", status)


def test_unreadable_metadata_are_an_error():
    """An HTML page with status 200 is not metadata."""
    with pytest.raises(MetadataError, match="cannot be read"):
        judged(b"<html>")


@pytest.mark.parametrize("issuer", ["https://a/x?y", "https://a/x#y", "https://a?"])
def test_an_issuer_has_neither_query_nor_fragment(issuer):
    """RFC 8414 §2."""
    with pytest.raises(ValueError, match=r"the issuer must not have a (query|fragment)"):
        check_issuer(issuer, allow_insecure_http=False)


def test_good_addresses_come_back_unchanged():
    """Nothing is normalised, not even a slash."""
    assert check_issuer("https://a/", allow_insecure_http=False) == "https://a/"
    assert check_endpoint("https://a/t?x", allow_insecure_http=False) == "https://a/t?x"


def test_the_question_is_a_plain_get():
    """It carries nothing that anybody must not see."""
    request = build_metadata_requests(ISSUER)[0]
    assert (request.method, request.body) == ("GET", None)
    assert dict(request.headers) == {"Accept": "application/json"}
