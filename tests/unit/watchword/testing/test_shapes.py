"""Tokens of other vendors: what each has of its own, and what the issuer makes of them."""

import pytest

from keys.jws import parse_compact
from watchword.testing import Issuer
from watchword.testing.endpoints import claims_of
from watchword.testing.shapes import SHAPES

ORDERS = "https://orders.example.com"
TYPES = {"rfc9068": "at+jwt", "keycloak": "JWT", "auth0": "JWT", "entra": "JWT"}
OWN = {
    "rfc9068": {"client_id": "till", "scope": "read write", "sub": "till"},
    "keycloak": {"azp": "till", "typ": "Bearer", "scope": "read write"},
    "auth0": {"azp": "till", "sub": "till@clients", "gty": "client-credentials"},
    "entra": {"azp": "till", "roles": ["read", "write"], "ver": "2.0"},
    "cognito": {"client_id": "till", "token_use": "access", "scope": "read write"},
    "okta": {"cid": "till", "scp": ["read", "write"], "ver": 1},
}


@pytest.mark.parametrize("profile", SHAPES)
def test_a_token_has_the_shape_of_its_vendor(profile: str) -> None:
    """Whether it is asked for by token or is the issuer's own."""
    made = [
        Issuer(audience=ORDERS).token(profile=profile, scope="read write", client_id="till"),
        Issuer(audience=ORDERS, profile=profile).token(scope=["read", "write"], client_id="till"),
    ]
    for token in made:
        header, claims = parse_compact(token.encode()).header, claims_of(token)
        assert header.get("typ") == TYPES.get(profile)
        assert {name: claims.get(name) for name in OWN[profile]} == OWN[profile]
        assert claims.get("aud") == (None if profile == "cognito" else ORDERS)


@pytest.mark.parametrize("profile", SHAPES)
def test_flaws_and_further_claims_are_in_every_shape(profile: str) -> None:
    """What is asked for by name goes before what the vendor has."""
    issuer = Issuer(profile=profile, claims={"tenant": "shop"})
    claims = claims_of(issuer.token(not_yet_valid=True, wrong_audience=True, subject="user-1"))
    assert claims["nbf"] == issuer.clock() + 3600
    assert (claims["aud"], claims["tenant"], claims["sub"]) == (
        "https://elsewhere.test",
        "shop",
        "user-1",
    )


def test_only_tokens_with_a_status_can_be_revoked() -> None:
    """Other vendors have no status lists."""
    with pytest.raises(ValueError, match="cannot be revoked"):
        Issuer().token(profile="keycloak", revoked=True)
    with pytest.raises(ValueError, match="profile must be one of"):
        Issuer(profile="ping")
