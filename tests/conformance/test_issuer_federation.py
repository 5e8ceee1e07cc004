"""Tokens of Kubernetes, GitHub Actions and SPIFFE as client authentication and as a grant."""

from typing import Any

import pytest

from issuer.client_auth.assertion import JWT_SPIFFE
from issuer.client_auth.federated import MAXIMUM_LIFE
from issuer.client_auth.trusted_issuers import KeySource
from issuer.limits import Limits
from issuer.registry.federated_identity import GITHUB
from issuer.registry.grant_types import JWT_BEARER
from tests.support.assertions import asserting_client, make_assertion
from tests.support.federation import (
    CLUSTER_KEY,
    GITHUB_KEY,
    REPOSITORY,
    SERVICE_ACCOUNT,
    SPIFFE_KEY,
    STRANGER,
    FederatedIssuer,
    PublishedKeys,
    workload,
)
from tests.support.issuer import ISSUER, NOW, Answer, make_client
from tests.support.workload_tokens import (
    CLUSTER,
    GITHUB_ACTIONS,
    KUBERNETES,
    SVID,
    TRUST_DOMAIN,
    signed,
)
from watchword.testing.forge import TokenForge

GRANTED = workload(grant_types=("client_credentials", JWT_BEARER))
GOOD = {
    "kubernetes": signed(CLUSTER_KEY, KUBERNETES),
    "github": signed(GITHUB_KEY, GITHUB_ACTIONS, typ="JWT", x5t="aGFzaA"),
    "spiffe": signed(SPIFFE_KEY, SVID, typ="JOSE"),
}


def is_unauthenticated(answer: Answer) -> bool:
    """Tell whether the answer is that of every failed authentication (RFC 6749 §5.2)."""
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})
    return answer.header("www-authenticate") is not None


def is_no_grant(answer: Answer) -> bool:
    """Tell whether the answer is that of a bad grant, which challenges nothing."""
    assert (answer.status, answer.json) == (400, {"error": "invalid_grant"})
    return answer.header("www-authenticate") is None


@pytest.mark.parametrize("platform", GOOD)
@pytest.mark.rfc("fed-k8s-1", "fed-gh-1", "spiffe-1", "7521-4-1")
async def test_a_workload_is_its_client_as_often_as_its_token_counts(platform: str) -> None:
    """A platform gives the same token again and again, so that its `jti` counts for nothing."""
    place = FederatedIssuer(GRANTED)
    for _ in range(2):
        answer = await place.show(GOOD[platform])
        assert answer.status == 200, place.told
        assert answer.claims["sub"] == "orders"
        assert place.told["auth_method"] == "federated"
        assert (await place.grant(GOOD[platform])).claims["sub"] == "orders"
    assert not place.issuer.store.claims
    assert place.issuer.clients.fetches == 0
    number = list(GOOD).index(platform)
    assert place.told["secret_id"] == f"federated_identities[{number}]"


@pytest.mark.rfc("10070-4-3")
async def test_a_rule_may_have_a_grant_be_for_the_token_endpoint() -> None:
    """RFC 10070 §4: of a grant; then it is for that alone, and no longer for the issuer."""
    rule = SERVICE_ACCOUNT | {"audience": f"{ISSUER}/token"}
    place = FederatedIssuer(
        workload("orders", rule, grant_types=("client_credentials", JWT_BEARER))
    )
    sent = signed(CLUSTER_KEY, KUBERNETES | {"aud": f"{ISSUER}/token"})
    assert (await place.grant(sent)).claims["sub"] == "orders"
    assert is_no_grant(await place.grant(GOOD["kubernetes"]))


@pytest.mark.rfc("spiffe-1")
async def test_a_jwt_svid_has_an_assertion_type_of_its_own() -> None:
    """That of the draft on SPIFFE client authentication; the keys are those of the bundle."""
    place = FederatedIssuer()
    answer = await place.show(GOOD["spiffe"], client_assertion_type=JWT_SPIFFE)
    assert answer.status == 200
    assert place.opened == []


