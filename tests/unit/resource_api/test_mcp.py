"""Unit tests of `resource_api.mcp`: what the SDK learns of a token, and of one that is no good."""

import pytest
from mcp.server.auth.provider import principal_components

from resource_api.errors import KeysUnavailable
from resource_api.mcp import server_auth
from tests.support.protected_api import ProtectedApi
from watchword.testing.forge import ISSUER, NOW, RESOURCE


@pytest.mark.rfc("mcp-3")
async def test_the_sdk_learns_whose_token_it_is():
    """Its principal is the client at its issuer; its resource is the server."""
    api = ProtectedApi()
    token = api.forge.token(scope="b a", client_id="svc", sub="svc", exp=NOW + 60).decode()
    verifier = server_auth(api.app.protection)["token_verifier"]
    found = await verifier.verify_token(token)
    assert principal_components(found) == ("svc", ISSUER, "svc")
    assert (found.token, found.scopes, found.resource) == (token, ["a", "b"], RESOURCE)
    assert found.expires_at == NOW + 60


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "malformed_authorization"),
        ("a b", "malformed_authorization"),
        ("\u20ac", "malformed_authorization"),
        ("a.b.c", "malformed_token"),
    ],
)
async def test_a_token_that_is_no_good_is_none_and_reported(token, reason):
    """The SDK then answers 401, where no middleware of ours has done so before."""
    api = ProtectedApi()
    assert await server_auth(api.app.protection)["token_verifier"].verify_token(token) is None
    assert api.reason == reason


def test_the_sdk_is_told_issuer_and_resource_to_the_letter():
    """An empty path stays empty: both are compared byte for byte."""
    auth = server_auth(ProtectedApi().app.protection)["auth"]
    assert (str(auth.issuer_url), str(auth.resource_server_url)) == (ISSUER, RESOURCE)
    assert auth.validate_token_resource is True


async def test_a_token_that_cannot_be_judged_is_no_wrong_one():
    """By 401 the client would lose it."""
    api = ProtectedApi()
    api.issuer.fails = ConnectionError()
    with pytest.raises(KeysUnavailable):
        await server_auth(api.app.protection)["token_verifier"].verify_token(
            api.forge.token().decode()
        )
    assert api.reason == "no_keys"
