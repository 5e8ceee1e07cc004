"""Dynamic registration as its users meet it: the real command, real sockets, a real resolver."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.provider import Place, eventually, free_port, make_place, running

ALLOWED = "keys.allowed.invalid"  # RFC 6761 §6.4: names under .invalid lead nowhere


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run one provider whose issuer has a path."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.port = free_port()
    place.settings |= {
        "WATCHWORD_ISSUER": f"{place.url}/t1",
        "WATCHWORD_JWKS_URI_HOSTS": f"other.invalid, {ALLOWED}",
    }
    place.add_key()
    with running(place):
        yield place


def initial_token(place: Place, *arguments: str) -> str:
    """Have an operator make an initial access token for the demo API."""
    made = place.json(
        "registration-tokens", "create", "--grant", f"{place.url}/t1 read write", *arguments
    )
    return str(made["token"])


def send(method: str, url: str, token: str, **options: Any) -> httpx.Response:
    """Send a request with a Bearer token."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx.request(method, url, headers=headers, trust_env=False, **options)


@pytest.mark.alone
@pytest.mark.rfc("7591-3-1", "7592-1", "8414-2-1")
def test_a_client_lives_from_registration_to_its_own_end(place: Place) -> None:
    """Found by the metadata, registered, granted, narrowed, gone: nobody else takes a hand."""
    metadata = place.get("/.well-known/oauth-authorization-server/t1").json()
    endpoint = metadata["registration_endpoint"]
    assert endpoint == f"{place.url}/t1/register"
    token = initial_token(place, "--uses", "1")
    registered = send("POST", endpoint, token, json={"client_name": "till"})
    assert registered.status_code == 201
    client = registered.json()
    assert client["registration_client_uri"] == f"{endpoint}/{client['client_id']}"
    assert place.ask(client, scope="read write").status_code == 200
    assert send("POST", endpoint, token, json={}).status_code == 401

    uri, access = client["registration_client_uri"], client["registration_access_token"]
    update = {"client_id": client["client_id"], "scope": "read"}
    assert send("PUT", uri, access, json=update).json()["scope"] == "read"
    assert send("GET", uri, access).json()["scope"] == "read"
    assert eventually(lambda: place.ask(client, scope="write").status_code == 400, within=1.0)
    assert send("DELETE", uri, access).status_code == 204
    assert send("GET", uri, access).status_code == 401
    assert eventually(lambda: place.ask(client).status_code == 401, within=1.0)


@pytest.mark.rfc("7592-1")
def test_it_answers_at_the_root_as_well(place: Place) -> None:
    """A proxy may strip the issuer's path; what lies below an id, or beside, is something else."""
    client = send("POST", f"{place.url}/register", initial_token(place), json={}).json()
    access = client["registration_access_token"]
    below = f"/register/{client['client_id']}"
    assert send("GET", place.url + below, access).status_code == 200
    assert send("GET", f"{place.url}{below}/secrets", access).status_code == 401
    assert send("GET", f"{place.url}/register/", access).status_code == 401
    assert send("GET", f"{place.url}/registered", access).status_code == 404


@pytest.mark.rfc("8725-3.10-1")
def test_a_jwks_uri_must_lead_somewhere_public(place: Place) -> None:
    """The system's resolver is asked, but for hosts that the operator has allowed."""
    token = initial_token(place)
    answers = [
        send(
            "POST",
            f"{place.url}/register",
            token,
            json={
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks_uri": f"https://{host}/jwks",
            },
        )
        for host in ("keys.unknown.invalid", ALLOWED, "x." + ALLOWED)
    ]
    assert [answer.status_code for answer in answers] == [400, 201, 400]


def test_neither_tokens_nor_secrets_are_in_the_log(place: Place) -> None:
    """Refusals have a stable reason, changes an actor; nothing else of a request is told."""
    token = initial_token(place)
    client = send("POST", f"{place.url}/register", token, json={}).json()
    answer = send("POST", f"{place.url}/register", "wwr_no", json={})
    assert answer.status_code == 401
    # Workers write to one log, each in its own time.
    mine = {"event": "registration.refused", "request_id": answer.headers["x-request-id"]}
    assert eventually(lambda: any(mine.items() <= e.items() for e in place.log()))
    (refused,) = [e for e in place.log() if mine.items() <= e.items()]
    assert refused["reason"] == "registration_token"
    created = [e for e in place.log() if e["event"] == "client.created"][-1]
    assert (created["client_id"], created["via"]) == (client["client_id"], "registration")
    assert created["actor"] == token.split("_")[1]
    text = (place.folder / "log").read_text()
    for secret in (token, client["client_secret"], client["registration_access_token"]):
        assert secret not in text
