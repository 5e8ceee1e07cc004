"""Unit tests of `issuer.registration.endpoint`, beside the conformance tests."""

from pathlib import Path

import pytest

from issuer.limits import Limits
from issuer.registry.initial_access_token import parse_token_id
from tests.support.registration import JSON, bearer, open_reception


async def test_somebody_who_leaves_gets_no_answer_and_no_client(tmp_path: Path) -> None:
    """Nobody is there to be told a secret; nothing was refused or registered."""
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    with open_reception(tmp_path) as reception:
        headers = [bearer(reception.token(uses=1)), JSON]
        reception.events.clear()
        scope = {"type": "http", "method": "POST", "path": "/register", "headers": headers}
        await reception.endpoint.registrations(scope, receive, send)
        assert (sent, reception.events, reception.registry.list_clients()) == ([], [], [])


async def test_a_connection_of_the_server_s_own_that_is_lost_is_its_fault(tmp_path: Path) -> None:
    """Whoever asks is still there, and is answered; it must not pass for somebody who left."""

    async def lose() -> None:
        raise ConnectionResetError("the resolver's, and not the client's")

    with open_reception(tmp_path) as reception:
        reception.meanwhile = lose
        answer = await reception.register(
            scope="read",
            token_endpoint_auth_method="private_key_jwt",
            jwks_uri="https://keys.example/jwks",
        )
        assert (answer.status, answer.json) == (500, {"error": "server_error"})
        event, fields = reception.events[-1]
        assert (event, fields["reason"]) == ("registration.refused", "internal")


@pytest.mark.attack("T20")
async def test_guesses_at_the_token_of_a_client_are_limited(tmp_path: Path) -> None:
    """Whatever is asked for; neither the client nor another one is locked out."""
    with open_reception(tmp_path, limits=Limits(failed_auth=3)) as reception:
        registered, other = [await reception.register(scope="read") for _ in range(2)]
        wrong = other.json["registration_access_token"]
        methods = ("GET", "DELETE", "PUT", "GET")
        answers = [await reception.manage(each, registered, token=wrong) for each in methods]
        assert [answer.status for answer in answers] == [401, 401, 401, 429]
        assert reception.events[-1][1]["reason"] == "too_many_failures"
        assert 1 <= int(answers[-1].header("retry-after")) <= 60
        assert (await reception.manage("GET", other)).status == 200
        assert (await reception.manage("GET", registered)).status == 200
        reception.clock.advance(60)
        assert (await reception.manage("GET", registered, token=wrong)).status == 401


@pytest.mark.attack("T20")
async def test_guesses_at_an_initial_access_token_are_limited(tmp_path: Path) -> None:
    """By the id in it; a text that is no token at all counts as one id."""
    with open_reception(tmp_path, limits=Limits(failed_auth=1)) as reception:
        good, other = reception.token(), reception.token()
        guess = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
        assert parse_token_id(guess) == parse_token_id(good)
        tokens = (guess, guess, "x", "y", other, good)
        answers = [await reception.register(token, scope="read") for token in tokens]
        assert [answer.status for answer in answers] == [401, 429, 401, 429, 201, 201]
