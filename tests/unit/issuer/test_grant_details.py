"""`issuer.grants.client_credentials`: lifetimes, and what an authenticated client is told."""

import pytest

from issuer.client_request import Evidence
from issuer.config import IssuerConfig
from issuer.errors import InvalidRequest, InvalidScope
from issuer.grants.authorization import Authorization
from issuer.grants.client_credentials import decide as decide_authorization
from issuer.registry.client import Client
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.service import find_grant
from issuer.token_request import TokenRequest
from tests.support.issuer import API, ISSUER, OTHER_API, make_client

TWO_APIS = (
    ResourcePermission(resource=API, scopes=("read", "write")),
    ResourcePermission(resource=OTHER_API, scopes=("read", "pay")),
)


def decide(client: Client, *, scope: str | None = None, token_ttl: int = 3600) -> Authorization:
    """Decide what a request of the client gets from an issuer with this lifetime."""
    request = TokenRequest(
        evidence=Evidence(),
        grant_type="client_credentials",
        scope=scope,
        resources=(),
    )
    config = IssuerConfig(issuer=ISSUER, token_ttl=token_ttl)
    return decide_authorization(request, client, config, None)


def told(client: Client, scope: str) -> str | None:
    """Return how the refusal of a scope is described."""
    with pytest.raises(InvalidScope) as caught:
        decide(client, scope=scope)
    return caught.value.description


@pytest.mark.parametrize(
    ("client_ttl", "resource_ttl", "lifetime"),
    [
        (None, None, 900),
        (60, None, 60),
        (None, 90, 90),
        (60, 90, 60),
        (600, 90, 90),
        (1200, None, 1200),
        (None, 1200, 1200),
    ],
)
def test_the_shortest_lifetime_is_granted(
    client_ttl: int | None, resource_ttl: int | None, lifetime: int
) -> None:
    """Of the client's and the resource's; the issuer's holds where neither has one."""
    client = make_client(token_ttl=client_ttl, policies={API: TokenPolicy(token_ttl=resource_ttl)})
    assert decide(client, token_ttl=900).token_ttl == lifetime


@pytest.mark.parametrize("scope", ["write pay", "read write pay"])
def test_scopes_of_several_resources_are_told_to_be_so(scope: str) -> None:
    """All of them together too: each may be had, but not in one token (RFC 9068 §3)."""
    advice = "the scopes belong to several resources: name one with resource"
    assert told(make_client(grants=TWO_APIS), scope) == advice
    assert told(make_client(grants=TWO_APIS), scope + " fly") != advice


def test_a_list_keeps_to_the_characters_of_an_answer() -> None:
    """RFC 6749 §5.2: one question mark for each character that a description cannot have."""
    odd = ResourcePermission(resource=API, scopes=("read", "caf\u00e9", 'a"b'))
    assert told(make_client(grants=(odd,)), "fly") == "this client may ask for: read caf? a?b"


@pytest.mark.parametrize(("length", "shown"), [(400, 400), (401, 400), (402, 400)])
def test_a_list_is_cut_at_its_longest(length: int, shown: int) -> None:
    """Three dots say that there is more."""
    scope = "s" * length
    client = make_client(grants=(ResourcePermission(resource=API, scopes=(scope,)),))
    dots = "..." if length > shown else ""
    assert told(client, "fly") == f"this client may ask for: {scope[:shown]}{dots}"


def test_a_missing_grant_type_is_named() -> None:
    """The peer is told which part to add."""
    with pytest.raises(InvalidRequest) as caught:
        find_grant(None, make_client().registration)
    assert caught.value.description
