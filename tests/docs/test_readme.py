"""What the README tells people to type does what it says."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from tests.support.command import run_shell
from tests.support.provider import Place, eventually, make_place, running

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an empty folder, with the port of the README moved to a free one."""
    return make_place(tmp_path)


def test_sixty_seconds_by_hand(place: Place) -> None:
    """Each command is run as it stands; curl's requests are sent by another client."""
    _, by_hand, curl, _ = blocks("sh")
    generate, create, serve = by_hand.splitlines()
    assert place.run(*generate.split()[1:]).returncode == 0
    client = place.json(*create.split()[1:])
    assert serve == "watchword serve"
    with running(place):
        assert "curl -u billing:SECRET -d grant_type=client_credentials" in curl
        assert place.ask(client).json()["scope"] == "read"
        assert len(place.get("/jwks").json()["keys"]) == 1


def run_as_module(source: str, name: str) -> ModuleType:
    """Run a snippet as the module that it would be in a file of its own."""
    module = ModuleType(name)
    exec(source, vars(module))
    return module


def in_process(app: ASGIApp) -> httpx.MockTransport:
    """Carry requests to an API that has no address."""
    api = TestClient(app)

    def send(request: httpx.Request) -> httpx.Response:
        answer = api.request(request.method, str(request.url), headers=dict(request.headers))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.MockTransport(send)


def test_the_api_and_its_caller_work_together(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both snippets run against a real provider, with its address in the place of the example's."""
    orders = "https://orders.example.com"
    made = place.run("resources", "create", orders, "--scope", "orders:read")
    assert made.returncode == 0, made.stderr
    place.add_key()
    client = place.json("clients", "create", "billing", "--resource", orders, "--all-scopes")
    api, caller, _ = blocks("python")
    with running(place):
        served = run_as_module(api.replace("https://auth.example.com", place.url), "orders")
        source = caller.replace("https://auth.example.com", place.url)
        source = source.replace('"SECRET"', repr(client["client_secret"]))
        transport = in_process(served.app)
        exec(source.replace("httpx.Client(", "httpx.Client(transport=api, "), {"api": transport})
    assert capsys.readouterr().out == "{'for': 'billing'}\n"


def test_the_test_of_the_readme_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, with the API above as the module that it imports."""
    api, _, test = blocks("python")
    monkeypatch.setitem(sys.modules, "orders", run_as_module(api, "orders"))
    run_as_module(test, "test_orders").test_only_readers_get_orders()


def test_dev_mode_of_the_readme(place: Place) -> None:
    """`watchword serve --dev` needs nothing before it."""
    assert "`watchword serve --dev`" in README
    with running(place, "--dev"):
        assert eventually(place.is_ready)


def test_administering_by_hand(place: Place) -> None:
    """The commands run one after another as they stand; the file changes nothing."""
    done = run_shell(place.folder, "set -e\n" + blocks("sh")[3])
    assert done.returncode == 0, done.stderr
    assert "client.created  shop" in done.stdout
    assert done.stdout.endswith("Nothing to change: the registry is as the file says.\n")


def test_every_install_line_installs_from_a_checkout() -> None:
    """There is no package of that name on an index; the extras are those of the project."""
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    lines = [
        line
        for page in pages
        for line in re.findall(r"`pip install ('?(?:\.|watchword)[^`]*)`", page.read_text())
        if "/decisions/" not in str(page)
    ]
    assert {"'.[server]'", "."} <= set(lines)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    for line in lines:
        extras = re.fullmatch(r"'\.\[([a-z,]+)\]'|\.", line)
        assert extras, line
        known = project["optional-dependencies"].keys()
        assert set((extras[1] or "").split(",")) - {""} <= known
