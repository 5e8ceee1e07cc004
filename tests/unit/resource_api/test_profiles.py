"""Tokens as vendors issue them, with their quirks: each under its profile, and under no other."""

from dataclasses import replace
from typing import Any

import pytest

from resource_api.access_token import verify
from resource_api.config import ResourcePolicy
from resource_api.errors import InvalidToken, Reason
from resource_api.explanation import Outcome, explain
from resource_api.profiles import PROFILES, RFC9068, TokenProfile, find_profile
from resource_api.protection import Protection
from resource_api.validator import TokenValidator, TrustedIssuer
from tests.support.keys import rsa_key
from tests.support.protected_api import ProtectedApi, bearer
from tests.support.vendor_tokens import (
    AUTH0,
    COGNITO,
    ENTRA_V1,
    ENTRA_V2,
    FORGE,
    KEYCLOAK,
    KEYCLOAK_HEADER,
    NO_TYPE,
    OKTA,
    VENDORS,
    sign,
)
from watchword.testing.clock import Clock
from watchword.testing.forge import DROP, NOW, TokenForge


def policy_of(profile: TokenProfile | str, claims: dict[str, Any], resource: str) -> ResourcePolicy:
    """Make the policy that a user would: issuer, resource and profile."""
    return ResourcePolicy(issuer=claims["iss"], resource=resource, profile=profile)


def refusal(token: bytes, policy: ResourcePolicy) -> Reason:
    """Give the reason for which a token is refused; an explanation has the same."""
    with pytest.raises(InvalidToken) as caught:
        verify(token, FORGE.keys, policy, now=NOW)
    assert explain(token, FORGE.keys, policy, now=NOW).reason is caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendors_token_is_accepted_under_its_profile(vendor: str) -> None:
    """As it is, and all of its claims can be read; an explanation agrees."""
    profile, claims, header, resource = VENDORS[vendor]
    token, policy = sign(claims, header), policy_of(profile, claims, resource)
    verified = verify(token, FORGE.keys, policy, now=NOW)
    assert (verified.issuer, verified.subject) == (claims["iss"], claims["sub"])
    assert verified.claims == claims
    assert resource in verified.audience
    explanation = explain(token, FORGE.keys, policy, now=NOW)
    assert {each.outcome for each in explanation.findings} == {Outcome.PASSED}
    assert all(each.found and each.expected for each in explanation.findings)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_default_profile_accepts_none_of_them(vendor: str) -> None:
    """What differs from RFC 9068 is accepted where it was named, and nowhere else."""
    _, claims, header, resource = VENDORS[vendor]
    resource = resource if ":" in resource else f"urn:{resource}"
    policy = policy_of("rfc9068", claims, resource)
    wanted = {**claims, "aud": resource}
    if header.get("typ") == "at+jwt":  # an issuer that is set to RFC 9068 needs no profile
        assert verify(sign(wanted, header), FORGE.keys, policy, now=NOW)
    else:
        assert refusal(sign(wanted, header), policy) is Reason.WRONG_TYPE


