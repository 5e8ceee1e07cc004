"""Tokens of other vendors: what each has of its own, and what the issuer makes of them."""

import pytest

from keys.jws import parse_compact
from resource_api.errors import InvalidToken
from resource_api.profiles import PROFILES
from resource_api.protection import Protection
from tests.support.vendor_tokens import AUTH0, COGNITO, ENTRA_V2, KEYCLOAK, OKTA
from watchword.testing import Issuer
from watchword.testing.endpoints import claims_of
from watchword.testing.shapes import SHAPES

VENDORS = {
    "keycloak": KEYCLOAK,
    "auth0": AUTH0,
    "entra": ENTRA_V2,
    "cognito": COGNITO,
    "okta": OKTA,
}
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


@pytest.mark.parametrize("profile", VENDORS)
async def test_an_api_accepts_the_shape_by_its_profile(profile: str) -> None:
    """It has the claims of the sample that the profile is tested with, and passes its checks."""
    issuer = Issuer(audience=ORDERS, profile=profile)
    scope = f"{ORDERS}/read" if profile == "cognito" else "read"
    token = issuer.token(scope=scope, client_id="till")
    sample = VENDORS[profile].keys() - {"permissions"}  # those of a user
    assert claims_of(token).keys() == sample
    seen = await Protection(**issuer.protection_settings()).validate(token.encode())
    assert (seen.client_id, seen.scopes) == ("till", {scope})
    strict = Protection(**{**issuer.protection_settings(), "policy": None})
    with pytest.raises(InvalidToken):
        await strict.validate(token.encode())


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


def test_every_profile_that_has_a_name_has_a_shape() -> None:
    """So what an API can be told to trust can be issued in its tests."""
    assert SHAPES.keys() == PROFILES.keys()


def test_only_tokens_with_a_status_can_be_revoked() -> None:
    """Other vendors have no status lists."""
    with pytest.raises(ValueError, match="cannot be revoked"):
        Issuer().token(profile="keycloak", revoked=True)
    with pytest.raises(ValueError, match="profile must be one of"):
        Issuer(profile="ping")
