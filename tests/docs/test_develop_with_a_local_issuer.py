"""The page on a local issuer does what it says."""

import re
import shlex
from pathlib import Path
from textwrap import dedent

from tests.support.provider import make_place, running

PAGE = (Path(__file__).parents[2] / "docs/how-to/develop-with-a-local-issuer.md").read_text()


def test_the_registry_of_the_page_is_served_with_its_secret(tmp_path: Path) -> None:
    """It prints what the page shows, and gives the client of the file a token."""
    registry, _ = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "registry.yaml").write_text(dedent(registry))
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)
    (line,) = re.findall(r"watchword serve (--dev .*)", PAGE)
    (client,) = re.findall(r"curl -u (\S+:\S+)", PAGE)
    place = make_place(tmp_path, TMPDIR=str(tmp_path))
    with running(place, *shlex.split(line)) as process:
        assert process.stdout is not None
        expected = printed.replace("http://localhost:8080", place.url).splitlines()
        shown = [next(process.stdout).rstrip("\n") for _ in range(6)]
        assert shown == [each.strip() for each in expected][:6]
        client_id, _, secret = client.partition(":")
        answer = place.ask({"client_id": client_id, "client_secret": secret})
        assert answer.json()["scope"] == "orders:read"


def test_the_compose_file_makes_what_is_served(tmp_path: Path) -> None:
    """A key, and the clients of the file with the secrets of the environment."""
    registry, compose = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "registry.yaml").write_text(dedent(registry))
    (script,) = re.findall(r'sh -c "(.*?)"', compose)
    (secret,) = re.findall(r"BILLING_SECRET: (\S+)", compose)
    place = make_place(tmp_path, BILLING_SECRET=secret)
    *before, serve = (shlex.split(each) for each in script.split(" && "))
    assert serve[:3] == ["exec", "watchword", "serve"]
    for name, *arguments in before:
        assert name == "watchword"
        assert place.run(*arguments).returncode == 0
    with running(place):
        answer = place.ask({"client_id": "billing", "client_secret": secret})
    assert answer.json()["scope"] == "orders:read"