@pytest.mark.parametrize(
    ("vendor", "client", "scopes", "jti"),
    [
        ("keycloak", "billing", {"orders:read", "email", "profile"}, KEYCLOAK["jti"]),
        ("auth0", AUTH0["azp"], {"orders:read"}, ""),
        ("auth0 rfc9068", AUTH0["azp"], {"orders:read"}, "73WakrfVbNJBaAmhQtEeDv"),
        ("entra v2", ENTRA_V2["azp"], {"orders.read", "orders.write"}, ENTRA_V2["uti"]),
        ("entra v1", ENTRA_V1["appid"], {"orders.read"}, ENTRA_V1["uti"]),
        ("cognito", COGNITO["client_id"], {"orders-api/read", "orders-api/write"}, COGNITO["jti"]),
        ("okta", OKTA["cid"], {"orders.read"}, OKTA["jti"]),
    ],
)
def test_client_scopes_and_identifier_are_found(
    vendor: str, client: str, scopes: set[str], jti: str
) -> None:
    """Wherever the vendor has them."""
    profile, claims, header, resource = VENDORS[vendor]
    policy = policy_of(profile, claims, resource)
    verified = verify(sign(claims, header), FORGE.keys, policy, now=NOW)
    assert (verified.client_id, verified.scopes, verified.jti) == (client, scopes, jti)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("change", "header", "reason"),
    [
        ({"iss": "https://other.example"}, {}, Reason.WRONG_ISSUER),
        ({"aud": "urn:other"}, {}, Reason.WRONG_AUDIENCE),
        ({"aud": ["urn:other", 7]}, {}, Reason.WRONG_AUDIENCE),
        ({"exp": NOW - 60}, {}, Reason.EXPIRED),
        ({"exp": DROP}, {}, Reason.INVALID_TIME),
        ({"iat": DROP}, {}, Reason.INVALID_TIME),
        ({"nbf": NOW + 60}, {}, Reason.NOT_YET_VALID),
        ({"exp": NOW + 200_000}, {}, Reason.LIFETIME_TOO_LONG),
        ({"sub": DROP}, {}, Reason.INVALID_IDENTITY),
        ({"cnf": {"jkt": "x"}}, {}, Reason.INVALID_CONFIRMATION),
        ({}, {"typ": "logout+jwt"}, Reason.WRONG_TYPE),
        ({}, {"typ": 7}, Reason.WRONG_TYPE),
        ({}, {"alg": "RS512"}, Reason.WRONG_ALGORITHM),
        ({}, {"jwk": {}}, Reason.FORBIDDEN_HEADER),
        ({}, {"x5c": []}, Reason.FORBIDDEN_HEADER),
        ({}, {"kid": "another"}, Reason.UNKNOWN_KEY),
        ({}, {"kid": DROP}, Reason.INVALID_KID),
    ],
)
def test_everything_else_is_as_strict_as_ever(
    vendor: str, change: dict[str, Any], header: dict[str, Any], reason: Reason
) -> None:
    """Signature, algorithm, key, times, issuer, audience and headers, under every profile."""
    profile, claims, good_header, resource = VENDORS[vendor]
    token = sign({**claims, **change}, {**good_header, **header})
    assert refusal(token, policy_of(profile, claims, resource)) is reason


ID_TOKENS = {
    "keycloak": ({**KEYCLOAK, "typ": "ID", "aud": "orders-api"}, Reason.WRONG_TYPE),
    "auth0": (
        {k: v for k, v in AUTH0.items() if k not in ("azp", "scope", "gty")} | {"nonce": "n"},
        Reason.INVALID_IDENTITY,
    ),
    "entra v2": (
        {k: v for k, v in ENTRA_V2.items() if not k.startswith("azp")} | {"nonce": "n"},
        Reason.INVALID_IDENTITY,
    ),
    "entra v1": (
        {k: v for k, v in ENTRA_V1.items() if not k.startswith("appid")} | {"nonce": "n"},
        Reason.INVALID_IDENTITY,
    ),
    "cognito": (
        {**COGNITO, "token_use": "id", "aud": "orders-api", "scope": DROP, "client_id": DROP},
        Reason.WRONG_TYPE,
    ),
    "okta": (
        {k: v for k, v in OKTA.items() if k not in ("cid", "scp")} | {"amr": ["pwd"]},
        Reason.INVALID_IDENTITY,
    ),
}


@pytest.mark.parametrize("vendor", ID_TOKENS)
def test_an_id_token_is_no_access_token(vendor: str) -> None:
    """Not even one whose audience is this API, as where an application is its own API."""
    profile, good, header, resource = VENDORS[vendor]
    claims, reason = ID_TOKENS[vendor]
    assert refusal(sign(claims, header), policy_of(profile, good, resource)) is reason


@pytest.mark.parametrize(
    ("vendor", "change", "scopes"),
    [
        ("okta", {"scp": []}, set()),
        ("okta", {"scp": DROP}, set()),
        ("okta", {"scp": DROP, "scope": "orders.delete"}, set()),
        ("entra v2", {"scp": "orders.read"}, {"orders.read"}),
        ("entra v2", {"scp": "", "roles": ["orders.write"]}, set()),
        ("entra v2", {"roles": None}, set()),
        ("auth0", {"scope": DROP}, set()),
    ],
)
def test_scopes_of_two_places_are_never_put_together(
    vendor: str, change: dict[str, Any], scopes: set[str]
) -> None:
    """The roles of a user are not what the user let the client do."""
    profile, claims, header, resource = VENDORS[vendor]
    token = sign({**claims, **change}, header)
    policy = policy_of(profile, claims, resource)
    assert verify(token, FORGE.keys, policy, now=NOW).scopes == scopes


