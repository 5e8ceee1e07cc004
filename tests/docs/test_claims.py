"""What the page on claims tells people to type puts claims into tokens."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jwt

from tests.support.provider import Place, eventually, make_place, running

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "claims.md").read_text()
CONSTANT, ENVIRONMENT = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
(HOOK,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def type_in(place: Place, line: str) -> dict[str, Any]:
    """Do what a line of the page says, for the issuer of the test; return what is printed."""
    words = shlex.split(line.replace("http://localhost:8080", place.url))
    if words[0] == "echo":
        _, text, _, file = words
        (place.folder / file).write_text(text)
        return {}
    done = place.run(*words[1:], "--json")
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def claims_for(place: Place, client: dict[str, Any]) -> dict[str, Any]:
    """Get a token and return its claims that are no standard ones."""
    answer = place.ask(client)
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    wanted = ("tenant", "region", "tier", "department")
    return {name: claims[name] for name in wanted if name in claims}


def test_the_page_puts_claims_into_tokens(tmp_path: Path) -> None:
    """Constant ones within a second, also with a reuse window, and those of the hook."""
    place = make_place(tmp_path, WATCHWORD_LOG_FORMAT="json")
    place.add_key()
    (tmp_path / "shop_claims.py").write_text(HOOK)
    settings = dict(re.findall(r"export (\w+)=(\S+)", ENVIRONMENT))
    assert set(settings) == {"PYTHONPATH", "WATCHWORD_CLAIM_HOOKS"}
    place.settings |= settings | {"PYTHONPATH": str(tmp_path)}
    *before, change = CONSTANT.splitlines()
    printed = [type_in(place, line) for line in before]
    client = next(each for each in printed if "client_secret" in each)
    place.json("clients", "update", "till", "--reuse-window", "3600")
    with running(place, cold=True):
        mine = {"tenant": "shop-1", "department": "sales"}
        assert claims_for(place, client) == claims_for(place, client) == mine
        type_in(place, change)
        whole = mine | {"region": "eu", "tier": "basic"}
        assert eventually(lambda: claims_for(place, client) == whole, within=5)
    issued = [line for line in place.log() if line["event"] == "token.issued"]
    assert [line.get("reused") for line in issued[:2]] == [None, True]
    assert issued[0]["jti"] == issued[1]["jti"] != issued[-1]["jti"]
