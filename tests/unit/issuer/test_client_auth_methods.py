"""`issuer.client_auth.methods`: which evidence is looked at, and what a client is verified by."""

import pytest

from issuer.client_auth.methods import METHODS, ClientAuthenticator
from issuer.client_request import Evidence
from issuer.errors import InvalidClient, OAuthError, Reason
from issuer.limits import Limits
from issuer.registry.auth_methods import AuthMethod
from tests.support.assertions import evidence_of, make_assertion, secret_jwt
from tests.support.issuer import NOW, SECRET, Clients, TestIssuer, make_client, make_secret
from tests.support.secret_verifier import verifier_of

SHORT = "hunter2hunter2"


@pytest.mark.parametrize(
    ("evidence", "reason", "client_id"),
    [
        (Evidence(), Reason.NO_CREDENTIALS, None),
        (Evidence(client_id="svc-a"), Reason.NO_CREDENTIALS, None),
        (Evidence(client_id="svc-a", peer_certificate=b"DER"), Reason.NO_CREDENTIALS, None),
        (Evidence(dpop_proofs=(b"a.b.c",)), Reason.NO_CREDENTIALS, None),
        (evidence_of(make_assertion()), Reason.UNSUPPORTED_METHOD, "svc-a"),
    ],
)
async def test_evidence_for_no_method_does_not_authenticate(
    evidence: Evidence, reason: Reason, client_id: str | None
) -> None:
    """401 before any client is looked for, but to name one that uses what is switched off.

    What is not in the table is never accepted.
    """
    clients = Clients(make_client())
    authenticator = ClientAuthenticator(clients, verifier_of(clients), limits=Limits())
    with pytest.raises(InvalidClient) as caught:
        await authenticator.authenticate(evidence, now=NOW)
    assert (caught.value.reason, caught.value.client_id) == (reason, client_id)
    assert clients.fetches == (client_id is not None)


@pytest.mark.attack("T20")
@pytest.mark.parametrize(("sender", "known"), [("svc-a", "svc-a"), ("nobody", None)])
@pytest.mark.parametrize("is_down", [False, True])
async def test_a_method_that_is_switched_off_is_limited_as_any_failure(
    sender: str, known: str | None, is_down: bool
) -> None:
    """Each time the log names the client that there is, though the store cannot be asked."""
    clients = Clients(make_client())
    clients.store_is_down = is_down
    authenticator = ClientAuthenticator(clients, limits=Limits(failed_auth=1))
    evidence = evidence_of(make_assertion(iss=sender, sub=sender))
    for reason in (Reason.UNSUPPORTED_METHOD, Reason.TOO_MANY_FAILURES):
        with pytest.raises(OAuthError) as caught:
            await authenticator.authenticate(evidence, now=NOW)
        assert (caught.value.reason, caught.value.client_id) == (reason, known)
    assert clients.fetches == 1


def test_a_method_without_a_verifier_is_switched_off() -> None:
    """The metadata names those that work, in the order of the table."""
    assert ClientAuthenticator(Clients(), limits=Limits()).methods == ()
    verifier = verifier_of(Clients())
    methods = ClientAuthenticator(Clients(), verifier, limits=Limits()).methods
    assert methods == ("client_secret_basic", "client_secret_post")
    assert TestIssuer(verifiers=(secret_jwt(),)).authenticator.methods == tuple(METHODS)


def test_a_client_knows_which_of_its_secrets_are_verified_at_once() -> None:
    """Told apart once, as the client is read, and not for every request."""
    fast, slow = make_secret(SECRET, secret_id="f"), make_secret(SHORT, secret_id="s")
    for secrets in ((fast,), (slow,), (slow, fast), ()):
        client = make_client(secrets=secrets)
        assert client.fast_secrets == tuple(each for each in secrets if each is fast)
        assert client.slow_secrets == tuple(each for each in secrets if each is slow)


def test_a_client_of_another_method_has_no_secret_to_verify() -> None:
    """RFC 7591 §2: what it has of secrets from before proves nothing."""
    client = make_client(
        token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
        jwks_uri="https://keys.example/jwks",
        secrets=(make_secret(SECRET), make_secret(SHORT)),
    )
    assert len(client.secrets) == 2
    assert (client.fast_secrets, client.slow_secrets) == ((), ())


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, True),
        ({"disabled": True}, False),
        ({"expires_at": NOW + 1}, True),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW + 1, "disabled": True}, False),
    ],
)
def test_a_client_is_active_unless_disabled_or_expired(
    changes: dict[str, object], active: bool
) -> None:
    """One rule for token requests, administration and registration."""
    assert make_client(**changes).is_active(NOW) is active
