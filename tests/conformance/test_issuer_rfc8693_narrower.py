"""RFC 8693 as the issuer keeps it: what comes of an exchange is narrower in every respect."""

from typing import Any

import pytest

from issuer.registry.grant_types import CLIENT_CREDENTIALS
from issuer.registry.resource import TokenPolicy
from tests.support.exchange import (
    FORGE,
    exchange,
    issuer_of,
    make_service,
    refusal,
)
from tests.support.issuer import NOW, OTHER_API
from watchword.testing.forge import DROP


@pytest.mark.rfc("8693-P-1")
@pytest.mark.parametrize(
    ("held", "asked", "got"),
    [
        ("read write", None, "read"),
        ("read pay", None, "read pay"),
        ("pay read", "pay", "pay"),
        ("read write", "pay", None),
        ("read write", "write", None),
        ("read write", "read write", None),
        ("write", None, None),
        ("write", "write", None),
        (DROP, None, None),
    ],
)
async def test_scope_is_what_both_the_caller_and_the_client_have(
    held: str, asked: str | None, got: str | None
) -> None:
    """Never what only one of them has; nothing in common is `invalid_scope`."""
    issuer = issuer_of()
    answer = await exchange(issuer, FORGE.token(scope=held), scope=asked)
    if got is None:
        assert refusal(issuer, answer) == ("invalid_scope", "scope_not_allowed")
        assert issuer.events[-1][1].get("asked") == asked
        assert not answer.json["error_description"].endswith(": ")  # a list of nothing helps nobody
    else:
        assert (answer.json["scope"], answer.claims["scope"]) == (got, got)


async def test_a_malformed_scope_is_refused() -> None:
    """As in every grant."""
    issuer = issuer_of()
    answer = await exchange(issuer, FORGE.token(), scope='re"ad')
    assert refusal(issuer, answer) == ("invalid_scope", "malformed_scope")


@pytest.mark.rfc("8693-P-1")
async def test_a_token_ends_with_the_subject_token_at_the_latest() -> None:
    """Or sooner, by the life of tokens of the client and of the resource."""
    answer = await exchange(issuer_of(), FORGE.token(iat=NOW - 50, exp=NOW + 7))
    assert (answer.json["expires_in"], answer.claims["exp"]) == (7, NOW + 7)
    short = make_service(policies={OTHER_API: TokenPolicy(token_ttl=30)})
    assert (await exchange(issuer_of(short), FORGE.token())).json["expires_in"] == 30


async def test_the_algorithm_of_the_resource_reaches_the_signer() -> None:
    """As in every grant: the API may take no other."""
    issuer = issuer_of(make_service(policies={OTHER_API: TokenPolicy(signing_alg="ES256")}))
    assert (await exchange(issuer, FORGE.token())).status == 200
    assert issuer.keys.asked == [(NOW, "ES256")]


@pytest.mark.rfc("8693-P-1")
async def test_claims_of_the_subject_token_are_not_copied() -> None:
    """Neither what an operator had in it nor rights in detail: the service has others."""
    token = FORGE.token(tenant="a", authorization_details=[{"type": "payment"}])
    service = make_service(claims={"team": "orders"})
    claims = (await exchange(issuer_of(service), token)).claims
    assert not {"tenant", "authorization_details", "team"} & set(claims)


@pytest.mark.rfc("8693-P-1")
async def test_a_resource_that_wants_bound_tokens_gets_no_other() -> None:
    """RFC 9449 §5.2: what has to be bound is never issued unbound."""
    bound = TokenPolicy(dpop_bound_access_tokens_required=True)
    issuer = issuer_of(make_service(policies={OTHER_API: bound}))
    answer = await exchange(issuer, FORGE.token())
    assert refusal(issuer, answer) == ("invalid_dpop_proof", "dpop_required")


@pytest.mark.rfc("8693-2.2.2-1")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"grant_types": (CLIENT_CREDENTIALS,)}, "grant_not_allowed"),
        ({"token_exchange": ()}, "nothing_exchanged"),
    ],
)
async def test_a_client_that_may_exchange_nothing_is_unauthorized(
    changes: dict[str, Any], reason: str
) -> None:
    """Whatever token it sends: it learns nothing of it."""
    issuer = issuer_of(make_service(**changes))
    for token in (FORGE.token(), b"rubbish"):
        answer = await exchange(issuer, token)
        assert refusal(issuer, answer) == ("unauthorized_client", reason)


async def test_an_exchanged_token_is_never_given_again() -> None:
    """A reuse window does not count: the token rests on the one that was shown."""
    issuer = issuer_of(make_service(reuse_window=60))
    one, other = [await exchange(issuer, FORGE.token()) for _ in range(2)]
    assert one.claims["jti"] != other.claims["jti"]


async def test_no_token_is_in_the_log_or_in_a_repr() -> None:
    """Neither the one that was shown nor the one that was made."""
    issuer = issuer_of()
    token = FORGE.token()
    made = (await exchange(issuer, token)).json["access_token"]
    await exchange(issuer, FORGE.token(aud=OTHER_API))
    logged = repr(issuer.events)
    for secret in (token.decode(), made):
        assert secret.rsplit(".", 1)[1] not in logged