MISFITS: dict[str, tuple[TokenForge, dict[str, Any], str]] = {
    "an unknown issuer": (STRANGER, KUBERNETES | {"iss": "https://evil.example"}, "iss is"),
    "another audience": (CLUSTER_KEY, KUBERNETES | {"aud": ["https://api.example"]}, "aud is"),
    "two audiences": (CLUSTER_KEY, KUBERNETES | {"aud": [ISSUER, CLUSTER]}, "aud is"),
    "an unmapped account": (
        CLUSTER_KEY,
        KUBERNETES | {"sub": "system:serviceaccount:prod:other"},
        "sub is",
    ),
    "an account with our name as prefix": (
        CLUSTER_KEY,
        KUBERNETES | {"sub": "system:serviceaccount:prod:orders-2"},
        "sub is",
    ),
    "a squatted repository": (
        GITHUB_KEY,
        GITHUB_ACTIONS | {"repository_id": "99"},
        'repository_id is "99", and must be "1296269"',
    ),
    "a pull request": (
        GITHUB_KEY,
        GITHUB_ACTIONS | {"event_name": "pull_request_target"},
        "event_name is",
    ),
    "another trust domain": (
        SPIFFE_KEY,
        SVID | {"sub": "spiffe://example.org.evil/orders"},
        "sub is",
    ),
}


@pytest.mark.attack("T18")
@pytest.mark.rfc("fed-k8s-1", "fed-gh-1", "spiffe-1", "7521-4-1")
@pytest.mark.parametrize("case", MISFITS)
async def test_a_workload_without_a_rule_is_refused_and_explained_in_the_log(case: str) -> None:
    """The peer learns nothing, and no key is looked for."""
    forge, claims, told = MISFITS[case]
    place = FederatedIssuer(GRANTED)
    assert is_no_grant(await place.grant(signed(forge, claims)))
    assert (place.told["reason"], place.told["client_id"]) == ("federated_mismatch", "orders")
    assert told in str(place.told["asked"])
    rules = tuple(f"federated_identities[{number}]: " for number in range(len(GOOD)))
    assert str(place.told["asked"]).startswith(rules)
    assert is_unauthenticated(await place.show(signed(forge, claims)))
    assert place.opened == []


LATE = {"iat": NOW - 7200, "nbf": NOW - 7200, "exp": NOW - 3600}
FAULTS: dict[str, tuple[str, str]] = {
    "a stranger's signature": (
        signed(STRANGER, KUBERNETES, alg="RS256", kid=CLUSTER_KEY.jwk.kid),
        "bad_signature",
    ),
    "an unknown key": (signed(CLUSTER_KEY, KUBERNETES, kid="other"), "unknown_key"),
    "another algorithm than the key's": (signed(CLUSTER_KEY, KUBERNETES, alg="PS256"), "unknown"),
    "GitHub's key for a cluster": (signed(GITHUB_KEY, KUBERNETES), "unknown_key"),
    "a key of its own": (
        signed(STRANGER, KUBERNETES, jwk=STRANGER.jwk.members()),
        "forbidden_header",
    ),
    "no kid": (signed(CLUSTER_KEY, KUBERNETES, kid=None), "invalid_kid"),
    "an access token": (signed(CLUSTER_KEY, KUBERNETES, typ="at+jwt"), "wrong_type"),
    "a DPoP proof": (signed(CLUSTER_KEY, KUBERNETES, typ="dpop+jwt"), "wrong_type"),
    "an assertion of its own": (
        signed(CLUSTER_KEY, KUBERNETES, typ="client-authentication+jwt"),
        "wrong_type",
    ),
    "one that has expired": (signed(CLUSTER_KEY, KUBERNETES | LATE), "expired"),
    "one that is not yet valid": (
        signed(CLUSTER_KEY, KUBERNETES | {"nbf": NOW + 120}),
        "not_yet_valid",
    ),
    "one that lives too long": (
        signed(CLUSTER_KEY, KUBERNETES | {"exp": NOW + MAXIMUM_LIFE + 120}),
        "lifetime_too_long",
    ),
    "one without end": (
        signed(CLUSTER_KEY, {**KUBERNETES, "exp": None}),
        "invalid_time",
    ),
}


