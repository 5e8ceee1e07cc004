"""Unit tests of `resource_api.authorization_details`, and of the guard that demands them."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from resource_api.access_token import AccessToken, verify
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason
from resource_api.guard import require_details
from tests.support.protected_api import ProtectedApi, ask, bearer
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge

FORGE = TokenForge()
POLICY = ResourcePolicy(issuer=ISSUER, resource=RESOURCE)
PAY = {"type": "payment", "actions": ["initiate", "status"], "identifier": "a1"}
SEE = {"type": "payment", "actions": ["status"], "locations": [RESOURCE], "identifier": "a2"}
OTHER = {"type": "account", "actions": "status", "datatypes": ["balance"], "privileges": ["own"]}


def token(*details: Any) -> AccessToken:
    """Verify a token with details."""
    return verify(FORGE.token(authorization_details=list(details)), FORGE.keys, POLICY, now=NOW)


def test_details_are_what_was_signed() -> None:
    """As objects that cannot be changed; a token without them has none."""
    assert token(PAY, OTHER).authorization_details == (PAY, OTHER)
    assert verify(FORGE.token(), FORGE.keys, POLICY, now=NOW).authorization_details == ()
    with pytest.raises(TypeError):
        token(PAY).authorization_details[0]["type"] = "account"  # type: ignore[index]


@pytest.mark.parametrize(
    "claim", [None, PAY, "payment", [PAY, "payment"], [{"actions": []}], [{"type": 5}], [[]]]
)
def test_a_claim_of_another_shape_is_no_valid_token(claim: Any) -> None:
    """RFC 9396 §9.1, §2: an array of objects, each with a type."""
    sent = FORGE.token(authorization_details=claim)
    with pytest.raises(InvalidToken) as refused:
        verify(sent, FORGE.keys, POLICY, now=NOW)
    assert refused.value.reason is Reason.INVALID_DETAILS_CLAIM


@pytest.mark.parametrize(
    ("needed", "found"),
    [
        ({"kind": "payment"}, PAY),
        ({"kind": "payment", "actions": ["status"]}, PAY),
        ({"kind": "payment", "actions": {"status", "initiate"}}, PAY),
        ({"kind": "payment", "actions": ("status",), "locations": [RESOURCE]}, SEE),
        ({"kind": "payment", "identifier": "a2"}, SEE),
        ({"kind": "account", "datatypes": ["balance"], "privileges": ["own"]}, OTHER),
        # No single object has all of it.
        ({"kind": "payment", "actions": ["initiate"], "identifier": "a2"}, None),
        ({"kind": "payment", "actions": ["initiate"], "locations": [RESOURCE]}, None),
        ({"kind": "payment", "actions": ["INITIATE"]}, None),
        ({"kind": "payment", "identifier": ""}, None),
        ({"kind": "payment", "locations": ["https://other.example"]}, None),
        ({"kind": "account", "datatypes": ["balance", "debit"]}, None),
        ({"kind": "account", "privileges": ["other"]}, None),
        ({"kind": "payment", "datatypes": ["balance"]}, None),
        ({"kind": "Payment"}, None),
        # A text is no list, even if it has the word in it.
        ({"kind": "account", "actions": ["status"]}, None),
        ({"kind": "account", "actions": ["s"]}, None),
        ({"kind": "account", "identifier": "a1"}, None),
    ],
)
def test_one_object_has_all_that_is_needed_or_none_matches(needed: Any, found: Any) -> None:
    """Two objects with a part each would be a right that nobody granted."""
    assert token(PAY, SEE, OTHER).find_details(**needed) == found


@pytest.mark.parametrize("needed", [{"kind": ""}, {"kind": "payment", "actions": "status"}])
def test_a_need_that_cannot_be_is_refused_where_it_is_written(needed: Any) -> None:
    """The letters of a word are no actions."""
    with pytest.raises(ValueError, match="name a type"):
        require_details(**needed)
    with pytest.raises(ValueError, match="name a type"):
        token(PAY).find_details(**needed)


@require_details("payment", actions=["initiate"])
async def initiate(request: Request) -> PlainTextResponse:
    """Serve what a constant right allows."""
    return PlainTextResponse("initiated")


async def show(request: Request) -> PlainTextResponse:
    """Serve what depends on the path."""
    require_details("payment", identifier=request.path_params["account"]).demand()
    return PlainTextResponse("shown")


APP = Starlette(routes=[Route("/initiate", initiate), Route("/accounts/{account}", show)])


@pytest.mark.parametrize("path", ["/initiate", "/accounts/a1"])
async def test_a_route_demands_details(path: str) -> None:
    """Refused with the code that every client knows, and no scope, since none would help."""
    api = ProtectedApi(FORGE, app=APP)
    good = await ask(api.app, "GET", path, bearer(FORGE.token(authorization_details=[PAY])))
    assert good.status == 200
    for details in ([SEE], []):
        bad = await ask(api.app, "GET", path, bearer(FORGE.token(authorization_details=details)))
        assert (bad.status, bad.json["error"]) == (403, "insufficient_scope")
        assert api.reason == "insufficient_authorization_details"
        assert bad.challenge is not None
        assert 'error="insufficient_scope"' in bad.challenge
        assert "scope=" not in bad.challenge.replace("insufficient_scope", "")
        assert b"payment" not in bad.body
