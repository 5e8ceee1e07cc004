"""`--help` of every command, found by walking through all of them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from tests.support.cli import run_in_empty_folder
from tests.support.command import clean_environment
from tests.support.keys import key_file, write_key_file
from watchword.cli import command_line
from watchword.cli.help import OPTION_SECTIONS, SECTIONS

Words = tuple[str, ...]


def commands(group: typer.Typer, path: Words = ()) -> Iterator[Words]:
    """Yield the words of each command."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield (*path, command.name or command.callback.__name__.replace("_", "-"))
    for inner in group.registered_groups:
        assert isinstance(inner.typer_instance, typer.Typer)
        yield from commands(inner.typer_instance, (*path, str(inner.name)))


def typer_commands(command):
    """Yield all commands below one, groups included."""
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from typer_commands(inner)


DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "cli.md").read_text()
COMMANDS = sorted(commands(command_line()))
REGISTRY = {"clients", "resources", "audit", "registration-tokens", "apply", "export", "usage"}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_one_example(run, command):
    """`--help` shows how the command is typed, in lines that a terminal can show."""
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.count("Example: ") == 1
    assert "watchword " + " ".join(command) in " ".join(done.stdout.split())
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each[0] in REGISTRY], ids=" ".join
)
def test_every_command_on_the_registry_can_ask_a_server(run, command):
    """By one option, the same everywhere."""
    assert "--server URL" in run(*command, "--help").stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_in_the_reference(command):
    """By its group and its name."""
    rows = [line for line in REFERENCE.splitlines() if line.startswith("| `watchword ")]
    group = [row for row in rows if row.startswith(f"| `watchword {command[0]}")]
    assert any(re.search(rf"\b{each}\b", row) for row in group for each in command[-1:])


@pytest.mark.parametrize(
    "page",
    [
        "reference/cli.md",
        "how-to/administer-clients.md",
        "how-to/rotate-a-client-secret.md",
        "how-to/register-clients-dynamically.md",
    ],
)
def test_pages_name_no_option_that_does_not_exist(page):
    """What the documentation tells people to type can be typed."""
    options = {
        option
        for command in typer_commands(typer.main.get_command(command_line()))
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", (DOCS / page).read_text()))
    assert named - options <= {"--help"}


def test_the_version_is_printed(run):
    """As a package manager knows it."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"watchword {version('watchword')}\n")


def test_commands_are_listed_in_sections_with_their_whole_summaries(run):
    """Nothing is cut off, and every group has an example."""
    shown = run("--help").stdout
    places = [shown.index(f"\n{section}:\n") for section in SECTIONS[:-1]]
    assert places == sorted(places)
    for group in ((), ("keys",), ("clients",), ("clients", "secrets")):
        shown = run(*group, "--help").stdout
        assert "..." not in shown.partition("[ARGS]...")[2]
        assert len(group) != 1 or f"Example: watchword {group[0]} " in shown


@pytest.mark.parametrize("command", ["create", "update"])
def test_the_options_of_a_client_are_listed_in_sections(run, command):
    """What is left is about the command itself."""
    shown = run("clients", command, "--help").stdout
    places = [shown.index(f"\n{title}:\n") for title in (*OPTION_SECTIONS, "Options")]
    assert places == sorted(places)
    left = set(re.findall(r"^  (-\S+)", shown[places[-1] :], flags=re.MULTILINE))
    assert left - {"--unset"} == {"--server", "--output", "--json", "-h,"}


COMPLETIONS = {
    "bash": {"COMP_WORDS": "watchword clients up", "COMP_CWORD": "2"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "watchword clients up"},
    "fish": {
        "_TYPER_COMPLETE_ARGS": "watchword clients up",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_a_shell_completes_commands(tmp_path, shell):
    """What its completion script asks for is answered with the commands that begin so."""
    asked = {"_WATCHWORD_COMPLETE": f"complete_{shell}", **COMPLETIONS[shell]}
    done = subprocess.run(
        [Path(sys.executable).with_name("watchword")],
        env=clean_environment() | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "update" in done.stdout
    assert "disable" not in done.stdout


def test_help_loads_nothing_dear():
    """What takes long to import waits until a command needs it."""
    code = (
        "import sys; from watchword.cli import run; run(['clients', 'update', '--help']);"
        " print({'sqlalchemy', 'structlog', 'httpx', 'rich', 'issuer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_keys_are_listed_without_the_registry(tmp_path):
    """They are in a folder, so that no database library is loaded: a quarter of what it takes."""
    code = (
        "import sys; from watchword.cli import run; print(run(['keys', 'list']),"
        " {'sqlalchemy', 'httpx', 'starlette'} & set(sys.modules))"
    )
    (tmp_path / "keys").mkdir(mode=0o700)
    write_key_file(tmp_path / "keys", key_file())
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment() | {"WATCHWORD_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr


@pytest.mark.parametrize("group", [(), ("clients",), ("clients", "secrets")], ids=" ".join)
def test_no_command_shows_what_there_is(run, group):
    """A group without a command prints its help, as wrong usage."""
    done = run(*group)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")
    assert len(done.stderr.splitlines()) > 8
