"""The attack table of the token endpoint, row T20: guesses, and what limits them."""

import statistics
import time

import pytest

from issuer.limits import Limits
from tests.support.issuer import (
    API,
    FORM,
    NOW,
    SECRET,
    Answer,
    Clients,
    TestIssuer,
    basic,
    call,
    make_client,
    make_secret,
)

HEADER = (b"content-type", FORM.encode())
BODY = b"grant_type=client_credentials&token=x"


def assert_too_many(answer: Answer, retry_after: int) -> None:
    """Check the whole shape of the refusal: when to try again, no-store, nothing echoed."""
    assert (answer.status, answer.json["error"]) == (429, "temporarily_unavailable")
    assert answer.header("retry-after") == str(retry_after)
    assert answer.header("cache-control") == "no-store"
    assert answer.header("www-authenticate") is None


@pytest.mark.attack("T20")
@pytest.mark.rfc("6749-2.3.1-4")
@pytest.mark.parametrize("endpoint", ["endpoint", "introspection", "revocation"])
async def test_guesses_beyond_the_limit_are_429_with_retry_after(endpoint: str) -> None:
    """At every endpoint that authenticates clients; the client itself goes on at any of them."""
    issuer = TestIssuer(
        clients=Clients(make_client(introspects=(API,))), limits=Limits(failed_auth=2), now=NOW + 7
    )

    async def send(client_id: str, secret: str) -> Answer:
        headers = [HEADER, (b"authorization", basic(client_id, secret))]
        return await call(getattr(issuer, endpoint), "POST", "/", headers, BODY)

    for client_id in ("svc-a", "invented"):
        answers = [await send(client_id, "x" * 40) for _ in range(3)]
        assert [answer.status for answer in answers] == [401, 401, 429]
        assert_too_many(answers[-1], retry_after=60 - issuer.now % 60)
    assert (await send("svc-a", SECRET)).status == 200


@pytest.mark.attack("T20")
async def test_what_limited_guesses_are_answered_tells_no_client_from_an_invented_one() -> None:
    """Nor a right secret from a wrong one, where it could have been guessed."""
    short = make_client("short", secrets=(make_secret("hunter2hunter2"),))
    issuer = TestIssuer(clients=Clients(make_client(), short), limits=Limits(failed_auth=1))
    answers = []
    for client_id in ("svc-a", "short", "invented"):
        for secret in ("x" * 40, "x" * 40, "hunter2hunter2"):
            answers.append(await issuer.ask(auth=basic(client_id, secret)))
    limited = [answer for answer in answers if answer.status == 429]
    assert len(limited) == 6
    assert len({(str(answer.headers), answer.body) for answer in limited}) == 1


async def test_tokens_beyond_the_quota_are_429_with_retry_after() -> None:
    """The client is known and told what it has used up."""
    issuer = TestIssuer(limits=Limits(token_quota=2))
    answers = [await issuer.ask() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert_too_many(answers[-1], retry_after=60 - issuer.now % 60)
    assert "quota" in answers[-1].json["error_description"]
    assert issuer.events[-1] == (
        "token.refused",
        {
            "reason": "quota_used_up",
            "client_id": "svc-a",
            "asked": None,
            "grant_type": "client_credentials",
            "auth_method": "client_secret_basic",
        },
    )
    issuer.now += 60
    assert (await issuer.ask()).status == 200


@pytest.mark.alone
@pytest.mark.attack("T20")
@pytest.mark.rfc("6749-2.3.1-4")
async def test_a_limited_guess_takes_as_long_at_an_invented_client() -> None:
    """Medians of interleaved rounds differ by less than half."""
    issuer = TestIssuer(limits=Limits(failed_auth=1))
    taken: dict[str, list[float]] = {"nobody": [], "svc-a": []}
    for _ in range(300):
        for client_id, times in taken.items():
            begun = time.perf_counter()
            await issuer.ask(auth=basic(client_id, "wws_" + "x" * 43))
            times.append(time.perf_counter() - begun)
    ratio = statistics.median(taken["nobody"]) / statistics.median(taken["svc-a"])
    assert 2 / 3 < ratio < 3 / 2
