"""Property tests of token exchange: nothing is ever had that the shown token or the policy lack."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from issuer.client_request import Evidence
from issuer.config import IssuerConfig
from issuer.errors import OAuthError
from issuer.grants.token_exchange import Facts, decide
from issuer.own_tokens import OwnToken
from issuer.registry.permission import ExchangePermission, ResourcePermission
from issuer.registry.resource import TokenPolicy
from issuer.status.positions import Status
from issuer.token_request import TokenRequest
from tests.support.issuer import ISSUER, NOW, make_client

APIS = ("https://a.example", "https://b.example")
SCOPES = ("read", "write", "pay")
CLIENTS = ("one", "two", "self")

some = st.lists(st.sampled_from(SCOPES), unique=True, min_size=1)
apis = st.sampled_from(APIS)
lives = st.none() | st.integers(1, 600)


def mostly(usual: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw the usual nine times of ten, so that most requests get past each check."""
    return st.integers(0, 9).flatmap(lambda number: others if number == 9 else st.just(usual))


@st.composite
def chains(draw: st.DrawFn) -> dict[str, Any] | None:
    """Draw actors, one within another."""
    chain: dict[str, Any] | None = None
    for client in draw(st.lists(st.sampled_from(CLIENTS), max_size=3)):
        chain = {"sub": client} if chain is None else {"sub": client, "act": chain}
    return chain


@st.composite
def subject_tokens(draw: st.DrawFn) -> Facts:
    """Draw a token of ours as verification gives it."""
    left = draw(st.integers(1, 600))
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": draw(st.sampled_from(CLIENTS)),
        "client_id": draw(mostly("one", st.sampled_from(CLIENTS))),
        "aud": draw(mostly(APIS[0], apis | st.lists(apis, min_size=1, unique=True))),
        "iat": NOW - 1,
        "exp": NOW + left,
        "jti": "j",
    }
    further = {
        "scope": draw(mostly("write pay", st.none() | some.map(" ".join))),
        "act": draw(chains()),
        "cnf": draw(mostly(None, st.just({"jkt": "k"}))),
        "may_act": draw(mostly(None, st.sampled_from(CLIENTS).map(lambda each: {"sub": each}))),
    }
    claims |= {name: value for name, value in further.items() if value is not None}
    return Facts(OwnToken(claims, "k", None, Status.VALID), left)


parties = st.lists(st.sampled_from(CLIENTS), min_size=1).map(tuple)
permissions = st.builds(
    ExchangePermission,
    subject_resource=apis,
    resource=apis,
    subjects=st.just(("*",)) | parties,
    max_depth=st.integers(1, 5),
)
policies = st.lists(
    permissions, max_size=3, unique_by=lambda each: (each.subject_resource, each.resource)
)
grants = st.tuples(apis, some).map(
    lambda pair: ResourcePermission(resource=pair[0], scopes=tuple(pair[1]))
)


@st.composite
def services(draw: st.DrawFn) -> Any:
    """Draw a client with any permissions."""
    pair = st.tuples(st.just(("*",)) | parties, st.integers(1, 5))
    subjects, depth = draw(pair)
    usual = ExchangePermission(
        subject_resource=APIS[0], resource=APIS[1], subjects=subjects, max_depth=depth
    )
    granted = draw(
        mostly(
            [ResourcePermission(resource=APIS[1], scopes=("pay", "read"))],
            st.lists(grants, max_size=2, unique_by=lambda each: each.resource),
        )
    )
    return make_client(
        "self",
        grants=tuple(granted),
        policies={each.resource: TokenPolicy(token_ttl=draw(lives)) for each in granted},
        token_exchange=tuple(draw(mostly([usual], policies))),
        token_ttl=draw(lives),
    )


requests = st.builds(
    TokenRequest,
    evidence=st.just(Evidence()),
    resources=mostly((APIS[1],), st.lists(apis, max_size=2).map(tuple)),
    scope=mostly(None, some.map(" ".join)),
    audience=mostly(None, apis),
)


def depth_of(actor: Any) -> int:
    """Count the actors of a chain."""
    return 0 if actor is None else 1 + depth_of(actor.get("act"))


@given(request=requests, client=services(), facts=subject_tokens())
def test_an_exchanged_token_is_never_wider_than_token_and_policy(
    request: TokenRequest, client: Any, facts: Facts
) -> None:
    """Scope, life, audience, subject and chain; or it is refused as OAuth has it."""
    config = IssuerConfig(issuer=ISSUER, token_ttl=450)
    claims = facts.subject.claims
    try:
        got = decide(request, client, config, facts)
    except OAuthError:
        return
    (granted,) = (each for each in client.grants if each.resource == got.resource)
    assert set(got.scopes) <= set(claims["scope"].split()) & set(granted.scopes)
    assert got.scopes
    assert 1 <= got.token_ttl <= facts.left
    assert got.token_ttl <= min(
        each
        for each in (client.registration.token_ttl, client.policies[got.resource].token_ttl, 86_400)
        if each is not None
    )
    assert got.further_resources == got.authorization_details == ()
    assert (got.subject, got.client_id) == (claims["sub"], "self")
    assert got.actor is not None
    assert got.actor.get("act") == claims.get("act")
    assert got.subject_is_bound is ("cnf" in claims)
    assert claims.get("may_act", {"sub": "self"}) == {"sub": "self"}
    assert claims["client_id"] != "self"
    allowed = [
        each
        for each in client.registration.token_exchange
        if facts.subject.audience == (each.subject_resource,) and each.resource == got.resource
    ]
    assert any(
        ("*" in each.subjects or {claims["sub"], claims["client_id"]} <= set(each.subjects))
        and depth_of(got.actor) <= each.max_depth
        for each in allowed
    )
