"""Revoked tokens at real APIs: beside the issuer, and in a process of its own."""

import json
import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from issuer.status.positions import Position, bucket_for, new_jti, status_claim
from keys.encoding import decode_base64url
from tests.support.provider import Place, eventually, make_place, running
from watchword.testing.forge import TokenForge, dump

pytestmark = pytest.mark.alone

TTL = 1
BUSY = 3.0
"""Seconds that a busy machine may add; the interval itself is tested with clocks of its own."""


def listed_token(issuer: Place, client: dict[str, Any], index: int) -> str:
    """Give a token like those of this issuer, of a place on a list that is not handed out yet."""
    answer = issuer.ask(client).json()["access_token"]
    claims = json.loads(decode_base64url(answer.split(".")[1]))
    position = Position(bucket_for(claims["iat"], 3600), 1000 + index)
    claims |= {
        "jti": new_jti(position, secrets.token_bytes),
        "status": status_claim(position, issuer.url),
    }
    forge = TokenForge()  # with the key of the place
    return forge.raw(dump(forge.good_header), dump(claims)).decode()


def status_at(api: Place, token: str) -> int:
    """Show a token to an API."""
    headers = {"authorization": f"Bearer {token}"}
    return api.get("/read-resource", headers=headers).status_code


def seconds_until(apis: tuple[Place, ...], token: str, status: int) -> float:
    """Give how long it takes until the last of these APIs answers so."""
    began = time.monotonic()
    assert eventually(lambda: {status_at(api, token) for api in apis} == {status})
    return time.monotonic() - began


@pytest.mark.attack("V40")
def test_a_revocation_reaches_every_api_without_a_call_per_request(tmp_path: Path) -> None:
    """Tokens that were verified before and are remembered end in time; no other one does."""
    issuer = make_place(tmp_path, WATCHWORD_STATUS_LIST_TTL=str(TTL))
    issuer.add_key()
    api = Place(tmp_path, make_place(tmp_path).port, {"WATCHWORD_ISSUER": issuer.url})
    apis = (issuer, api)
    with running(issuer), running(api, "--only", "api"):
        client = issuer.json("clients", "create", "orders", "--all-scopes")
        revoked, other = (listed_token(issuer, client, n) for n in range(2))
        for token in (revoked, other):
            assert [status_at(each, token) for each in apis * 2] == [200] * 4
        assert issuer.ask(client, "/revoke", token=revoked).status_code == 200
        assert seconds_until(apis, revoked, 401) < TTL + 1 + BUSY
        assert [status_at(each, other) for each in apis] == [200, 200]
    refused = [event for event in issuer.log() if event["event"] == "request.refused"]
    assert {event["reason"] for event in refused} == {"token_revoked"}


def test_tokens_serve_through_an_outage_of_the_issuer(tmp_path: Path) -> None:
    """By the list that the API has, which it asks for in vain, and says so."""
    issuer = make_place(tmp_path, WATCHWORD_STATUS_LIST_TTL=str(TTL))
    issuer.add_key()
    api = Place(tmp_path, make_place(tmp_path).port, {"WATCHWORD_ISSUER": issuer.url})
    with ExitStack() as issuing:
        issuing.enter_context(running(issuer))
        client = issuer.json("clients", "create", "orders", "--all-scopes")
        token = listed_token(issuer, client, 0)
        with running(api, "--only", "api"):
            assert status_at(api, token) == 200
            issuing.close()
            end = time.monotonic() + 2 * TTL
            while time.monotonic() < end:
                assert status_at(api, token) == 200
                time.sleep(0.05)
    assert "status_list.stale" in {event["event"] for event in issuer.log()}
