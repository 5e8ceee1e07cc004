"""RFC 9068 and the JOSE rules under it, as the issuer keeps them."""

import pytest

from issuer.access_token import build_claims
from issuer.grants.authorization import Authorization
from issuer.registry.permission import ResourcePermission
from tests.support.issuer import (
    API,
    ISSUER,
    NOW,
    OTHER_API,
    SECRET,
    Clients,
    TestIssuer,
    basic,
    make_client,
)
from tests.support.keys import public_rsa_jwk


@pytest.mark.rfc("9068-2.1-1", "8725-3.11-1", "7638-3-1")
async def test_header_says_type_algorithm_and_key_and_nothing_else() -> None:
    """An access token is explicitly typed and signed with the key that `kid` names."""
    header = (await TestIssuer().ask()).token_header
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": public_rsa_jwk().kid}


@pytest.mark.rfc("9068-2.2-1", "7519-2-1")
async def test_claims_are_the_required_ones() -> None:
    """The client is its own subject; times are integers; one audience is a string."""
    claims = (await TestIssuer().ask()).claims
    assert claims == {
        "iss": ISSUER,
        "sub": "svc-a",
        "client_id": "svc-a",
        "aud": API,
        "iat": NOW,
        "exp": NOW + 3600,
        "jti": "jti-1",
        "scope": "read write",
    }
    assert [type(claims[name]) for name in ("iat", "exp")] == [int, int]


@pytest.mark.rfc("9068-2.2-1", "9068-5-1")
async def test_every_token_has_its_own_id_and_its_clients_subject() -> None:
    """No two tokens share a `jti`, no two clients a `sub`."""
    issuer = TestIssuer()
    first, second = (await issuer.ask()).claims, (await issuer.ask()).claims
    assert first["jti"] != second["jti"]
    assert first["sub"] == second["sub"] == "svc-a"


@pytest.mark.rfc("9068-2.2.3-1")
def test_a_grant_without_scopes_gives_a_token_without_scope() -> None:
    """An empty scope is no scope: the token does not have the member."""
    authorization = Authorization(
        subject="svc-a", client_id="svc-a", resource=API, scopes=(), token_ttl=60
    )
    assert "scope" not in build_claims(authorization, issuer=ISSUER, now=0, jti="j")


@pytest.mark.rfc("9068-3-1")
async def test_without_a_resource_the_first_grant_is_the_default() -> None:
    """`aud` is the client's default resource where it names none."""
    assert (await TestIssuer().ask()).claims["aud"] == API


async def test_odd_client_ids_survive_into_the_claims() -> None:
    """Characters that JSON escapes do not break a token."""
    odd = 'a"b\\c<>&'
    issuer = TestIssuer(clients=Clients(make_client(odd)))
    assert (await issuer.ask(auth=basic(odd, SECRET))).claims["sub"] == odd


@pytest.mark.rfc("9068-3-1")
async def test_the_audience_is_inferred_from_the_scope() -> None:
    """Without a resource, the grant that has all the scopes is meant; the default comes first."""
    client = make_client(
        grants=(
            ResourcePermission(resource=API, scopes=("read",)),
            ResourcePermission(resource=OTHER_API, scopes=("read", "pay")),
        )
    )
    issuer = TestIssuer(clients=Clients(client))
    assert (await issuer.ask({"scope": "read"})).claims["aud"] == API
    assert (await issuer.ask({"scope": "pay"})).claims["aud"] == OTHER_API
    named = await issuer.ask({"scope": "read", "resource": OTHER_API})
    assert named.claims["aud"] == OTHER_API
    assert (await issuer.ask({"scope": "pay", "resource": API})).json["error"] == "invalid_scope"


@pytest.mark.rfc("9068-3-1")
async def test_scopes_of_different_resources_are_refused() -> None:
    """Scopes that imply several audiences are an invalid scope."""
    grants = tuple(
        ResourcePermission(resource=uri, scopes=(scope,))
        for uri, scope in ((API, "read"), (OTHER_API, "pay"), ("https://third.example", "pay"))
    )
    issuer = TestIssuer(clients=Clients(make_client(grants=grants)))
    answers = [await issuer.ask({"scope": scope}) for scope in ("read pay", "pay")]
    assert [answer.json["error"] for answer in answers] == ["invalid_scope"] * 2
