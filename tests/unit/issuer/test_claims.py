"""Unit tests of `issuer.registry.claims`: which claims an operator may set, and who gets them."""

import pytest
from pydantic import ValidationError

from issuer.registry.claims import CLOSED_CLAIMS, MAXIMUM_BYTES, check_claim_names
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidValue
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from tests.support.issuer import API, NOW, OTHER_API, Clients, TestIssuer, make_client

MODELS = pytest.mark.parametrize(
    "make", [lambda **given: ClientRegistration(client_id="till", **given), TokenPolicy]
)


@MODELS
@pytest.mark.parametrize(
    "claims",
    [{}, {"tenant": "shop-1"}, {"n": [1, 2.5, None, {"a": True}]}, {"Größe №1": "", "x" * 255: 1}],
)
def test_claims_are_any_json_under_a_free_name(make, claims):
    """They are written into tokens as they are."""
    assert make(claims=claims).claims == claims


@MODELS
@pytest.mark.parametrize("name", sorted(CLOSED_CLAIMS))
def test_a_name_with_a_meaning_is_refused(make, name):
    """A resource server would take the claim for what the issuer says by it, or another format."""
    with pytest.raises(ValidationError, match=f"the claim {name} has a meaning of its own"):
        make(claims={"tenant": "x", name: "x"})


@MODELS
@pytest.mark.parametrize("name", ["", "a\nb", "a\x1b[2J", "\u202egnp", "a\0", "x" * 256])
def test_a_name_that_cannot_be_shown_is_refused(make, name):
    """It would forge a line of a log, or be invisible."""
    with pytest.raises(ValidationError, match="the name of a claim is 1 to 255 printable"):
        make(claims={name: 1})


def test_a_name_is_a_string():
    """JSON would make one of a number, and then two claims could have one name."""
    with pytest.raises(InvalidValue, match="the name of a claim is a string"):
        check_claim_names([1])


@MODELS
def test_claims_have_at_most_2_kilobytes(make):
    """They travel with every request."""
    room = MAXIMUM_BYTES - len('{"tenant": ""}')
    make(claims={"tenant": "x" * room})
    with pytest.raises(ValidationError, match="claims has more than 2048 bytes"):
        make(claims={"tenant": "x" * (room + 1)})


@MODELS
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "claims is not JSON"),
        ({1: 2}, "claims is not JSON"),
        ({1, 2}, "claims is not JSON"),
        ("\ud800", "claims is not JSON"),
        ("a\0", "NUL"),
        (2**63, "64 bits"),
    ],
)
def test_what_is_not_json_is_refused(make, value, words):
    """Nothing else can be in a token (RFC 7519 §7.1)."""
    with pytest.raises(ValidationError, match=words):
        make(claims={"tenant": value})


def issuer_with(of_client: dict[str, object], of_resource: dict[str, object]) -> TestIssuer:
    """Make an issuer whose client may use two resources, one of them with claims."""
    grants = tuple(
        ResourcePermission(resource=resource, scopes=("read",)) for resource in (API, OTHER_API)
    )
    policies = {API: TokenPolicy(claims=of_resource), OTHER_API: TokenPolicy()}
    client = make_client(grants=grants, policies=policies, claims=of_client)
    return TestIssuer(clients=Clients(client))


async def test_a_token_has_the_claims_of_its_client_and_of_its_resource():
    """And of no other resource."""
    issuer = issuer_with({"tenant": "shop-1"}, {"region": "eu"})
    claims = (await issuer.ask()).claims
    assert (claims["tenant"], claims["region"]) == ("shop-1", "eu")
    assert (claims["iss"], claims["sub"], claims["iat"]) == (issuer.config.issuer, "svc-a", NOW)
    other = (await issuer.ask({"resource": OTHER_API})).claims
    assert (other["tenant"], "region" in other) == ("shop-1", False)


async def test_of_a_name_that_both_have_the_resources_claim_counts():
    """The API decides by it, and belongs to the resource's owner."""
    issuer = issuer_with({"tier": "gold", "team": "a"}, {"tier": "basic"})
    claims = (await issuer.ask()).claims
    assert (claims["tier"], claims["team"]) == ("basic", "a")
