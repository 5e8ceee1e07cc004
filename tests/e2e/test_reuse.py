"""A token that is given again, on a real provider: what ends it counts within a second."""

from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.support.provider import Place, eventually, make_place, running


def revoke(place: Place, token: str) -> None:
    """Revoke the token, as an operator does."""
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    assert place.run("token", "revoke", "--jti", jti, "--yes").returncode == 0


def change(place: Place, token: str) -> None:
    """Change something of the client."""
    place.json("clients", "update", "till", "--name", "Till")


def change_resource(place: Place, token: str) -> None:
    """Change something of the resource."""
    place.json("resources", "update", place.url, "--token-ttl", "600")


def withdraw(place: Place, token: str) -> None:
    """Withdraw the key that signed it; another one signs at once."""
    kid = jwt.get_unverified_header(token)["kid"]
    assert place.run("keys", "revoke", kid, "--yes").returncode == 0


@pytest.mark.alone
def test_a_token_is_given_again_until_its_ground_is_gone(tmp_path: Path) -> None:
    """Then every request gets another one."""
    place = make_place(tmp_path, WATCHWORD_LOG_FORMAT="json")
    place.add_key()
    options = ("--scope", "read", "--reuse-window", "3600")
    client: dict[str, Any] = place.json("clients", "create", "till", *options)

    def token() -> str:
        answer = place.ask(client)
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["access_token"]
        return text

    def is_another_than(token_before: str) -> bool:
        return token() != token_before

    with running(place):
        for end in (revoke, change, change_resource, withdraw):
            first = token()
            assert [token() for _ in range(3)] == [first] * 3
            end(place, first)
            assert eventually(partial(is_another_than, first), within=3), end.__name__
    issued = [line for line in place.log() if line["event"] == "token.issued"]
    assert [line.get("reused") for line in issued[:4]] == [None, True, True, True]