@pytest.mark.parametrize("scp", [["a b"], [7], [""], ["a", ""], {"a": 1}, 7, " a", True])
def test_scopes_that_are_no_list_of_names_are_refused(scp: object) -> None:
    """A name with a space in it would count as two."""
    policy = policy_of("okta", OKTA, "api://default")
    if scp == [""]:
        assert not verify(sign({**OKTA, "scp": scp}, NO_TYPE), FORGE.keys, policy, now=NOW).scopes
    else:
        assert refusal(sign({**OKTA, "scp": scp}, NO_TYPE), policy) is Reason.INVALID_SCOPE_CLAIM


@pytest.mark.parametrize("value", ["", 7, "x" * 256, ["a"]])
@pytest.mark.parametrize(
    ("vendor", "name"), [("keycloak", "azp"), ("okta", "cid"), ("entra v2", "uti"), ("okta", "jti")]
)
def test_what_identifies_is_a_text_of_bounded_length(vendor: str, name: str, value: object) -> None:
    """Also where the token could do without: nothing else gets into logs and keys of caches."""
    profile, claims, header, resource = VENDORS[vendor]
    token = sign({**claims, name: value}, header)
    assert refusal(token, policy_of(profile, claims, resource)) is Reason.INVALID_IDENTITY


@pytest.mark.parametrize(
    ("scope", "resource", "accepted"),
    [
        ("orders-api/read", "orders-api", True),
        ("billing-api/read", "orders-api", False),
        ("orders-api", "orders-api", False),
        ("orders-apis/read", "orders-api", False),
        ("https://api.example/read", "https://api.example", True),
        ("https://api.example/v2/read", "https://api.example", False),
        ("https://api.example/v2/read", "https://api.example/v2", True),
        ("orders-api/read  x", "orders-api", False),
        (7, "orders-api", False),
    ],
)
def test_a_token_without_audience_is_for_the_apis_of_its_scopes(
    scope: object, resource: str, accepted: bool
) -> None:
    """Cognito's resource servers; a token of another API's scopes is refused as any other."""
    token = sign({**COGNITO, "scope": scope}, NO_TYPE)
    policy = policy_of("cognito", COGNITO, resource)
    if accepted:
        assert verify(token, FORGE.keys, policy, now=NOW).audience == (resource,)
    else:
        assert refusal(token, policy) in (Reason.WRONG_AUDIENCE, Reason.INVALID_SCOPE_CLAIM)
    strict = policy_of(replace(PROFILES["cognito"], audience_in_scope=False), COGNITO, resource)
    assert refusal(token, strict) is Reason.WRONG_AUDIENCE


def test_a_thumbprint_is_not_looked_at_and_only_where_the_profile_says_so() -> None:
    """The key is that of `kid`; others refuse a header that has one."""
    header = {"typ": "JWT", "alg": "RS256", "x5t": "AAAA", "x5t#S256": "BBBB"}
    entra = policy_of("entra", ENTRA_V1, ENTRA_V1["aud"])
    assert verify(sign(ENTRA_V1, header), FORGE.keys, entra, now=NOW)
    keycloak = policy_of("keycloak", KEYCLOAK, "orders-api")
    assert refusal(sign(KEYCLOAK, header), keycloak) is Reason.FORBIDDEN_HEADER


def test_a_profile_of_ones_own_is_made_of_another() -> None:
    """Such as one that takes Keycloak's client roles for scopes."""
    roles = replace(PROFILES["keycloak"], scopes=(("resource_access", "orders-api", "roles"),))
    token = sign(KEYCLOAK, KEYCLOAK_HEADER)
    verified = verify(token, FORGE.keys, policy_of(roles, KEYCLOAK, "orders-api"), now=NOW)
    assert verified.scopes == {"reader", "writer"}
    for access in ({}, {"orders-api": ["reader"]}, {"orders-api": None}, "orders-api"):
        token = sign({**KEYCLOAK, "resource_access": access}, KEYCLOAK_HEADER)
        policy = policy_of(roles, KEYCLOAK, "orders-api")
        assert verify(token, FORGE.keys, policy, now=NOW).scopes == frozenset()


@pytest.mark.parametrize(
    "change", [{"types": ()}, {"client": ()}, {"scopes": ()}, {"client": "azp"}, {"marks": []}]
)
def test_a_profile_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    """One that accepts nothing, and a text where names are wanted."""
    with pytest.raises(ValueError, match="of a profile must"):
        TokenProfile(**change)


def test_profiles_are_found_by_name() -> None:
    """The default is RFC 9068; a name that is mistyped is told with those that there are."""
    assert find_profile("rfc9068") is RFC9068 is PROFILES["rfc9068"]
    assert ResourcePolicy(issuer="https://a", resource="urn:x").token_profile is RFC9068
    with pytest.raises(ValueError, match="profile must be one of rfc9068, keycloak"):
        ResourcePolicy(issuer="https://a", resource="urn:x", profile="keykloak")


