"""RFC 7523, client_secret_jwt: clients authenticate assertions with a secret that is never sent."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from issuer.client_auth.methods import ClientAuthenticator
from issuer.metadata import build_metadata
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.client import Client
from issuer.registry.secret_seal import SecretSeal
from tests.support.assertions import (
    GENERATED,
    SEAL,
    asserting_client,
    form_of,
    make_assertion,
    make_hmac_assertion,
    sealed_secret,
    secret_asserting_client,
    secret_jwt,
)
from tests.support.issuer import ISSUER, NOW, SECRET, Answer, Clients, TestIssuer, make_client
from watchword.testing.forge import DROP
from watchword.testing.keys import private_key

KEY = GENERATED.encode()
OTHER = "wws_" + "j" * 43


def issuer_of(*clients: Client, seal: SecretSeal | None = SEAL) -> TestIssuer:
    """Make an issuer where the method is on."""
    known = clients or (secret_asserting_client(),)
    return TestIssuer(clients=Clients(*known), verifiers=(secret_jwt(seal),))


async def ask(assertion: str, issuer: TestIssuer | None = None, **fields: str) -> Answer:
    """Ask for a token with an assertion."""
    return await (issuer or issuer_of()).ask(form_of(assertion, **fields), authenticated=False)


async def reason(assertion: str, issuer: TestIssuer) -> object:
    """Have an assertion refused, and return what is logged."""
    answer = await ask(assertion, issuer)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    return issuer.events[-1][1]["reason"]


@pytest.mark.rfc("7523-3-1", "7523-3-4")
async def test_the_secret_authenticates_and_is_not_sent() -> None:
    """HS256 over the very characters of the secret."""
    issuer = issuer_of()
    answer = await ask(make_hmac_assertion(KEY), issuer, client_id="svc-a")
    assert (answer.status, answer.claims["client_id"]) == (200, "svc-a")
    _, fields = issuer.events[-1]
    assert (fields["auth_method"], fields["client_id"]) == ("client_secret_jwt", "svc-a")


async def test_several_secrets_overlap_until_each_ends() -> None:
    """The log tells an ended secret from a wrong one."""
    ending = sealed_secret(GENERATED, secret_id="s1", expires_at=NOW + 10)
    coming = sealed_secret(OTHER, secret_id="s2", starts_at=NOW + 5)
    issuer = issuer_of(secret_asserting_client(secrets=(ending, coming)))
    assert (await ask(make_hmac_assertion(KEY), issuer)).status == 200
    assert await reason(make_hmac_assertion(OTHER.encode()), issuer) == "secret_expired"
    issuer.now = NOW + 5
    for key in (KEY, OTHER.encode()):
        assert (await ask(make_hmac_assertion(key), issuer)).status == 200
    issuer.now = NOW + 10
    assert await reason(make_hmac_assertion(KEY), issuer) == "secret_expired"
    assert (await ask(make_hmac_assertion(OTHER.encode()), issuer)).status == 200


@pytest.mark.rfc("7523-3-3")
@pytest.mark.attack("T16")
async def test_an_assertion_counts_once() -> None:
    """By its `jti`, as one that is signed with a key."""
    issuer = issuer_of()
    assertion = make_hmac_assertion(KEY)
    assert (await ask(assertion, issuer)).status == 200
    assert await reason(assertion, issuer) == "assertion_replayed"


@pytest.mark.rfc("7523-3-1", "7523-3-2", "10070-4-1", "8725-3.1-1")
@pytest.mark.attack("T14", "T15", "T17")
@pytest.mark.parametrize(
    ("assertion", "why"),
    [
        (make_hmac_assertion(OTHER.encode()), "assertion_signature"),
        (make_hmac_assertion(KEY, "HS384"), "assertion_algorithm"),
        (make_hmac_assertion(KEY, "HS512"), "assertion_algorithm"),
        (make_hmac_assertion(KEY, aud=f"{ISSUER}/token"), "assertion_audience"),
        (make_hmac_assertion(KEY, aud=[ISSUER, "https://b.example"]), "assertion_audience"),
        (make_hmac_assertion(KEY, exp=NOW - 60), "assertion_expired"),
        (make_hmac_assertion(KEY, exp=NOW + 31_536_000), "assertion_times"),
        (make_hmac_assertion(KEY, jti=DROP), "assertion_identity"),
        (make_hmac_assertion(KEY, header={"typ": "at+jwt"}), "assertion_type"),
        (make_hmac_assertion(KEY, header={"jwk": {}}), "assertion_malformed"),
        (make_hmac_assertion(KEY, iss="svc-b"), "unsupported_method"),
        (make_assertion(), "wrong_method"),
        (make_hmac_assertion(KEY, iss="svc-b", sub="svc-b"), "unknown_client"),
        (make_hmac_assertion(KEY, iss="svc-b", sub="svc-b", jti=DROP), "unknown_client"),
    ],
)
async def test_what_an_assertion_must_not_say(assertion: str, why: str) -> None:
    """The same 401 for all; the log has the reason."""
    assert await reason(assertion, issuer_of()) == why


@pytest.mark.rfc("7523-3-4", "8725-3.1-1")
@pytest.mark.attack("T15", "V3")
async def test_the_header_chooses_no_kind_of_key() -> None:
    """A public key is no secret, a secret of another method no key."""
    public = private_key("ES256").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    keyed, plain = asserting_client("svc-a"), make_client("svc-a")
    assert await reason(make_hmac_assertion(pem), issuer_of(keyed)) == "wrong_method"
    assert await reason(make_hmac_assertion(SECRET.encode()), issuer_of(plain)) == "wrong_method"


@pytest.mark.rfc("7523-3-4")
async def test_the_secret_itself_proves_nothing() -> None:
    """A client has one method: what signs is never taken where it would be sent."""
    posted = await issuer_of().ask(
        {"client_id": "svc-a", "client_secret": GENERATED}, authenticated=False
    )
    assert (posted.status, posted.json["error"]) == (401, "invalid_client")


async def test_a_secret_that_does_not_open_is_told_in_the_log_alone() -> None:
    """A hash alone, a secret of another client, damage, and a registry that has not answered."""
    hashed = replace(sealed_secret(), hash=replace(sealed_secret().hash, sealed=None))
    for secret in (hashed, sealed_secret(client_id="svc-b")):
        issuer = issuer_of(secret_asserting_client(secrets=(secret,)))
        assert await reason(make_hmac_assertion(KEY), issuer) == "assertion_secret"
    damaged = replace(sealed_secret(), hash=replace(sealed_secret().hash, sealed=b"x"))
    issuer = issuer_of(secret_asserting_client(secrets=(damaged,)))
    assert await reason(make_hmac_assertion(KEY), issuer) == "assertion_secret"
    assert await reason(make_hmac_assertion(KEY), issuer_of(seal=None)) == "assertion_secret"


async def test_a_failed_assertion_is_not_told_from_an_unknown_client() -> None:
    """Byte for byte."""
    known = await ask(make_hmac_assertion(OTHER.encode()))
    unknown = await ask(make_hmac_assertion(KEY, iss="svc-b", sub="svc-b"))
    assert (known.status, known.body) == (unknown.status, unknown.body)


@pytest.mark.rfc("8414-2-1")
async def test_the_method_is_off_unless_switched_on() -> None:
    """Then neither taken nor named in the metadata."""
    off, on = TestIssuer(clients=Clients(secret_asserting_client())), issuer_of()
    assert await reason(make_hmac_assertion(KEY), off) == "unsupported_method"
    assert AuthMethod.CLIENT_SECRET_JWT not in named(off.authenticator)[0]
    methods, algorithms = named(on.authenticator)
    assert AuthMethod.CLIENT_SECRET_JWT in methods
    assert algorithms[-1] == "HS256"


def named(authenticator: ClientAuthenticator) -> tuple[Any, Any]:
    """Return the methods and the algorithms of assertions that the metadata name."""
    metadata = build_metadata(TestIssuer().config, methods=authenticator.methods)
    return (
        metadata["token_endpoint_auth_methods_supported"],
        metadata["token_endpoint_auth_signing_alg_values_supported"],
    )
