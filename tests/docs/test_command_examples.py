"""The examples of commands can be typed as they stand, and print what the page says."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import run_in_empty_folder

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-examples.md"
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
# What differs in every run, or version: secrets, keys, times, ids, users and schema revisions.
VOLATILE = re.compile(
    r"\((?:now|in \d+ \w+|\d+ \w+ ago)\)|\bnow\b|\d+ \w+ ago"
    r"|ww[sr]_[\w-]{43,}|(?<![\w-])[\w-]{342}"
    r"|(?<![\w-])[\w-]{43}(?![\w-])|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    r"|\b[0-9a-f]{16}\b|\b(?=\w*\d)[0-9a-f]{10}\b|by \w+ \(cli\)"
    r"|(?<=expired )\d+ \w+|(?<=in )\d+ \w+|\b00\d\d\b"
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


def settings_after(command):
    """Carry a line of the shell out; return the settings in the environment after it."""
    done = subprocess.run(
        ["sh", "-c", f"{command}\nenv"], capture_output=True, text=True, check=True
    )
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in lines if name.startswith("WATCHWORD_")}


def test_the_examples_print_what_the_page_says(tmp_path, monkeypatch, capsys):
    """One after the other in an empty folder, with the ids that were printed before."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setattr("watchword.cli.registry.sys.stderr.isatty", lambda: True, raising=False)
    real = {}
    for command, expected in examples():
        for shown, instead in real.items():
            command = command.replace(shown, instead)
        if not command.startswith("watchword "):
            for setting in settings_after(command).items():
                monkeypatch.setenv(*setting)
            continue
        words, _, file = command.partition(" > ")
        arguments = shlex.split(words)[1:]
        done = run(*arguments)
        printed = done.stdout + done.stderr
        if file:
            (tmp_path / file).write_text(done.stdout)
            printed = done.stderr
        assert plain(printed) == plain(expected), command
        # The first counts: lines that are sorted by what differs come in another order.
        found = zip(VOLATILE.findall(expected), VOLATILE.findall(printed), strict=True)
        real = dict(found) | real


@pytest.mark.parametrize(
    "group",
    [
        "keys",
        "keys rotate",
        "keys revoke",
        "keys delete",
        "keys passphrase",
        "keys move",
        "clients",
        "resources",
        "registration-tokens",
        "audit",
        "apply",
        "export",
        "db",
    ],
)
def test_every_group_has_an_example(group):
    """`serve`, `token` and `scenario` need a provider: the README and a tutorial show them."""
    assert any(command.startswith(f"watchword {group}") for command, _ in examples())
