"""RFC 8693 as the issuer keeps it: which tokens are exchanged, for what, and for whom."""

from typing import Any

import pytest

from issuer.registry.permission import ExchangePermission, ResourcePermission
from issuer.status.positions import Status, StatusChange, status_claim
from tests.support.exchange import (
    ACCESS_TOKEN,
    FOREIGN,
    FORGE,
    JWT,
    PLACE,
    TO_OTHER,
    exchange,
    issuer_of,
    make_service,
    refusal,
)
from tests.support.issuer import API, ISSUER, NOW, OTHER_API, make_client


@pytest.mark.rfc("8693-2.1-1", "8693-2.2-1", "8693-4-1")
async def test_a_service_gets_a_narrower_token_with_itself_as_the_actor() -> None:
    """`sub` stays the caller; `client_id`, `aud` and `act` say who calls whom for it."""
    issuer = issuer_of()
    caller = (await issuer.ask()).json["access_token"]
    answer = await exchange(issuer, caller)
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert set(answer.json) == {
        "access_token",
        "issued_token_type",
        "token_type",
        "expires_in",
        "scope",
    }
    assert answer.json["issued_token_type"] == ACCESS_TOKEN
    assert (answer.json["token_type"], answer.json["scope"]) == ("Bearer", "read")
    claims = answer.claims
    assert (claims["sub"], claims["client_id"], claims["aud"]) == ("svc-a", "orders", OTHER_API)
    assert (claims["act"], claims["scope"]) == ({"sub": "orders"}, "read")
    assert answer.token_header["typ"] == "at+jwt"
    event, fields = issuer.events[-1]
    assert (event, fields["client_id"], fields["subject"]) == ("token.issued", "orders", "svc-a")


@pytest.mark.rfc("8693-2.1-1")
@pytest.mark.parametrize("named", [{"resource": OTHER_API}, {"audience": OTHER_API + "/"}])
async def test_the_target_may_be_named_either_way(named: dict[str, str]) -> None:
    """`audience` is the same here: the identifier of the resource."""
    issuer = issuer_of()
    answer = await exchange(issuer, FORGE.token(), **named, scope="read")
    assert answer.claims["aud"] == OTHER_API


@pytest.mark.rfc("8693-2.2-1")
@pytest.mark.parametrize("asked", [ACCESS_TOKEN, JWT])
async def test_an_access_token_is_a_jwt_too(asked: str) -> None:
    """The type that was asked for is told; the token is an access token in both cases."""
    answer = await exchange(
        issuer_of(), FORGE.token(), requested_token_type=asked, subject_token_type=JWT
    )
    assert (answer.json["issued_token_type"], answer.json["token_type"]) == (asked, "Bearer")


@pytest.mark.rfc("8693-2.1-1")
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"subject_token": None}, "subject_token_missing"),
        ({"subject_token_type": None}, "subject_token_type"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "subject_token_type"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "subject_token_type"),
        ({"actor_token": "x"}, "actor_token_type"),
        ({"actor_token_type": ACCESS_TOKEN}, "actor_token_type"),
        (
            {
                "actor_token": "x",
                "actor_token_type": "urn:ietf:params:oauth:token-type:refresh_token",
            },
            "actor_token_type",
        ),
        (
            {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            "requested_token_type",
        ),
        (
            {"authorization_details": '[{"type":"payment"}]'},
            "authorization_details_not_exchanged",
        ),
    ],
)
async def test_parameters_that_are_missing_or_of_another_type_are_refused(
    form: dict[str, str | None], reason: str
) -> None:
    """RFC 8693 §2.1: `actor_token_type` exactly with an actor token; assertions are not taken."""
    issuer = issuer_of()
    answer = await exchange(issuer, **{"token": FORGE.token(), **form})
    assert refusal(issuer, answer) == ("invalid_request", reason)
    *_, parameter = form
    assert parameter in answer.json["error_description"].split(" ")


BAD_SUBJECTS: dict[str, tuple[bytes, str]] = {
    "malformed": (b"rubbish", "malformed_token"),
    "expired": (FORGE.token(iat=NOW - 600, exp=NOW), "expired"),
    "foreign issuer": (FORGE.token(iss="https://other.example"), "wrong_issuer"),
    "foreign key": (FOREIGN.token(), "unknown_key"),
    "no access token": (FORGE.token(header={"typ": "JWT"}), "wrong_type"),
    "for another API": (FORGE.token(aud=OTHER_API), "subject_audience"),
    "for others as well": (FORGE.token(aud=[API, OTHER_API]), "subject_audience"),
    "its own": (FORGE.token(client_id="orders"), "subject_is_own"),
    "bound to a key": (FORGE.token(cnf={"jkt": "x" * 43}), "subject_bound"),
    "bound to a certificate": (FORGE.token(cnf={"x5t#S256": "x" * 43}), "subject_bound"),
    "another may act": (FORGE.token(may_act={"sub": "billing"}), "may_not_act"),
    "more than a subject in may_act": (
        FORGE.token(may_act={"sub": "orders", "iss": "https://other.example"}),
        "may_not_act",
    ),
    "no object in may_act": (FORGE.token(may_act="orders"), "may_not_act"),
    "an unknown client": (FORGE.token(sub="gone", client_id="gone"), "subject_not_active"),
    "a subject that is not allowed": (FORGE.token(sub="svc-b"), "subject_not_allowed"),
    "a sender that is not allowed": (FORGE.token(client_id="svc-b"), "subject_not_allowed"),
    "a longer chain than allowed": (FORGE.token(act={"sub": "svc-b"}), "chain_too_long"),
}


