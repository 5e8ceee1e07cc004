"""Unit tests of `issuer.federation`: which rule a token fits, and the rule for a sample."""

from typing import Any

import pytest

from issuer.federation import compare, rule_for_token, rule_for_workload
from issuer.registry.errors import InvalidValue
from issuer.registry.federated_identity import GITHUB, FederatedIdentity
from issuer.registry.schema import read
from tests.support.workload_tokens import (
    AUDIENCE,
    CLUSTER,
    GITHUB_ACTIONS,
    KUBERNETES,
    SVID,
    TRUST_DOMAIN,
)
from watchword.testing.forge import DROP

TOKENS = {"kubernetes": KUBERNETES, "github": GITHUB_ACTIONS, "spiffe": SVID}
RULES: dict[str, dict[str, Any]] = {
    "kubernetes": {
        "issuer": CLUSTER,
        "subject": "system:serviceaccount:prod:orders",
        "claims": {
            "kubernetes.io": {"serviceaccount": {"uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af"}}
        },
    },
    "github": {
        "issuer": GITHUB,
        "claims": {
            "repository_owner_id": "583231",
            "repository_id": "1296269",
            "environment": "production",
        },
    },
    "spiffe": {"issuer": TRUST_DOMAIN, "subject": f"{TRUST_DOMAIN}/orders"},
}
BUNDLE = {"jwks_uri": "https://spire.example/bundle"}


def rule(platform: str, **changes: object) -> FederatedIdentity:
    """Read the rule of a platform, changed as named."""
    keys = BUNDLE if platform == "spiffe" else {}
    return read(FederatedIdentity, RULES[platform] | keys | changes)


def changed(platform: str, **changes: object) -> dict[str, Any]:
    """Change claims of the token of a platform; `DROP` leaves one out."""
    claims = TOKENS[platform] | changes
    return {name: value for name, value in claims.items() if value is not DROP}


def complaints(claims: dict[str, Any], *rules: FederatedIdentity) -> list[str]:
    """Compare, and say what is wrong in the words of the log."""
    return list(map(str, compare(rules, claims, AUDIENCE).mismatches))


@pytest.mark.parametrize("platform", TOKENS)
def test_the_rule_written_from_a_token_fits_it(platform):
    """It has numbers and ids in place of names that others can have, and no audience of ours."""
    written = rule_for_token(TOKENS[platform], AUDIENCE)
    assert written == RULES[platform]
    assert complaints(TOKENS[platform], rule(platform)) == []


@pytest.mark.rfc("fed-gh-1")
def test_a_run_without_environment_is_known_by_its_ref():
    """Otherwise every branch of the repository would be trusted."""
    written = rule_for_token(changed("github", environment=DROP), AUDIENCE)
    assert written["claims"]["ref"] == "refs/heads/main"


@pytest.mark.parametrize(
    ("changes", "members"),
    [
        ({"kubernetes.io": DROP}, {"subject": "system:serviceaccount:prod:orders"}),
        ({"kubernetes.io": "?"}, {"subject": "system:serviceaccount:prod:orders"}),
        ({"kubernetes.io": {"serviceaccount": "?"}}, {"audience": None}),
        ({"aud": "sts.example"}, {"audience": "sts.example"}),
        ({"sub": "spiffe://example.org/orders", "kubernetes.io": DROP}, {"issuer": CLUSTER}),
    ],
)
def test_a_token_of_any_issuer_is_known_by_its_subject(changes, members):
    """Another audience than this issuer is named; `iss` goes before what a SPIFFE id says."""
    written = rule_for_token(changed("kubernetes", **changes), AUDIENCE)
    assert members.items() <= ({"audience": None} | written).items()


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (changed("kubernetes", aud=[AUDIENCE, "https://api.example"]), "made for one party"),
        (changed("kubernetes", aud=DROP), "made for one party"),
        (changed("kubernetes", sub=DROP), "has no sub"),
        (changed("github", event_name="pull_request_target"), "never taken: event_name is"),
    ],
)
def test_a_sample_that_no_rule_can_fit_is_refused(claims, words):
    """The reason is told at once, and not with the first request."""
    with pytest.raises(InvalidValue, match=words):
        rule_for_token(claims, AUDIENCE)