@pytest.mark.attack("T17", "T18")
@pytest.mark.rfc("fed-3")
@pytest.mark.parametrize("case", FAULTS)
async def test_a_token_that_claims_to_fit_is_refused_for_what_is_wrong_with_it(case: str) -> None:
    """Each issuer's keys count for its own tokens alone, and access tokens stand for nobody."""
    token, why = FAULTS[case]
    place = FederatedIssuer(GRANTED)
    for ask, is_refused in ((place.show, is_unauthenticated), (place.grant, is_no_grant)):
        assert is_refused(await ask(token))
        assert (place.told["reason"], place.told["client_id"]) == ("federated_token", "orders")
        assert f"federated_identities[0]: {why}" in str(place.told["asked"])
    assert set(place.opened) <= {KeySource(CLUSTER, None)}


@pytest.mark.attack("T17")
@pytest.mark.parametrize(
    ("token", "client_id", "reason"),
    [
        (GOOD["kubernetes"], "svc-a", "wrong_method"),
        (GOOD["kubernetes"], "till", "wrong_method"),
        (GOOD["kubernetes"], "nobody", "unknown_client"),
        (make_assertion(iss="orders", sub="orders"), "orders", "wrong_method"),
        (signed(CLUSTER_KEY, KUBERNETES, alg="HS256"), "orders", "unsupported_method"),
        (signed(CLUSTER_KEY, KUBERNETES, alg="none"), "orders", "federated_token"),
        ("not a token", "orders", "assertion_malformed"),
    ],
)
async def test_a_token_is_no_proof_for_a_client_of_another_method(
    token: str, client_id: str, reason: str
) -> None:
    """A workload's token for a client with a key or a secret, and the other way round."""
    place = FederatedIssuer(GRANTED, asserting_client(), make_client("till"))
    assert is_unauthenticated(await place.show(token, client_id))
    assert place.told["reason"] == reason


@pytest.mark.rfc("7521-4-1")
async def test_the_request_names_the_client_and_the_subject_is_no_name_of_it() -> None:
    """Without `client_id` the subject would have to be the client's id."""
    place = FederatedIssuer(GRANTED)
    assert is_unauthenticated(await place.show(GOOD["kubernetes"], client_id=None))
    assert place.told["reason"] == "unknown_client"
    assert is_no_grant(await place.grant(GOOD["kubernetes"], client_id=None))
    assert is_unauthenticated(await place.show(GOOD["kubernetes"], client_id="other"))


@pytest.mark.rfc("7521-4-1")
async def test_what_is_wrong_with_the_grant_itself_is_told_apart() -> None:
    """Malformed, missing, beside another authentication, or not the client's grant."""
    place = FederatedIssuer(workload())
    missing = await place.grant("")
    assert (missing.status, missing.json["error"]) == (400, "invalid_request")
    assert place.told["reason"] == "assertion_missing"
    assert is_no_grant(await place.grant("a.b.c"))
    assert place.told["reason"] == "assertion_malformed"
    secret = {"client_secret": "s3cret-s3cret"}
    several = await place.grant(GOOD["kubernetes"], **secret)
    assert (several.status, several.json["error"]) == (400, "invalid_request")
    assert place.told["reason"] == "several_mechanisms"
    not_allowed = await place.grant(GOOD["kubernetes"])
    assert (not_allowed.status, not_allowed.json["error"]) == (400, "unauthorized_client")
    own = await place.grant(make_assertion(), client_id="svc-a")
    assert is_no_grant(own)


