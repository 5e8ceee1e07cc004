"""Our consumer with DPoP before a real provider of two workers and its demo API."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from consumer import ClientCredentials
from consumer.client_assertion import PrivateKeyJwt
from consumer.client_auth import ClientSecretBasic
from consumer.dpop import DpopKey
from tests.support.provider import Place, make_place, running

CALLS = 6


def read_in_threads(auth: ClientCredentials, url: str) -> list[httpx.Response]:
    """Read the demo resource again and again, each time on a connection of its own."""
    answers = []
    for _ in range(CALLS):
        with httpx.Client(auth=auth, trust_env=False) as client:
            answers.append(client.get(url))
    return answers


def read_in_a_loop(auth: ClientCredentials, url: str) -> list[httpx.Response]:
    """Read it as often at once in an event loop, after a first time."""

    async def read() -> list[httpx.Response]:
        async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
            first = await client.get(url)
            return [first, *await asyncio.gather(*(client.get(url) for _ in range(CALLS)))]

    return asyncio.run(read())


def create_clients(place: Place) -> list[Any]:
    """Create a client with a secret and one with a key, both of bound tokens alone."""
    words = ("--scope", "read", "--dpop")
    secret = place.json("clients", "create", "till", *words)
    made = place.run("clients", "create", "orders", *words, "--generate-key")
    assert made.returncode == 0, made.stderr
    return [
        ClientSecretBasic(secret["client_id"], secret["client_secret"]),
        PrivateKeyJwt("orders", place.folder / "orders.pem"),
    ]


@pytest.mark.rfc("9449-7.1-1-C", "9449-7.2-1")
@pytest.mark.parametrize("nonce", ["off", "required"])
def test_the_consumer_reads_with_bound_tokens(tmp_path: Path, nonce: str) -> None:
    """Each call shows a fresh proof; the token by itself is worth nothing."""
    place = make_place(tmp_path, WATCHWORD_WORKERS="2", WATCHWORD_DPOP_NONCE=nonce)
    place.add_key()
    clients = create_clients(place)
    url = f"{place.url}/read-resource"
    ways: list[Callable[[ClientCredentials, str], list[httpx.Response]]]
    ways = [read_in_threads, read_in_a_loop]
    with running(place):
        for read in ways:
            for client in clients:
                answers = read(ClientCredentials(place.url, client, dpop=DpopKey()), url)
                assert {answer.status_code for answer in answers} == {200}
                shown = {answer.request.headers["authorization"] for answer in answers}
                scheme, _, token = shown.pop().partition(" ")
                assert (scheme, shown) == ("DPoP", set())
                assert len({each.request.headers["dpop"] for each in answers}) == len(answers)
                bearer = {"Authorization": f"Bearer {token}"}
                refused = place.get("/read-resource", headers=bearer)
                assert refused.status_code == 401
                assert 'error="invalid_token"' in refused.headers["www-authenticate"]
