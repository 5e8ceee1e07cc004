"""Tokens of the endpoint and their places on status lists."""

import asyncio
from urllib.parse import urlencode

import pytest

from issuer.config import IssuerConfig
from issuer.registry.permission import ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.indexes import SMALLEST_BLOCK, StatusIndexes
from issuer.status.positions import bucket_for, position_of, read_jti
from tests.support.hot_store import SharedStore
from tests.support.issuer import (
    API,
    FORM,
    ISSUER,
    NOW,
    SECRET,
    Clients,
    TestIssuer,
    basic,
    make_client,
)

OTHER = "https://other.example"


def make_issuer(*, policy=None, config=None, **client):
    """Make an issuer whose tokens have places on lists, and the store of these."""
    store = SharedStore()
    policies = {API: TokenPolicy(**(policy or {})), OTHER: TokenPolicy()}
    return store, TestIssuer(
        clients=Clients(make_client(policies=policies, **client)),
        config=config or IssuerConfig(issuer=ISSUER),
        indexes=StatusIndexes(store, new_random=bytes, events=lambda *_, **__: None),
    )


@pytest.mark.rfc("tsl-6.2-1")
async def test_a_token_says_where_its_status_is_found():
    """The claim and the id name one place, of a block that is its client's."""
    store, issuer = make_issuer()
    claims = (await issuer.ask()).claims
    position = position_of(claims, ISSUER)
    assert claims["status"] == {
        "status_list": {
            "idx": position.index,
            "uri": f"{ISSUER}/status-lists/{bucket_for(NOW, 3600)}-0",
        }
    }
    assert read_jti(claims["jti"]) == position
    (block,) = store.owned
    assert (block.client_id, block.subject, block.resource) == ("svc-a", "svc-a", API)
    assert block.reserved_at == claims["iat"]


@pytest.mark.rfc("tsl-13.3-1")
async def test_no_two_tokens_have_one_place():
    """However many are asked for at once."""
    _, issuer = make_issuer()
    answers = await asyncio.gather(*(issuer.ask() for _ in range(60)))
    assert len({position_of(answer.claims, ISSUER) for answer in answers}) == 60


@pytest.mark.parametrize(
    ("ttl", "policy", "listed"),
    [
        (16, {}, True),
        (15, {}, False),
        (3600, {"status_list": False}, False),
        (3600, {"status_list": True}, True),
    ],
)
async def test_a_token_has_no_status_if_no_list_would_tell_in_time(ttl, policy, listed):
    """It ends before validators learn of a revocation, or its resource wants none."""
    _, issuer = make_issuer(policy={"token_ttl": ttl, **policy})
    claims = (await issuer.ask()).claims
    assert ("status" in claims) == listed
    assert (claims["jti"] == "jti-1") == (not listed)


async def test_a_token_for_several_resources_belongs_to_all_of_them():
    """So that it is hit by a revocation of all that is for one; one wants a list, so it has one."""
    grants = tuple(ResourcePermission(resource=each, scopes=("read",)) for each in (API, OTHER))
    store, issuer = make_issuer(
        policy={"status_list": False}, grants=grants, several_resources=True
    )
    asked = [("grant_type", "client_credentials"), ("resource", API), ("resource", OTHER)]
    headers = [(b"content-type", FORM.encode()), (b"authorization", basic("svc-a", SECRET))]
    claims = (await issuer.send(urlencode(asked).encode(), headers=headers)).claims
    assert claims["aud"] == [API, OTHER]
    (block,) = store.owned
    assert block.resource == f"{API} {OTHER}"


async def test_without_a_place_there_is_no_token():
    """503 with `Retry-After`, and a reason of its own in the log."""
    store, issuer = make_issuer()
    store.away = True
    answer = await issuer.ask()
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert answer.header("retry-after") == "1"
    assert issuer.events[-1][1]["reason"] == "no_status_index"
    assert not issuer.usage.take()


@pytest.mark.rfc("tsl-13.3-1")
async def test_requests_that_get_no_token_reserve_nothing():
    """A flood reserves by the tokens that it gets, and refused requests get none."""
    store, issuer = make_issuer()
    refused = [issuer.ask(auth=b"Basic c3ZjLWE6d3Jvbmc=") for _ in range(50)]
    refused += [issuer.ask({"scope": "admin"}) for _ in range(50)]
    assert {answer.status for answer in await asyncio.gather(*refused)} == {400, 401}
    assert not store.owned
    answers = await asyncio.gather(*(issuer.ask() for _ in range(200)))
    assert {answer.status for answer in answers} == {200}
    assert sum(block.size for block in store.owned) <= 2 * SMALLEST_BLOCK + 4 * 200
