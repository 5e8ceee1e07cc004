"""Unit tests of `issuer.endpoints.authorization`: there is nothing to authorize."""

import pytest

from issuer.config import IssuerConfig
from issuer.endpoints.authorization import refuse_authorization
from issuer.metadata import build_metadata
from tests.support.issuer import call


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_is_refused_where_it_was_sent(method):
    """RFC 6749 §4.1.2.1: MUST NOT redirect to a URI that is not the client's; none here is."""
    query = b"response_type=code&client_id=svc-a&redirect_uri=https%3A%2F%2Fevil.example%2F&state=s"
    answer = await call(refuse_authorization, method, "/authorize", query=query)
    assert (answer.status, answer.json["error"]) == (400, "unsupported_response_type")
    assert (answer.header("location"), answer.header("cache-control")) == (None, "no-store")
    assert b"evil" not in answer.body


async def test_other_methods_are_not_there():
    """RFC 6749 §3.1, RFC 9110 §15.5.6; HEAD has no body."""
    answer = await call(refuse_authorization, "PUT", "/authorize")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD, POST")
    assert (await call(refuse_authorization, "HEAD", "/authorize")).body == b""


@pytest.mark.rfc("8414-2-1")
def test_the_metadata_name_the_endpoint_only_where_it_is():
    """Without a response type, which every request needs (RFC 8414 §2)."""
    issuer = "https://auth.example/tenant"
    assert "authorization_endpoint" not in build_metadata(IssuerConfig(issuer=issuer), methods=())
    metadata = build_metadata(IssuerConfig(issuer=issuer, authorization_endpoint=True), methods=())
    assert metadata["authorization_endpoint"] == "https://auth.example/tenant/authorize"
    assert metadata["response_types_supported"] == []
