"""What the page on declarations tells people to type does what it says."""

import json
import re
import tomllib
from pathlib import Path
from textwrap import dedent

from tests.support.command import run_command

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs" / "how-to" / "declare-the-registry.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "registry-file.md").read_text()
SCHEMA = json.loads((ROOT / "docs" / "reference" / "registry.schema.json").read_text())


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    found = re.findall(rf"^ *```{language}\n.*?```", HOW_TO, flags=re.DOTALL | re.MULTILINE)
    return [dedent(block).split("\n", 1)[1].removesuffix("```") for block in found]


def test_the_example_is_applied_as_the_page_says(tmp_path: Path) -> None:
    """Each command is run as it stands, in the order of the page."""
    example, replaced = blocks("toml")
    looked, pruned, piped = blocks("sh")
    (tmp_path / "registry.toml").write_text(example)
    printed = []
    for line in looked.splitlines() + pruned.splitlines():
        done = run_command(tmp_path, *line.split()[1:])
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    shown, mistake = blocks("text")
    assert printed[0] == shown
    assert (tmp_path / "billing.secret").stat().st_mode & 0o777 == 0o600
    again = run_command(tmp_path, "apply", "registry.toml")
    assert again.stdout.startswith("Nothing to change")

    (tmp_path / "registry.toml").write_text(example.replace("client_name", "clientname"))
    refused = run_command(tmp_path, "apply", "registry.toml")
    assert (refused.returncode, refused.stderr) == (2, mistake)

    secrets = tomllib.loads(replaced)["secrets"]
    next_secret = tmp_path / "next"
    next_secret.write_text("the next secret has enough characters")
    text = example.replace('[{ generate_to = "billing.secret" }]', replaced.split(" = ", 1)[1])
    text = text.replace(secrets[1]["file"], str(next_secret))
    (tmp_path / "registry.toml").write_text(text)
    both = run_command(tmp_path, "apply", "registry.toml", BILLING_SECRET="s" * 32)
    assert both.returncode == 0, both.stderr

    words = piped.split("|")[1].split()[1:]
    done = run_command(tmp_path, *words, stdin="clients: []")
    assert done.returncode == 0, done.stderr


def test_the_reference_names_every_key() -> None:
    """And no key is only in the schema."""
    keys = {key for part in SCHEMA["$defs"].values() for key in part["properties"]}
    keys |= set(SCHEMA["properties"])
    named = set(re.findall(r"`(?:grants\[\]\.)?([\w$]+)`", REFERENCE))
    named |= {f"tls_client_auth{rest}" for rest in re.findall(r"`…(_\w+)`", REFERENCE)}
    assert keys - named == set()
