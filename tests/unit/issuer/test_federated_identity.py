"""Unit tests of `issuer.registry.federated_identity`: which trust rules there can be."""

import pytest
from pydantic import ValidationError

from issuer.registry.client import ClientRegistration
from issuer.registry.federated_identity import GITHUB, MAXIMUM_IDENTITIES, FederatedIdentity
from issuer.registry.schema import read, write
from tests.support.workload_tokens import TRUST_DOMAIN, bundle
from watchword.testing.forge import TokenForge

ISSUER = "https://other.example"
OIDC = {"issuer": ISSUER, "subject": "orders"}
SPIFFE = {
    "issuer": TRUST_DOMAIN,
    "subject": f"{TRUST_DOMAIN}/orders",
    "jwks_uri": "https://spire.example:8443/bundle",
}
RUN = {"issuer": GITHUB, "claims": {"repository_id": "1296269"}}
KEYS = {"keys": [TokenForge().jwk.members()]}


@pytest.mark.parametrize(
    "rule",
    [
        OIDC,
        OIDC | {"audience": "orders-api", "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks"},
        OIDC | {"jwks": KEYS},
        OIDC | {"jwks_uri": "http://keycloak:8080/jwks", "subject": "s"},
        OIDC | {"subject": "s" * 1024, "audience": "a"},
        OIDC | {"issuer": "http://keycloak:8080/realms/a"},
        {"issuer": ISSUER, "claims": {"groups": {"admin": True}, "tenant": 7}},
        SPIFFE,
        {name: value for name, value in SPIFFE.items() if name != "jwks_uri"}
        | {"jwks": bundle(TokenForge(alg="ES256"))},
        RUN,
        RUN | {"issuer": f"{GITHUB}/octo-enterprise"},
    ],
)
def test_a_rule_names_a_workload_and_is_written_as_it_was_read(rule):
    """Issuer, and subject or claims; audience and keys where they are not the usual ones."""
    assert write(read(FederatedIdentity, rule)) == rule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"subject": "orders"}, "Field required"),
        ({"issuer": ISSUER}, "needs a subject, or claims"),
        (OIDC | {"issuer": "other.example"}, "must be an absolute URL such as"),
        (OIDC | {"issuer": "http://other.example"}, "plain http"),
        (OIDC | {"subject": ""}, "1 to 1024 printable"),
        (OIDC | {"subject": "s" * 1025}, "1 to 1024 printable"),
        (OIDC | {"subject": "a\nb"}, "1 to 1024 printable"),
        (OIDC | {"audience": ""}, "1 to 1024 printable"),
        (OIDC | {"subject": "repo:octocat/*"}, "compared as it is"),
        (OIDC | {"audience": ISSUER}, "audience is the issuer's own"),
        (OIDC | {"jwks_uri": "https://a.example", "jwks": KEYS}, "either jwks or jwks_uri"),
        (OIDC | {"jwks_uri": "file:///etc/passwd"}, "jwks_uri must be an absolute URL"),
        (OIDC | {"jwks_uri": "http://a.example/jwks"}, "jwks_uri must be https"),
        (OIDC | {"jwks": {"keys": []}}, "jwks is an object with 1 to 10 keys"),
        (OIDC | {"claims": {"sub": "orders"}}, "sub is no claim to compare here"),
        (OIDC | {"claims": {"tenant": None}}, "'tenant' must be text"),
        (OIDC | {"claims": {"tenant": {"id": ["a"]}}}, "'id' must be text"),
        (OIDC | {"claims": {"tenant": ""}}, "'tenant' must be text"),
        (OIDC | {"claims": {"tenant": {}}}, "'tenant' must be text"),
        (OIDC | {"claims": {"note": "x" * 5000}}, "claims has more than 4096 bytes"),
        (SPIFFE | {"issuer": "spiffe://Example.org"}, "a SPIFFE trust domain is"),
        (SPIFFE | {"subject": "spiffe://example.org.evil/orders"}, "must be a SPIFFE id"),
        (SPIFFE | {"subject": f"{TRUST_DOMAIN}/../orders"}, "must be a SPIFFE id"),
        (SPIFFE | {"subject": TRUST_DOMAIN}, "must be a SPIFFE id"),
        ({"issuer": TRUST_DOMAIN, "claims": {"a": "b"}}, "must be a SPIFFE id"),
        (SPIFFE | {"jwks_uri": None}, "needs keys: jwks_uri, its bundle endpoint"),
        (SPIFFE | {"jwks_uri": None, "jwks": KEYS}, "jwks is an object with 1 to 10 keys"),
        (SPIFFE | {"jwks_uri": None, "jwks": {}}, "jwks is an object with 1 to 10 keys"),
        ({"issuer": GITHUB, "subject": "repo:octocat/shop:ref:refs/heads/main"}, "repository_id"),
        (RUN | {"claims": {"repository_id": 1296269}}, "the repository's number as text"),
        (RUN | {"claims": {"repository_id": "\u0663"}}, "the repository's number as text"),
        (RUN | {"claims": {"repository_id": "octocat/shop"}}, "the repository's number as text"),
    ],
)
@pytest.mark.attack("T18")
def test_a_rule_that_another_workload_could_fit_is_refused(rule, words):
    """No pattern, no name that can be had by another, no audience that others have tokens for."""
    with pytest.raises(ValidationError, match=words):
        read(FederatedIdentity, rule)


def test_a_client_of_this_method_has_rules_and_not_too_many():
    """A request is compared with each, so their number is bounded."""
    client = {"client_id": "orders", "token_endpoint_auth_method": "federated"}
    with pytest.raises(ValidationError, match="federated needs federated_identities"):
        read(ClientRegistration, client)
    with pytest.raises(ValidationError, match="client_secret_basic has no federated_identities"):
        read(ClientRegistration, {"client_id": "orders", "federated_identities": [OIDC]})
    rules = [OIDC | {"subject": f"orders-{n}"} for n in range(MAXIMUM_IDENTITIES + 1)]
    assert read(ClientRegistration, client | {"federated_identities": rules[1:]})
    with pytest.raises(ValidationError, match="at most 20 federated identities"):
        read(ClientRegistration, client | {"federated_identities": rules})