@pytest.mark.parametrize(
    ("platform", "changes", "told"),
    [
        ("kubernetes", {"iss": CLUSTER + "/"}, f'iss is "{CLUSTER}/", and must be "{CLUSTER}"'),
        ("kubernetes", {"iss": DROP}, f'iss is missing, and must be "{CLUSTER}"'),
        (
            "kubernetes",
            {"sub": "system:serviceaccount:prod:orders2"},
            'sub is "system:serviceaccount:prod:orders2", and must be'
            ' "system:serviceaccount:prod:orders"',
        ),
        ("kubernetes", {"aud": [AUDIENCE, AUDIENCE]}, f'and must be "{AUDIENCE}"'),
        ("kubernetes", {"aud": []}, f'aud is [], and must be "{AUDIENCE}"'),
        ("kubernetes", {"aud": AUDIENCE + "/"}, f'aud is "{AUDIENCE}/", and'),
        ("kubernetes", {"kubernetes.io": DROP}, "kubernetes.io.serviceaccount.uid is missing"),
        ("kubernetes", {"kubernetes.io": {"serviceaccount": {"uid": "b"}}}, 'uid is "b", and must'),
        ("github", {"repository_id": "9"}, 'repository_id is "9", and must be "1296269"'),
        ("github", {"repository_id": 1296269}, 'repository_id is 1296269, and must be "1296269"'),
        ("github", {"environment": "Production"}, 'environment is "Production", and must'),
        ("github", {"event_name": "pull_request"}, 'event_name is "pull_request", and must be'),
        ("github", {"event_name": "pull_request_target"}, "must be that of no pull request"),
        ("spiffe", {"sub": f"{TRUST_DOMAIN}/orders/2"}, f'must be "{TRUST_DOMAIN}/orders"'),
        ("spiffe", {"aud": "x" * 1000}, 'aud is "' + "x" * 199 + "..., and must be"),
        ("spiffe", {"aud": "x" * 198}, 'aud is "' + "x" * 198 + '", and must be'),
    ],
)
@pytest.mark.attack("T18")
@pytest.mark.rfc("fed-k8s-1")
@pytest.mark.rfc("fed-gh-1")
def test_a_near_miss_is_told_with_what_was_found_and_wanted(platform, changes, told):
    """Values are compared as they are: no prefix, no other case, no number for a text."""
    (complaint,) = complaints(changed(platform, **changes), rule(platform))
    assert told in complaint
    assert complaint.isascii()
    assert complaint.isprintable()


@pytest.mark.attack("T18")
def test_a_repository_of_a_freed_name_does_not_fit():
    """Whoever takes the name of a deleted repository has all claims of it but the numbers."""
    squatted = changed("github", repository_id="77", repository_owner_id="78")
    assert complaints(squatted, rule("github")) == [
        'repository_owner_id is "78", and must be "583231"',
        'repository_id is "77", and must be "1296269"',
    ]


@pytest.mark.rfc("spiffe-1")
def test_iss_of_an_svid_counts_for_nothing_in_a_trust_domain():
    """JWT-SVID leaves it open; the trust domain is that of the subject."""
    assert complaints(changed("spiffe", iss="https://other.example"), rule("spiffe")) == []


def test_of_several_rules_the_nearest_is_told():
    """The first that fits; else one of the token's issuer with the fewest mismatches."""
    far = rule("kubernetes", subject="system:serviceaccount:dev:orders", audience="dev")
    near = rule("kubernetes", audience="https://old.example")
    other = rule("github")
    found = compare((other, far, near), KUBERNETES, AUDIENCE)
    assert (found.number, len(found.mismatches)) == (2, 1)
    fitting = compare((other, far, near, rule("kubernetes")), KUBERNETES, AUDIENCE)
    assert fitting == (3, ())


@pytest.mark.parametrize(
    ("platform", "workload", "written"),
    [
        ("kubernetes", "prod/orders", {"subject": "system:serviceaccount:prod:orders"}),
        (
            "github",
            "octocat@583231/shop.js@1296269",
            {
                "issuer": GITHUB,
                "claims": {"repository_owner_id": "583231", "repository_id": "1296269"},
            },
        ),
        ("spiffe", f"{TRUST_DOMAIN}/orders", RULES["spiffe"]),
        ("oidc", "any subject", {"subject": "any subject"}),
    ],
)
def test_a_workload_is_named_as_on_its_platform(platform, workload, written):
    """The words of the command line."""
    assert rule_for_workload(platform, workload) == written


@pytest.mark.parametrize(
    ("platform", "workload", "words"),
    [
        ("kubernetes", "orders", "NAMESPACE/NAME"),
        ("kubernetes", "prod/orders/2", "NAMESPACE/NAME"),
        ("github", "octocat/shop", "gh api"),
        ("spiffe", "example.org/orders", "spiffe://TRUST-DOMAIN/PATH"),
        ("aws", "orders", "must be one of kubernetes, github, spiffe, oidc"),
    ],
)
def test_a_workload_that_cannot_be_is_told_with_what_it_would_be(platform, workload, words):
    """Names of GitHub are not enough: the numbers are needed, and the message says where from."""
    with pytest.raises(InvalidValue, match=words):
        rule_for_workload(platform, workload)
