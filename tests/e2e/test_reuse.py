"""A token that is given again, on a real provider: what ends it counts within a second."""

from collections.abc import Callable
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


@pytest.mark.parametrize("end", [revoke, change, change_resource, withdraw])
def test_a_token_is_given_again_until_its_ground_is_gone(
    tmp_path: Path, end: Callable[[Place, str], None]
) -> None:
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

    with running(place):
        first = token()
        assert [token() for _ in range(3)] == [first] * 3
        end(place, first)
        assert eventually(lambda: token() != first, within=3)
        second = token()
        assert [token() for _ in range(3)] == [second] * 3
    issued = [line for line in place.log() if line["event"] == "token.issued"]
    assert [line.get("reused") for line in issued[:4]] == [None, True, True, True]
