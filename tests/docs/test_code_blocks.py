"""Each page's code is run by a test, or why it is not is written down; all of it can be typed."""

import ast
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer._click.exceptions import BadParameter, MissingParameter, UsageError

from tests.support.pages import ROOT, Block, blocks, pages
from watchword.cli import command_line

# Signatures, which are no programs.
SIGNATURES = "docs/reference/python-api.md"
PACKAGES = ("consumer", "issuer", "keys", "resource_api", "watchword")
BLOCKS = [block for page in pages() for block in blocks(page) if block.page != SIGNATURES]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language in ("sh", "console")]
LISTED = tomllib.loads(Path(__file__).with_name("code-blocks.toml").read_text(encoding="utf-8"))
COMMAND = typer.main.get_command(command_line())
COMMANDS: dict[str, Any] = COMMAND.commands  # type: ignore[attr-defined]
OPERATORS = set("();<>|&\n")


def wrong_entries(listed: dict[str, dict[str, str]], found: set[tuple[str, str]]) -> list[str]:
    """Compare what is said of pages with the code that they have.

    Args:
        listed: by page and language, the test that runs the blocks, or "not run: " and why.
        found: pages with the languages that they have blocks in.
    """
    said = {(page, language) for page, entry in listed.items() for language in entry}
    wrong = [f"{page}: say which test runs the {kind} blocks" for page, kind in found - said]
    wrong += [f"{page}: there are no {kind} blocks" for page, kind in said - found]
    for page, entry in listed.items():
        for said_of in entry.values():
            if re.fullmatch(r"not run: \w.{20,}", said_of):
                continue
            test = ROOT / said_of
            if not (test.is_file() and Path(page).name in test.read_text(encoding="utf-8")):
                wrong.append(f"{page}: {said_of} does not read it")
    return sorted(wrong)


def test_each_block_is_run_or_its_page_says_why_not() -> None:
    """By page and language, in code-blocks.toml."""
    found = {(block.page, block.language) for block in (*PYTHON, *SHELL)}
    assert wrong_entries(LISTED, found) == []


def test_a_block_that_no_test_runs_is_noticed() -> None:
    """And so is an entry that is not true any more, or gives no reason."""
    listed = {
        "docs/a.md": {"python": "tests/docs/test_scale.py"},
        "docs/b.md": {"sh": "not run: no"},
        "README.md": {"sh": "tests/docs/test_readme.py"},
    }
    assert wrong_entries(
        listed, {("README.md", "sh"), ("c.md", "python"), ("docs/b.md", "sh")}
    ) == [
        "c.md: say which test runs the python blocks",
        "docs/a.md: tests/docs/test_scale.py does not read it",
        "docs/a.md: there are no python blocks",
        "docs/b.md: not run: no does not read it",
    ]


def missing_names(tree: ast.Module) -> Iterator[str]:
    """Yield what a program imports from our packages and is not there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in PACKAGES:
            module = import_module(str(node.module))
            yield from (
                f"{node.module}.{each.name}"
                for each in node.names
                if not hasattr(module, each.name)
            )


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles_and_imports_what_there_is(block: Block) -> None:
    """Also what no test runs; a part of a program may await at its top."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(textwrap.dedent(block.code), str(block), "exec", flags)
    assert [*missing_names(tree)] == []


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the arguments of each `watchword` that a block types."""
    typed = textwrap.dedent(block.code)
    if block.language == "console":
        typed = "\n".join(re.findall(r"^\$ ((?:.*\\\n)*.*)", typed, flags=re.MULTILINE))
    typed = typed.replace("\\\n", " ")
    # What is in double quotes is carried out too.
    yield from arguments(typed)
    for inner in re.findall(r'"[^"\n]*\$\((watchword[^)]*)\)', typed):
        yield from arguments(inner)


def arguments(script: str) -> Iterator[list[str]]:
    """Yield the arguments of each `watchword` at the place of a command."""
    script = re.sub(r"(?m)(^|\s)#.*$", r"\1", script)
    lexer = shlex.shlex(script, posix=True, punctuation_chars="".join(OPERATORS))
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    simple: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= OPERATORS:
            simple.append(word)
            continue
        yield from (simple[at + 1 :] for at in range(len(simple) - 1) if is_command(simple, at))
        simple = []


def is_command(words: list[str], at: int) -> bool:
    """Tell whether a word is our command: where commands are, or with one of its own after it."""
    is_first = all("=" in word or word in ("exec", "!") for word in words[:at])
    return words[at] == "watchword" and (is_first or words[at + 1] in COMMANDS)


def parse(command: Any, words: list[str]) -> None:
    """Parse the arguments as the command would, and carry nothing out.

    Raises:
        UsageError: there is no such command or option, or an argument is missing or too many.
    """
    try:
        context = command.make_context("watchword", list(words))
    except MissingParameter:
        raise
    except BadParameter:
        return  # A value that stands for another one, such as SECONDS.
    if hasattr(command, "commands"):
        rest = [*context._protected_args, *context.args]
        _, inner, rest = command.resolve_command(context, rest)
        parse(inner, rest)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_can_be_typed(block: Block) -> None:
    """The command exists, and so do its options; scripts that are named are there."""
    for words in commands(block):
        if not {"-h", "--help", "--version"} & set(words):
            parse(COMMAND, words)
    for script in re.findall(r"(?<![\w/])scripts/[\w-]+", block.code):
        assert (ROOT / script).is_file(), script


@pytest.mark.parametrize(
    "line",
    [
        "watchword clients make x",
        "watchword clients create x --bogus",
        "SETTING=1 watchword clients create",
        'TOKEN="$(watchword token take)"',
        "true && watchword serve --prot 80",
        "docker compose exec watchword watchword keys list --bogus",
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(line: str) -> None:
    """Wherever it stands in a line."""
    block = Block(page="page.md", line=1, language="console", code=f"$ {line}\n", remark="")
    (words,) = commands(block)
    with pytest.raises(UsageError):
        parse(COMMAND, words)