@pytest.mark.attack("T19")
async def test_a_client_that_is_disabled_gets_nothing() -> None:
    """As with every method, and as a grant."""
    place = FederatedIssuer(workload(grant_types=(JWT_BEARER,), disabled=True))
    assert is_unauthenticated(await place.show(GOOD["kubernetes"]))
    assert place.told["reason"] == "client_disabled"
    assert is_no_grant(await place.grant(GOOD["kubernetes"]))


@pytest.mark.rfc("fed-3")
async def test_only_issuers_of_rules_are_asked_and_only_once_a_rule_fits() -> None:
    """A key set that is not at hand is fetched, and one that cannot be had is no refusal."""
    place = FederatedIssuer(GRANTED)
    cluster = place.sets[KeySource(CLUSTER, None)]
    cluster.at_hand = False
    for _ in range(2):
        assert (await place.show(GOOD["kubernetes"])).status == 200
        assert place.told["secret_id"] == "federated_identities[0]"
    assert (place.opened, cluster.fetches) == ([KeySource(CLUSTER, None)], 1)
    cluster.away = True
    for answer in (await place.show(GOOD["kubernetes"]), await place.grant(GOOD["kubernetes"])):
        assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
        assert answer.header("retry-after") == "1"
        told = [place.told[name] for name in ("reason", "asked", "client_id")]
        assert told == ["trusted_issuer_unavailable", CLUSTER, "orders"]


async def test_keys_that_are_registered_with_a_rule_are_the_only_ones_asked() -> None:
    """No address is fetched for them; the issuer's own would be another set."""
    rule = SERVICE_ACCOUNT | {"jwks": {"keys": [CLUSTER_KEY.jwk.members()]}}
    place = FederatedIssuer(workload("orders", rule))
    assert (await place.show(GOOD["kubernetes"])).status == 200
    assert is_unauthenticated(await place.show(FAULTS["an unknown key"][0]))
    assert "unknown_key" in str(place.told["asked"])
    assert place.opened == []


async def test_an_address_of_keys_is_another_source_than_the_metadata() -> None:
    """Two rules on one issuer may have its keys from two places."""
    uri = "https://10.0.0.1:6443/openid/v1/jwks"
    place = FederatedIssuer(workload("orders", SERVICE_ACCOUNT | {"jwks_uri": uri}))
    place.sets[KeySource(CLUSTER, uri)] = PublishedKeys(CLUSTER_KEY.jwk)
    assert (await place.show(GOOD["kubernetes"])).status == 200
    assert place.opened == [KeySource(CLUSTER, uri)]


async def test_a_rule_that_was_changed_a_second_ago_counts() -> None:
    """Memory may accept, and only the store may refuse."""
    place = FederatedIssuer(workload("orders", REPOSITORY))
    rule = SERVICE_ACCOUNT | {"jwks": {"keys": [CLUSTER_KEY.jwk.members()]}}
    place.issuer.clients.stored["orders"] = workload("orders", rule)
    assert (await place.show(GOOD["kubernetes"])).status == 200


async def test_a_sub_is_not_needed_where_claims_tell_whose_token_it_is() -> None:
    """A rule for GitHub compares numbers."""
    place = FederatedIssuer(workload("orders", REPOSITORY))
    without = {name: value for name, value in GITHUB_ACTIONS.items() if name != "sub"}
    assert (await place.show(signed(GITHUB_KEY, without))).status == 200
    assert place.opened == [KeySource(GITHUB, None)]
    assert TRUST_DOMAIN not in str(place.told)


@pytest.mark.attack("T20")
async def test_tokens_that_cannot_be_verified_are_limited() -> None:
    """Each costs a look-up in the store; one that fits a rule may be forged all the same."""
    place = FederatedIssuer(GRANTED)
    place.issuer.limits = Limits(failed_auth=2)
    place.sets[KeySource(CLUSTER, None)].at_hand = False
    place.sets[KeySource(CLUSTER, None)].away = True
    answers = [await place.show(GOOD["kubernetes"]) for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 429, 429]
