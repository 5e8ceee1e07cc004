"""`issuer.client_auth` under the limit of failed authentications."""

import asyncio

import pytest

from issuer.client_auth.methods import ClientAuthenticator
from issuer.client_request import ClientPassword, Evidence
from issuer.errors import OAuthError, Reason
from issuer.limits import IDS_OF_A_SOURCE, SPARE_LOOKUPS, Limits
from issuer.registry.client import Client
from tests.support.issuer import NOW, SECRET, Clients, make_client, make_secret
from tests.support.secret_verifier import verifier_of

SHORT = "hunter2hunter2"


def flooded(*clients: Client) -> tuple[ClientAuthenticator, Clients]:
    """Make an authenticator that takes two failures a minute."""
    registry = Clients(*clients)
    verifier = verifier_of(registry)
    return ClientAuthenticator(registry, verifier, limits=Limits(failed_auth=2)), registry


async def guess(
    authenticator: ClientAuthenticator,
    secret: str,
    *,
    client_id: str = "svc-a",
    address: str = "192.0.2.1",
) -> Reason | None:
    """Try a secret; return why it is refused, which names the client if the view has it."""
    known = authenticator.clients.get_cached(client_id)
    evidence = Evidence(basic=ClientPassword(client_id, secret), peer_address=address)
    try:
        await authenticator.authenticate(evidence, now=NOW)
    except OAuthError as error:
        refused = error
    else:
        return None
    assert known is None or refused.client_id == client_id
    return refused.reason


@pytest.mark.attack("T20")
async def test_guesses_are_limited_and_the_client_is_not_locked_out() -> None:
    """Not even where the guesses come from: a generated secret cannot be found by guessing."""
    authenticator, registry = flooded(make_client())
    reasons = [await guess(authenticator, "wrong" * 7) for _ in range(4)]
    assert reasons == [Reason.WRONG_SECRET] * 2 + [Reason.TOO_MANY_FAILURES] * 2
    assert registry.fetches == 2, "a guess beyond the limit costs no look-up"
    assert await guess(authenticator, SECRET) is None
    assert await guess(authenticator, SECRET, address="192.0.2.2") is None


@pytest.mark.attack("T20")
async def test_a_secret_that_a_person_chose_is_limited_although_it_was_proven() -> None:
    """Else it could be found by guessing at any rate; from elsewhere the client is served."""
    authenticator, _ = flooded(make_client(secrets=(make_secret(SHORT),)))
    assert await guess(authenticator, SHORT) is None
    assert await guess(authenticator, SHORT) is None
    for _ in range(2):
        assert await guess(authenticator, "wrong" * 7) is Reason.WRONG_SECRET
    assert await guess(authenticator, SHORT) is Reason.TOO_MANY_FAILURES
    assert await guess(authenticator, SHORT, address="192.0.2.2") is None


@pytest.mark.attack("T20")
async def test_an_unknown_client_is_limited_as_a_known_one() -> None:
    """Neither the number of attempts nor their cost tells which ids exist."""
    authenticator, registry = flooded(make_client())
    reasons = [await guess(authenticator, SECRET, client_id="invented") for _ in range(4)]
    assert reasons == [Reason.UNKNOWN_CLIENT] * 2 + [Reason.TOO_MANY_FAILURES] * 2
    assert registry.fetches == 2


async def test_an_outage_of_the_store_is_no_failure_of_the_client() -> None:
    """Whoever could not be judged may try again without end."""
    authenticator, registry = flooded()
    registry.store_is_down = True
    assert {await guess(authenticator, SECRET) for _ in range(9)} == {Reason.STORE_UNAVAILABLE}


@pytest.mark.attack("T20")
async def test_guesses_that_come_at_once_are_limited_as_those_in_a_row() -> None:
    """500 on as many connections had passed the check before the first one had failed."""
    authenticator, registry = flooded(make_client(secrets=(make_secret(SHORT),)))
    wait_for_store(registry)
    secrets = ["wrong" * 7] * 5 + [SHORT] + ["wrong" * 7] * 4
    reasons = await asyncio.gather(*(guess(authenticator, secret) for secret in secrets))
    assert registry.fetches == 10
    assert reasons == [Reason.WRONG_SECRET] * 2 + [Reason.TOO_MANY_FAILURES] * 8


@pytest.mark.attack("T20")
async def test_a_generated_secret_counts_beside_guesses_that_come_at_once() -> None:
    """A worker that does not know the client yet has to ask the store for it as well."""
    authenticator, registry = flooded(make_client())
    registry.known.clear()
    wait_for_store(registry)
    secrets = ["wrong" * 7] * 5 + [SECRET]
    reasons = await asyncio.gather(*(guess(authenticator, secret) for secret in secrets))
    assert reasons[-1] is None


@pytest.mark.attack("T20")
@pytest.mark.parametrize("secret", [SECRET, SHORT])
async def test_a_flood_of_invented_ids_locks_out_no_client_that_is_new_here(secret: str) -> None:
    """Up to so many a second; each costs one of the look-ups that are spared for its source."""
    authenticator, registry = flooded(make_client(secrets=(make_secret(secret),)))
    registry.known.clear()
    registry.has_slow_secrets = False  # for now: only the number of failures counts
    for number in range(IDS_OF_A_SOURCE * 2 + SPARE_LOOKUPS - 1):
        assert await guess(authenticator, "x", client_id=f"no-{number}") is Reason.UNKNOWN_CLIENT
    registry.has_slow_secrets = True
    assert await guess(authenticator, secret) is None
    assert await guess(authenticator, "x", client_id="no") is Reason.TOO_MANY_FAILURES


def wait_for_store(registry: Clients) -> None:
    """Have the store answer later."""
    fetch = registry.fetch

    async def fetch_later(client_id: str) -> Client | None:
        await asyncio.sleep(0)
        return await fetch(client_id)

    registry.fetch = fetch_later  # type: ignore[method-assign]
