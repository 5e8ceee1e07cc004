"""What the pages on the administration API say is so, and what they tell people to type works."""

import json
import os
import re
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from issuer.administration.http.problems import HTTP_KINDS, KINDS
from issuer.administration.http.routes import ROUTES
from tests.support.command import run_shell
from tests.support.provider import Place, make_place, running

DOCS = Path(__file__).parents[2] / "docs"
HOW_TO = (DOCS / "how-to" / "administer-over-http.md").read_text()
REFERENCE = (DOCS / "reference" / "admin-api.md").read_text()


def typed(place: Place, script: str, **variables: str) -> str:
    """Run a line of shell where `watchword` is the real command; return what it printed."""
    settings = place.own_settings() | {"ISSUER": place.url, "NO_PROXY": "*"} | variables
    done = run_shell(place.folder, "set -eu\n" + script, **settings)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="the page uses curl"
)
def test_the_steps_of_the_page_work_as_they_stand(tmp_path: Path) -> None:
    """Each block is given to a shell, in order."""
    blocks = re.findall(r"^ *```sh\n.*?```", HOW_TO, flags=re.DOTALL | re.MULTILINE)
    create, by_command, by_curl, register, change = (
        dedent(block).split("\n", 1)[1].removesuffix("```") for block in blocks
    )
    place = make_place(tmp_path)
    place.add_key()
    secret = json.loads(typed(place, create))["client_secret"]
    known = {"SECRET": secret, "WATCHWORD_CLIENT_ID": "ops", "WATCHWORD_CLIENT_SECRET": secret}
    with running(place):
        assert "ops" in typed(place, by_command, **known)
        assert json.loads(typed(place, by_curl, **known))["clients"][0]["client_id"] == "ops"
        assert "client_secret" in json.loads(typed(place, register, **known))
        assert "client_secret" not in json.loads(typed(place, register, **known))
        look = 'curl -sD- -o /dev/null -H @token.header "$ISSUER/admin/api/v1/clients/till"'
        tag = re.search(r'etag: ("\d+")', typed(place, look))
        assert tag is not None
        assert json.loads(typed(place, change, TAG=tag[1]))["disabled"]


def test_the_reference_names_every_route_with_its_scopes() -> None:
    """And no other."""
    listed = re.findall(r"^\| `([A-Z]+) (/\S+)` \| (.*?) \|", REFERENCE, flags=re.MULTILINE)
    written = {
        (method, path): {f"watchword:{scope}" for scope in re.findall(r"`([^`]+)`", scopes)}
        for method, path, scopes in listed
    }
    assert written == {(route.method, route.path): set(route.scopes) for route in ROUTES}


def test_the_reference_names_every_problem_at_its_status() -> None:
    """A script goes by them."""
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", REFERENCE, flags=re.MULTILINE)
    written = {(int(status), code) for status, row in rows for code in re.findall(r"`(.*?)`", row)}
    assert written == {(kind.status, kind.code) for kind in [*KINDS.values(), *HTTP_KINDS]}
