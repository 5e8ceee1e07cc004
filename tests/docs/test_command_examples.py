"""The examples of commands can be typed as they stand, and print what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.support.cli import run_in_empty_folder

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-examples.md"
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
# What differs in every run, or version: secrets, keys, times, ids, users and schema revisions.
VOLATILE = re.compile(
    r"ww[sr]_[\w-]{43,}|(?<![\w-])[\w-]{342}"
    r"|(?<![\w-])[\w-]{43}(?![\w-])|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    r"|\b[0-9a-f]{16}\b|\b(?=\w*\d)[0-9a-f]{10}\b|by \w+ \(cli\)|(?<=expired )\d+ \w+|\b00\d\d\b"
)


def examples():
    """Yield each command with what the page says that it prints."""
    for block in BLOCKS:
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = example.partition("\n")
            yield command, printed


def plain(text):
    """Leave out what differs in every run, and how wide tables are."""
    lines = (re.sub(r"[ ─]+", " ", line).strip() for line in VOLATILE.sub("…", text).splitlines())
    return [line for line in lines if line]


def test_the_examples_print_what_the_page_says(tmp_path, monkeypatch, capsys):
    """One after the other in an empty folder, with the ids that were printed before."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setattr("watchword.cli.registry.sys.stderr.isatty", lambda: True, raising=False)
    real = {}
    for command, expected in examples():
        for shown, instead in real.items():
            command = command.replace(shown, instead)
        words, _, file = command.partition(" > ")
        name, *arguments = shlex.split(words)
        assert name == "watchword"
        done = run(*arguments)
        printed = done.stdout + done.stderr
        if file:
            (tmp_path / file).write_text(done.stdout)
            printed = done.stderr
        assert plain(printed) == plain(expected), command
        real |= dict(zip(VOLATILE.findall(expected), VOLATILE.findall(printed), strict=True))


@pytest.mark.parametrize(
    "group",
    ["keys", "clients", "resources", "registration-tokens", "audit", "apply", "export", "db"],
)
def test_every_group_has_an_example(group):
    """`serve`, `token` and `scenario` need a provider: the README and a tutorial show them."""
    assert any(command.startswith(f"watchword {group}") for command, _ in examples())
