"""RFC 7523 and RFC 10070: clients authenticate by assertions that they sign."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.assertions import asserting_client, form_of, jwk_of, make_assertion
from tests.support.issuer import API, FORM, ISSUER, NOW, Answer, Clients, TestIssuer, call
from watchword.testing.forge import DROP

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")


async def ask(assertion: str, issuer: TestIssuer | None = None, **fields: str) -> Answer:
    """Ask for a token with an assertion."""
    issuer = issuer or TestIssuer(clients=Clients(asserting_client()))
    return await issuer.ask(form_of(assertion, **fields), authenticated=False)


@pytest.mark.rfc("7523-3-4", "7518-3-1", "8037-2-1", "9864-1")
@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("bound", [True, False])
async def test_each_algorithm_authenticates_with_a_key_that_fits(alg: str, bound: bool) -> None:
    """A key without `alg` serves each algorithm of its kind; one with it serves that one alone."""
    members = jwk_of(alg)
    key = members if bound else {k: v for k, v in members.items() if k != "alg"}
    issuer = TestIssuer(clients=Clients(asserting_client(jwks={"keys": [key]})))
    answer = await ask(make_assertion(alg), issuer)
    assert answer.status == 200
    assert answer.claims["client_id"] == "svc-a"
    _, fields = issuer.events[-1]
    assert (fields["auth_method"], fields["client_id"]) == ("private_key_jwt", "svc-a")
    assert issuer.clients.fetches == 0, "what the view knows costs no look-up"


@pytest.mark.rfc("8725-3.1-1", "7523-3-4")
async def test_a_client_that_named_an_algorithm_signs_with_no_other() -> None:
    """`token_endpoint_auth_signing_alg`, although it has a good key for the other one."""
    keys = {"keys": [jwk_of("ES256"), jwk_of("RS256")]}
    client = asserting_client(jwks=keys, token_endpoint_auth_signing_alg="ES256")
    issuer = TestIssuer(clients=Clients(client))
    assert (await ask(make_assertion("RS256"), issuer)).status == 401
    assert issuer.events[-1][1]["reason"] == "assertion_algorithm"
    assert (await ask(make_assertion("ES256"), issuer)).status == 200


@pytest.mark.rfc("8725-3.1-1", "7523-3-4")
@pytest.mark.parametrize(("bound", "used"), [("RS256", "PS256"), ("EdDSA", "Ed25519")])
async def test_a_key_with_an_algorithm_serves_no_other(bound: str, used: str) -> None:
    """RFC 8725 §3.1: one key, one algorithm."""
    key = jwk_of(bound) | {"kid": "k"}
    issuer = TestIssuer(clients=Clients(asserting_client(jwks={"keys": [key]})))
    assert (await ask(make_assertion(used, header={"kid": "k"}), issuer)).status == 401
    assert (await ask(make_assertion(bound, header={"kid": "k"}), issuer)).status == 200


@pytest.mark.rfc("10070-4-1", "10070-4-2", "7523-3-1", "7523-3-2", "21-2.4-1", "mcp-cc-1-J")
@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {}),
        ({}, {"aud": [ISSUER]}),
        ({"typ": DROP}, {}),
        ({"typ": "JWT"}, {}),
        ({"typ": "application/Client-Authentication+jwt"}, {}),
        ({"kid": DROP}, {}),
        ({}, {"exp": NOW + 300}),
        ({}, {"jti": "j" * 128}),
        ({}, {"nbf": NOW}),
        ({}, {"iat": NOW + 30, "exp": NOW + 90, "nbf": NOW + 30}),
        ({}, {"iat": NOW - 90, "exp": NOW - 30}),
        ({}, {"iat": NOW + 0.5, "exp": NOW + 60.5}),
        ({}, {"further": {"claims": 1}}),
    ],
)
async def test_what_the_rules_leave_open_is_accepted(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Among it a clock that is 30 seconds off, either way."""
    assert (await ask(make_assertion(header=header, **claims))).status == 200


@pytest.mark.rfc("7521-4.2-1")
async def test_the_client_may_be_named_beside_its_assertion() -> None:
    """Then it has to be the one that the assertion is for."""
    assert (await ask(make_assertion(), client_id="svc-a")).status == 200


@pytest.mark.rfc("7523-3-4")
async def test_of_several_keys_the_kid_chooses() -> None:
    """Without one, only a key that is alone of its algorithm counts."""
    keys = [jwk_of(), jwk_of(n=1), jwk_of("Ed25519")]
    issuer = TestIssuer(clients=Clients(asserting_client(jwks={"keys": keys})))
    for n in (0, 1):
        assert (await ask(make_assertion(n=n), issuer)).status == 200
        assert (await ask(make_assertion(n=n, header={"kid": DROP}), issuer)).status == 401
    assert (await ask(make_assertion("Ed25519", header={"kid": DROP}), issuer)).status == 200


@pytest.mark.rfc("7523-3-4")
async def test_a_key_that_was_replaced_a_moment_ago_counts_no_more() -> None:
    """And the new one counts at once: a change of the client makes another state of it."""
    clients = Clients(asserting_client())
    issuer = TestIssuer(clients=clients)
    assert (await ask(make_assertion(), issuer)).status == 200
    replaced = asserting_client(jwks={"keys": [jwk_of(n=1)]})
    clients.known["svc-a"] = clients.stored["svc-a"] = replaced
    assert (await ask(make_assertion(), issuer)).status == 401
    assert (await ask(make_assertion(n=1), issuer)).status == 200


@pytest.mark.rfc("7523-3-4")
async def test_a_key_that_was_added_to_the_store_counts_at_once() -> None:
    """The view may not know it yet; only the store refuses."""
    clients = Clients(asserting_client())
    added = asserting_client(jwks={"keys": [jwk_of(), jwk_of(n=1)]})
    clients.stored["svc-a"] = added
    assert (await ask(make_assertion(n=1), TestIssuer(clients=clients))).status == 200


@pytest.mark.rfc("7523-3-4")
@pytest.mark.parametrize("jwks", [None, {"keys": [jwk_of("RS512")]}])
async def test_a_client_whose_keys_sign_no_assertion_is_refused(jwks: Any) -> None:
    """As one with a secret is, that has a method of another kind."""
    client = asserting_client(jwks=jwks) if jwks else None
    issuer = TestIssuer(clients=Clients(client) if client else TestIssuer().clients)
    assert (await ask(make_assertion(), issuer)).status == 401


@pytest.mark.rfc("7662-2-1", "7523-3-3")
async def test_a_client_may_introspect_and_revoke_by_assertions() -> None:
    """Each request needs one of its own."""
    issuer = TestIssuer(clients=Clients(asserting_client(introspects=(API,))))
    for endpoint in (issuer.introspection, issuer.revocation):
        assertion = make_assertion()
        fields = form_of(assertion, token="x")
        body, lines = urlencode(fields).encode(), [(b"content-type", FORM.encode())]
        first, second = [await call(endpoint, "POST", "/", lines, body) for _ in range(2)]
        assert first.status == 200
        assert (second.status, second.json) == (401, {"error": "invalid_client"})