@pytest.mark.rfc("8693-2.2.2-1", "8693-P-1")
@pytest.mark.parametrize(("token", "reason"), BAD_SUBJECTS.values(), ids=BAD_SUBJECTS)
async def test_a_token_that_is_not_ours_to_exchange_is_an_invalid_request(
    token: bytes, reason: str
) -> None:
    """RFC 8693 §2.2.2: whatever is wrong with the subject token; the log knows which."""
    issuer = issuer_of(make_service(), make_client("svc-b"))
    answer = await exchange(issuer, token)
    assert refusal(issuer, answer) == ("invalid_request", reason)
    assert "access_token" not in answer.json


@pytest.mark.rfc("8693-2.2.2-1")
async def test_nothing_is_told_of_tokens_of_others() -> None:
    """One description for a token that is none, one that ended and one that is for another API."""
    answers = [
        (await exchange(issuer_of(), BAD_SUBJECTS[name][0])).body
        for name in ("malformed", "expired", "foreign key", "for another API", "an unknown client")
    ]
    assert len(set(answers)) == 1


@pytest.mark.rfc("8693-P-1")
@pytest.mark.parametrize(
    ("status", "reason"),
    [(Status.INVALID, "token_revoked"), (Status.SUSPENDED, "token_suspended")],
)
async def test_a_revoked_token_is_exchanged_no_more(status: Status, reason: str) -> None:
    """At once, by the lists in memory."""
    issuer = issuer_of()
    token = FORGE.token(status=status_claim(PLACE, ISSUER))
    assert (await exchange(issuer, token)).status == 200
    change = StatusChange(number=1, bucket=PLACE.bucket, first=PLACE.index, size=1, status=status)
    issuer.statuses.apply([change], NOW, counts={PLACE.bucket: PLACE.index + 1})
    answer = await exchange(issuer, token)
    assert refusal(issuer, answer) == ("invalid_request", reason)


@pytest.mark.rfc("8693-P-1")
async def test_a_token_of_a_withdrawn_key_is_exchanged_no_more() -> None:
    """No key that is not published proves anything."""
    issuer = issuer_of()
    token = FORGE.token(header={"kid": "withdrawn"})
    assert refusal(issuer, await exchange(issuer, token))[1] == "unknown_key"


@pytest.mark.rfc("8693-P-1")
@pytest.mark.parametrize("changes", [{"disabled": True}, {"expires_at": NOW}])
async def test_a_client_that_ended_is_acted_for_no_more(changes: dict[str, Any]) -> None:
    """Whichever of those behind the token it is; the store decides, so a new state counts."""
    ended = make_client("svc-b", **changes)
    anyone = ExchangePermission(
        subject_resource=API, resource=OTHER_API, subjects=("*",), max_depth=5
    )
    issuer = issuer_of(make_service(token_exchange=(anyone,)), ended)
    for claims in (
        {"sub": "svc-b"},
        {"client_id": "svc-b"},
        {"act": {"sub": "svc-a", "act": {"sub": "svc-b"}}},
    ):
        answer = await exchange(issuer, FORGE.token(**claims))
        assert refusal(issuer, answer) == ("invalid_request", "subject_not_active")
    issuer.clients.stored["svc-b"] = make_client("svc-b")
    assert (await exchange(issuer, FORGE.token(sub="svc-b"))).status == 200


async def test_a_subject_that_only_the_store_knows_waits_for_it() -> None:
    """503 while it does not answer: neither accepted nor refused; nobody else needs the store."""
    issuer = issuer_of()
    issuer.clients.store_is_down = True
    assert (await exchange(issuer, FORGE.token())).status == 200
    del issuer.clients.known["svc-a"]
    answer = await exchange(issuer, FORGE.token())
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert issuer.events[-1][1]["reason"] == "store_unavailable"
    issuer.clients.store_is_down = False
    assert (await exchange(issuer, FORGE.token())).status == 200


