"""Unit tests of `issuer.access_token`: which claims a token has, and what hooks may add."""

import json
from collections.abc import Mapping

import pytest

from issuer.access_token import build_claims, constant_claims
from issuer.client_auth.methods import ClientAuthenticator
from issuer.client_auth.secret import SecretVerifier
from issuer.endpoints.token import TokenEndpoint
from issuer.errors import Reason
from issuer.grants.authorization import Authorization
from issuer.registry.claims import CLOSED_CLAIMS
from issuer.registry.resource import TokenPolicy
from issuer.registry.usage import UsageLog
from issuer.service import TokenService
from tests.support.issuer import API, ISSUER, NOW, TestIssuer, make_client

PLAIN = Authorization(
    subject="svc-a", client_id="svc-a", resource=API, scopes=("read", "write"), token_ttl=60
)
REQUIRED = {
    "iss": ISSUER,
    "sub": "svc-a",
    "client_id": "svc-a",
    "aud": API,
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "j",
}


def claims_of(authorization: Authorization, *hooks) -> dict[str, object]:
    """Build the claims of a token."""
    return build_claims(authorization, issuer=ISSUER, now=NOW, jti="j", hooks=hooks)


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        ({}, {"scope": "read write"}),
        ({"scopes": ()}, {}),
        ({"subject": "user-1"}, {"sub": "user-1", "scope": "read write"}),
        ({"scopes": (), "actor": {"sub": "svc-b"}}, {"act": {"sub": "svc-b"}}),
        ({"scopes": (), "confirmation": {"jkt": "t"}}, {"cnf": {"jkt": "t"}}),
        (
            {"scopes": (), "authorization_details": ({"type": "payment"},)},
            {"authorization_details": ({"type": "payment"},)},
        ),
    ],
)
def test_what_is_authorized_is_in_the_token(changes, claims):
    """RFC 9068 §2.2, RFC 8693 §4.1, RFC 7800 §3.1, RFC 9396 §9.1; nothing of it is left out."""
    assert claims_of(PLAIN._replace(**changes)) == REQUIRED | claims


def test_hooks_add_claims_after_all_others():
    """Each sees what was authorized; an operator's claim stands beside the issuer's."""
    claims = claims_of(
        PLAIN,
        lambda authorization: {"tenant": authorization.client_id},
        lambda authorization: {"region": "eu"},
    )
    assert claims == REQUIRED | {"scope": "read write", "tenant": "svc-a", "region": "eu"}
    assert list(claims)[-2:] == ["tenant", "region"]


@pytest.mark.parametrize("name", sorted(CLOSED_CLAIMS))
def test_a_hook_writes_no_claim_that_resource_servers_decide_by(name):
    """Also none that this token lacks: a hook cannot make it look like a token of a user."""
    with pytest.raises(ValueError, match=name):
        claims_of(PLAIN, lambda authorization: {name: "x"})


def test_a_hook_replaces_no_claim_of_another():
    """Which hook came first decides nothing."""
    with pytest.raises(ValueError, match="tenant"):
        claims_of(PLAIN, lambda _: {"tenant": "a"}, lambda _: {"tenant": "b"})


def test_every_claim_of_a_contributor_is_closed():
    """What the issuer writes in some tokens, no hook writes in others."""
    whole = PLAIN._replace(actor={"sub": "b"}, confirmation={"jkt": "t"})
    assert set(claims_of(whole)) <= CLOSED_CLAIMS


def fail(authorization: Authorization) -> Mapping[str, object]:
    """Contribute nothing."""
    raise RuntimeError("the operator's fault")


def add_too_much(authorization: Authorization) -> Mapping[str, object]:
    """Contribute more than a token has room for."""
    return {"roles": "r" * 8000}


@pytest.mark.parametrize(
    ("hook", "reason"), [(fail, Reason.INTERNAL), (add_too_much, Reason.TOKEN_TOO_LONG)]
)
async def test_a_hook_that_fails_leaves_no_token(hook, reason):
    """500 `server_error` and an event: neither a token without its claims nor one too long."""
    events = []
    issuer = TestIssuer()
    authenticator = ClientAuthenticator(
        issuer.clients, SecretVerifier(issuer.slow, memo_key=bytes(32))
    )
    usage = UsageLog()
    issuer._endpoint = TokenEndpoint(
        TokenService(
            issuer.config, authenticator, issuer.keys, usage, reused=issuer.reused, hooks=[hook]
        ),
        url=f"{ISSUER}/token",
        clock=lambda: NOW,
        new_jti=lambda: "j",
        events=lambda event, **fields: events.append((event, fields["reason"])),
    )
    answer = await issuer.ask()
    assert (answer.status, json.loads(answer.body)) == (500, {"error": "server_error"})
    assert events == [("token.refused", reason)]
    assert not usage.take()


def test_a_token_for_another_subject_lacks_the_claims_of_its_client():
    """RFC 8693 §4.1: `sub` is not the client, and a reader would take them for the subject's."""
    client = make_client(claims={"tenant": "a"}, policies={API: TokenPolicy(claims={"tier": 1})})
    assert constant_claims(client, PLAIN) == {"tenant": "a", "tier": 1}
    assert constant_claims(client, PLAIN._replace(subject="user-1")) == {"tier": 1}
    assert not constant_claims(make_client(), PLAIN)