@pytest.mark.parametrize("resource", ["", "orders api", "a" * 256, 'or"ders', "ordérs", "#a"])
def test_an_audience_that_is_no_uri_is_a_plain_word(resource: str) -> None:
    """And only where the profile allows one."""
    with pytest.raises(ValueError, match="resource must be a URI, or a word"):
        ResourcePolicy(issuer="https://a", resource=resource, profile="keycloak")


def test_a_word_is_no_audience_under_the_default_profile() -> None:
    """RFC 8707 §2: an absolute URI; and what looks like one is one under every profile."""
    with pytest.raises(ValueError, match="resource must be an absolute URI"):
        ResourcePolicy(issuer="https://a", resource="orders-api")
    with pytest.raises(ValueError, match="resource must not have a fragment"):
        ResourcePolicy(issuer="https://a", resource="https://a#b", profile="keycloak")


async def test_what_one_issuers_tokens_may_have_counts_for_that_one_alone() -> None:
    """An API that trusts a Keycloak takes no token of that kind from another issuer."""
    ours = TokenForge(rsa_key(1), resource="urn:orders")
    claims = {**KEYCLOAK, "aud": "urn:orders"}
    theirs = policy_of("keycloak", KEYCLOAK, "urn:orders")

    class Keys:
        def __init__(self, forge: TokenForge) -> None:
            self.set = forge.keys

        def current(self) -> Any:
            return self.set

    validator = TokenValidator(
        [
            TrustedIssuer(ResourcePolicy(issuer=ours.issuer, resource="urn:orders"), Keys(ours)),  # type: ignore[arg-type]
            TrustedIssuer(theirs, Keys(FORGE)),  # type: ignore[arg-type]
        ],
        clock=Clock(NOW),
    )
    for _ in range(2):  # the second time with the headers of both remembered
        assert (await validator.validate(ours.token())).client_id == "svc-a"
        assert (await validator.validate(sign(claims, KEYCLOAK_HEADER))).client_id == "billing"
        with pytest.raises(InvalidToken) as caught:
            await validator.validate(ours.token(header=KEYCLOAK_HEADER))
        assert caught.value.reason is Reason.WRONG_TYPE


async def test_an_api_names_the_profile_of_its_issuer() -> None:
    """In one keyword; an API whose identifier is a word has no metadata document."""
    api = ProtectedApi()
    protection = Protection(
        issuer=KEYCLOAK["iss"],
        resource="orders-api",
        profile="keycloak",
        jwks=api.jwks,
        clock=Clock(NOW),
        on_event=api.record,
    )
    token = await protection.authenticate([bearer(sign(KEYCLOAK, KEYCLOAK_HEADER))])
    assert token.client_id == "billing"
    assert protection.metadata_path is None
    policy = ResourcePolicy(issuer=KEYCLOAK["iss"], resource="urn:orders")
    with pytest.raises(ValueError, match="in the policy of each issuer"):
        Protection(resource="urn:orders", issuers=[policy], profile="keycloak")


def test_an_explanation_says_what_the_profile_expects() -> None:
    """So that an operator sees what to change: the token, or the profile."""
    id_token = sign({**KEYCLOAK, "typ": "ID"}, KEYCLOAK_HEADER)
    policy = policy_of("keycloak", KEYCLOAK, "orders-api")
    found = {each.check: each for each in explain(id_token, FORGE.keys, policy, now=NOW).findings}
    assert found["type"].expected == 'typ "jwt" or typ "at+jwt", claim typ "Bearer"'
    assert found["type"].found == 'typ "JWT", claim typ "ID"'
    assert found["identity"].expected.startswith("sub, azp or client_id and jti: strings")
    assert '"trrtcc:' in found["identity"].found
    policy = policy_of("cognito", COGNITO, "orders-api")
    token = sign(COGNITO, NO_TYPE)
    found = {each.check: each for each in explain(token, FORGE.keys, policy, now=NOW).findings}
    assert found["type"].expected == 'no typ, claim token_use "access"'
    assert found["audience"].expected.endswith(
        'or no aud and a scope that begins with "orders-api/"'
    )
    policy = policy_of("auth0", AUTH0, AUTH0["aud"])
    token = sign(AUTH0, {"typ": "JWT"})
    found = {each.check: each for each in explain(token, FORGE.keys, policy, now=NOW).findings}
    assert "jti (which may be missing)" in found["identity"].expected