@pytest.mark.rfc("8693-2.1-1", "8693-P-1")
@pytest.mark.parametrize(
    ("claims", "fits"),
    [
        ({"sub": "orders", "client_id": "orders", "aud": OTHER_API}, True),
        ({"sub": "svc-a", "client_id": "svc-a"}, False),
        ({"sub": "svc-a", "client_id": "orders"}, False),
        ({"sub": "orders", "client_id": "orders", "exp": NOW}, False),
        ({"sub": "orders", "client_id": "orders", "cnf": {"jkt": "x" * 43}}, False),
    ],
)
async def test_an_actor_token_is_the_clients_own(claims: dict[str, Any], fits: bool) -> None:
    """The client acts as itself: it has proven that by authenticating."""
    issuer = issuer_of()
    if claims.get("exp") == NOW:
        claims = {**claims, "iat": NOW - 300}
    actor = FORGE.token(**claims).decode()
    answer = await exchange(issuer, FORGE.token(), actor_token=actor, actor_token_type=ACCESS_TOKEN)
    if fits:
        assert answer.claims["act"] == {"sub": "orders"}
    else:
        assert refusal(issuer, answer) == ("invalid_request", "actor_token")


@pytest.mark.rfc("8693-4-1")
async def test_a_chain_nests_the_former_actor() -> None:
    """The outermost actor is the current one, and `sub` stays whom all of them act for."""
    deep = ExchangePermission(
        subject_resource=API, resource=OTHER_API, subjects=("svc-a", "front"), max_depth=2
    )
    issuer = issuer_of(make_service(token_exchange=(deep,)), make_client("front"))
    chained = FORGE.token(client_id="front", act={"sub": "front"})
    answer = await exchange(issuer, chained)
    assert answer.claims["act"] == {"sub": "orders", "act": {"sub": "front"}}
    assert (answer.claims["sub"], answer.claims["client_id"]) == ("svc-a", "orders")
    longer = FORGE.token(client_id="front", act={"sub": "front", "act": {"sub": "svc-a"}})
    answer = await exchange(issuer, longer)
    assert refusal(issuer, answer) == ("invalid_request", "chain_too_long")


@pytest.mark.rfc("8693-4-1")
async def test_only_the_subject_and_the_sender_have_to_be_named() -> None:
    """RFC 8693 §4.1: earlier actors are told, and do not count in the decision."""
    deep = ExchangePermission(
        subject_resource=API, resource=OTHER_API, subjects=("svc-a", "front"), max_depth=5
    )
    issuer = issuer_of(
        make_service(token_exchange=(deep,)), make_client("front"), make_client("earlier")
    )
    chain = {"sub": "front", "act": {"sub": "earlier"}}
    assert (await exchange(issuer, FORGE.token(client_id="front", act=chain))).status == 200


@pytest.mark.rfc("8693-4-1")
async def test_the_named_actor_may_act() -> None:
    """`may_act` with the client as its only member is a match."""
    answer = await exchange(issuer_of(), FORGE.token(may_act={"sub": "orders"}))
    assert (answer.status, "may_act" in answer.claims) == (200, False)


@pytest.mark.rfc("8693-2.2.2-1")
@pytest.mark.parametrize(
    ("form", "reason", "asked"),
    [
        ({"resource": API}, "target_not_exchanged", API),
        ({"resource": "https://unknown.example"}, "invalid_target", "https://unknown.example"),
        ({"audience": "billing"}, "invalid_target", "billing"),
        (
            {"resource": OTHER_API, "audience": API},
            "several_targets",
            " ".join(sorted([OTHER_API, API])),
        ),
    ],
)
async def test_a_target_without_a_permission_is_an_invalid_target(
    form: dict[str, str], reason: str, asked: str
) -> None:
    """Both are needed: a grant, and a permission to exchange such tokens; the log says for what."""
    grants = tuple(ResourcePermission(resource=each, scopes=("read",)) for each in (API, OTHER_API))
    issuer = issuer_of(make_service(grants=grants))
    answer = await exchange(issuer, FORGE.token(), **form)
    assert refusal(issuer, answer) == ("invalid_target", reason)
    assert issuer.events[-1][1]["asked"] == asked
    if reason == "several_targets":
        assert answer.json["error_description"] == "one resource for each token"


@pytest.mark.rfc("8693-2.2.2-1")
async def test_a_permission_without_a_grant_is_not_enough() -> None:
    """The policy names it, but the client may ask for nothing there."""
    elsewhere = ResourcePermission(resource="https://else.example", scopes=("read",))
    issuer = issuer_of(make_service(grants=(elsewhere,)))
    answer = await exchange(issuer, FORGE.token())
    assert refusal(issuer, answer) == ("invalid_target", "invalid_target")


async def test_several_possible_targets_have_to_be_named() -> None:
    """No default among them: the wrong one would get a token that it can use."""
    more = ExchangePermission(
        subject_resource=API, resource="https://more.example", subjects=("svc-a",)
    )
    issuer = issuer_of(make_service(token_exchange=(TO_OTHER, more)))
    answer = await exchange(issuer, FORGE.token())
    assert refusal(issuer, answer) == ("invalid_target", "several_targets")
    assert answer.json["error_description"] == "name the resource"
    assert issuer.events[-1][1]["asked"] is None
    assert (await exchange(issuer, FORGE.token(), resource=OTHER_API)).status == 200
