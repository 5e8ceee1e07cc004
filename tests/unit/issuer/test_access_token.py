"""Unit tests of `issuer.access_token`: which claims a token has."""

import pytest

from issuer.access_token import build_claims, constant_claims
from issuer.grants.authorization import Authorization
from issuer.registry.claims import CLOSED_CLAIMS
from issuer.registry.resource import TokenPolicy
from tests.support.issuer import API, ISSUER, NOW, make_client

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


def claims_of(authorization: Authorization) -> dict[str, object]:
    """Build the claims of a token."""
    return build_claims(authorization, issuer=ISSUER, now=NOW, jti="j")


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


def test_every_claim_of_a_contributor_is_closed():
    """What the issuer writes in some tokens, no operator writes in others."""
    whole = PLAIN._replace(actor={"sub": "b"}, confirmation={"jkt": "t"})
    assert set(claims_of(whole)) <= CLOSED_CLAIMS


def test_a_token_for_another_subject_lacks_the_claims_of_its_client():
    """RFC 8693 §4.1: `sub` is not the client, and a reader would take them for the subject's."""
    client = make_client(claims={"tenant": "a"}, policies={API: TokenPolicy(claims={"tier": 1})})
    assert constant_claims(client, PLAIN) == {"tenant": "a", "tier": 1}
    assert constant_claims(client, PLAIN._replace(subject="user-1")) == {"tier": 1}
    assert not constant_claims(make_client(), PLAIN)
