"""What the page on the mock issuer tells people to type works as it stands."""

import re
import shlex
from pathlib import Path

import httpx
import jwt
import yaml

from tests.e2e.test_cli_mock import mocked
from watchword.testing.control import CALLS, PREFIX

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "mock-issuer.md").read_text()
START, NAMED, *CURL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


def send(line: str, port: int) -> httpx.Response:
    """Send what a line with curl sends."""
    words = iter(shlex.split(line.replace("localhost:9090", f"localhost:{port}")))
    data, headers, auth, url = [], {"content-type": "application/x-www-form-urlencoded"}, None, ""
    assert next(words) == "curl"
    for word in words:
        match word:
            case "-u":
                auth = tuple(next(words).split(":"))
            case "-d":
                data.append(next(words))
            case "-H":
                headers |= [next(words).split(": ")]
            case _:
                url = word
    return httpx.post(url, content="&".join(data), headers=headers, auth=auth)


def test_the_lines_of_the_page_work(tmp_path: Path) -> None:
    """A token, one that is expired, and two faults."""
    assert NAMED.split()[:2] == START.split()[:2] == ["watchword", "mock"]
    with mocked(tmp_path, *START.split()[4:], *NAMED.split()[4:6]) as mock:
        answers = [send(line, mock["port"]) for each in CURL for line in each.splitlines()]
        after = httpx.post(mock["token_endpoint"], auth=("a", "b"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert answers[0].json()["scope"] == "orders:read"
    assert "access_token" in answers[1].json()
    assert (after.status_code, after.headers["retry-after"]) == (429, "2")


def test_what_takes_the_place_of_mock_oauth2_server(tmp_path: Path) -> None:
    """The endpoints are below the issuer, and tokens have the claims that were configured."""
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE, flags=re.DOTALL)
    assert sum(line[0] in "+-" for line in diff.splitlines()) < 10
    added = "\n".join(line[1:] for line in diff.splitlines() if line[0] != "-")
    command = yaml.safe_load(added)["services"]["mock"]["command"]
    address = "watchword mock --host 0.0.0.0 --port 8080 "
    assert command.startswith(address)
    with mocked(tmp_path, *command.removeprefix(address).split()) as mock:
        below = f"http://localhost:{mock['port']}/default"
        metadata = httpx.get(f"{below}/.well-known/openid-configuration").json()
        keys = httpx.get(f"{below}/jwks").json()["keys"]
        form = {"grant_type": "client_credentials", "scope": "orders:read"}
        token = httpx.post(f"{below}/token", data=form, auth=("any", "any")).json()["access_token"]
    assert metadata["issuer"] == "http://mock:8080/default"
    assert jwt.get_unverified_header(token)["kid"] in [key["kid"] for key in keys]
    told = jwt.decode(token, options={"verify_signature": False})
    named = (told["iss"], told["aud"], told["tenant"])
    assert named == (metadata["issuer"], "https://orders.example.com", "shop")


def test_the_page_has_every_call() -> None:
    """By its method and its path."""
    assert all(f"`{method} {PREFIX}{path}`" in PAGE for method, path in CALLS)
