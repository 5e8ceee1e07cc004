"""List the public API, and compare it with that of the last release.

    python -m scripts.public_api          print what differs from docs/reference/public-api.json
    python -m scripts.public_api --check  fail if the changelog lacks what breaks callers
    python -m scripts.public_api --write  write it anew, which `scripts/release` does

Each thing that others rely on is a line. A line that goes, or a parameter that has to be given from
now on, breaks them; a new line does not.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from types import FunctionType
from typing import Any, Final

import typer

import issuer.errors
import resource_api.errors
from scripts.generated import ROOT
from scripts.python_api_page import (
    CALLED_BY_LIBRARIES,
    PACKAGES,
    PUBLIC,
    public_names,
)
from scripts.python_api_page import _parameters as write_parameters
from scripts.python_api_page import _parse as parse_source
from scripts.python_api_page import _returned as write_returned
from watchword.cli import command_line
from watchword.metrics import METRICS
from watchword.provider.openapi import build_openapi
from watchword.setting_sources import PREFIX
from watchword.settings import Settings

SNAPSHOT: Final = ROOT / "docs" / "reference" / "public-api.json"
EVENT: Final = re.compile(
    r'^\| <a id="\S+"></a>`([a-z_]+\.[a-z_]+)` \| \w+ \|(.*?)\| ', re.MULTILINE
)
SHAPES: Final = tuple(
    map(
        re.compile,
        (
            r"[A-Z]+ (/\S*)",  # GET /path
            r"watchword (?:.* )?(\S+)$",  # watchword command --option
            r"[\w.]+\((?:\d+, )?\**(\w+)",  # module.name(position, parameter: type)
            r"[\w.]+ ([a-z_0-9]+)$",  # event field, or where a reason is told
            r"(?:[\w]+\.)*(\w+)",  # module.Class.member: type
        ),
    )
)
"""How a line may look, and the word in it by which people know it."""
UNRELEASED: Final = re.compile(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTION: Final = re.compile(r"^### (\w+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is not as it was in the last release.

    Args:
        gone: lines that are not there any more, changed ones among them.
        demanded: parameters that callers of before do not give.
        new: all other lines that were not there.
    """

    gone: tuple[str, ...]
    demanded: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def breaking(self) -> tuple[str, ...]:
        """What callers of the last release notice."""
        return self.gone + self.demanded


def list_api() -> dict[str, list[str]]:
    """List the public API of this checkout, by kind."""
    modules = {name: import_module(name) for name in PUBLIC}
    python = (
        line
        for module, loaded in modules.items()
        for name in public_names(module)
        for line in list_python(f"{module}.{name}", getattr(loaded, name))
    )
    return {
        "python": sorted({*python}),
        "command line": sorted(list_commands(typer.main.get_command(command_line()), "watchword")),
        "settings": sorted(
            f"{PREFIX}{name.upper()} = {field.default!r}{' is deprecated' * bool(field.deprecated)}"
            for name, field in Settings.model_fields.items()
        ),
        "http": sorted(_list_http()),
        "metrics": sorted(
            f"{name} {metric.kind} {{{','.join(metric.labels)}}}"
            for name, metric in METRICS.items()
        ),
        "events": sorted(_list_events()),
        "reasons": sorted(
            [f"issuer {each}" for each in issuer.errors.Reason]
            + [f"api {each}" for each in resource_api.errors.Reason]
        ),
    }


def list_python(name: str, value: object) -> Iterator[str]:
    """Give the lines of a function, class or constant: how it is called, and what it has.

    Args:
        name: its full name.
        value: the thing itself.
    """
    if getattr(value, "__deprecated__", None):  # PEP 702
        yield f"{name} is deprecated"
    if isinstance(value, type):
        yield name
        for each in value.__mro__:
            if each.__module__.startswith(PACKAGES):
                yield from _list_members(name, each)
    elif isinstance(value, FunctionType):
        yield from _list_call(name, parse_source(value))
    else:
        yield name


def _list_call(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    waits = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    yield f"{waits}{name}(){write_returned(node)}"
    by_name = False
    for position, parameter in enumerate(write_parameters(node.args)):
        if parameter not in ("*", "/"):
            yield f"{name}({parameter if by_name else f'{position}, {parameter}'})"
        by_name = by_name or parameter.startswith("*")


def _list_members(name: str, described: type) -> Iterator[str]:
    node = parse_source(described)
    fields = "({})" if is_dataclass(described) else ".{}"
    for each in node.body:
        match each:
            case ast.FunctionDef(name="__init__"):
                yield from _list_call(name, each)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if each.name.startswith("_") or each.name in CALLED_BY_LIBRARIES:
                    continue
                if "property" in map(ast.unparse, each.decorator_list):
                    yield f"{name}.{each.name}{write_returned(each)}"
                else:
                    yield from _list_call(f"{name}.{each.name}", each)
            case ast.AnnAssign(target=ast.Name(id=field)) if not field.startswith("_"):
                yield name + fields.format(ast.unparse(each))
            case ast.Assign(targets=[ast.Name(id=field)]) if not field.startswith("_"):
                yield f"{name}.{ast.unparse(each)}"


def list_commands(command: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - of typer's own click
    """Give the lines of a command and of those below it.

    Args:
        command: as typer made it.
        path: the words that it is called by.
    """
    yield path
    if command.deprecated:
        yield f"{path} is deprecated"
    for parameter in command.params:
        value = "" if getattr(parameter, "is_flag", False) else " VALUE"
        needed = " required" if parameter.required else ""
        if parameter.param_type_name == "argument":
            yield f"{path} {parameter.metavar or parameter.name.upper()}{needed}"
            continue
        for option in (*parameter.opts, *parameter.secondary_opts):
            yield f"{path} {option}{value}{needed}"
    for name, below in getattr(command, "commands", {}).items():
        yield from list_commands(below, f"{path} {name}")


def _list_http() -> Iterator[str]:
    document = json.loads(
        build_openapi(Settings.model_validate({}), issuer=True, api=True, inspector=True)
    )
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            yield f"{method.upper()} {path}"
            yield from (f"{method.upper()} {path} -> {each}" for each in operation["responses"])
    for name, schema in document["components"]["schemas"].items():
        yield from (f"{name}.{member}" for member in schema.get("properties", {}))


def _list_events() -> Iterator[str]:
    page = (ROOT / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
    for event, fields in EVENT.findall(page):
        yield event
        yield from (f"{event} {field}" for field in re.findall(r"`(\w+)`", fields))


def compare(before: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> Difference:
    """Compare two lists of the public API.

    Args:
        before: that of the last release.
        now: that of this checkout.
    """
    old = {line for lines in before.values() for line in lines}
    new = {line for lines in now.values() for line in lines}
    called = {line.partition("(")[0].removeprefix("await ") for line in old if "(" in line}
    commands = {line for line in old if line.startswith("watchword ")}
    demanded = {line for line in new - old if _is_demanded(line, called, commands)}
    return Difference(
        gone=tuple(sorted(old - new)),
        demanded=tuple(sorted(demanded)),
        new=tuple(sorted(new - old - demanded)),
    )


def _is_demanded(line: str, called: set[str], commands: set[str]) -> bool:
    if line.endswith(" required"):
        return line.removesuffix(" required").removesuffix(" VALUE").rpartition(" ")[0] in commands
    name, _, parameter = line.partition("(")
    declared = parameter.rpartition(")")[0]
    return name in called and ":" in declared and " = " not in declared and "*" not in declared


def subject_of(line: str) -> str:
    """Give the word by which the changelog names a line: the last part of its name.

    Args:
        line: a line of the public API.
    """
    line = re.sub(r"( VALUE)?( required| is deprecated)?$", "", line).removeprefix("await ")
    for shape in SHAPES:
        if found := shape.match(line):
            return found[1]
    raise ValueError(line)


def find_unreleased(changelog: str) -> str:
    """Give what is under [Unreleased]; nothing if there is no such heading.

    Args:
        changelog: the whole of it.
    """
    found = UNRELEASED.search(changelog)
    return found[1] if found else ""


def find_unnamed(difference: Difference, unreleased: str) -> list[str]:
    """Find what breaks callers and is named under neither Changed nor Removed.

    Args:
        difference: from the last release.
        unreleased: that part of the changelog.
    """
    sections = dict(SECTION.findall(unreleased))
    told = sections.get("Changed", "") + sections.get("Removed", "")
    words = {*re.findall(r"[\w/{}-]+", told)}
    return [line for line in difference.breaking if subject_of(line) not in words]


def load_snapshot() -> tuple[str, dict[str, list[str]]]:
    """Load the version and the public API of the last release."""
    stored = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    return stored["version"], stored["api"]


def write_snapshot(version: str) -> str:
    """Write the public API of this checkout as that of a version.

    Args:
        version: the version that it is of.
    """
    document = {"version": version, "api": list_api()}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Print what differs, check it, or write the list anew; return the exit code."""
    version, before = load_snapshot()
    if sys.argv[1:] == ["--write"]:
        SNAPSHOT.write_text(write_snapshot(version), encoding="utf-8")
        return 0
    difference = compare(before, list_api())
    if sys.argv[1:] == ["--check"]:
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        unnamed = find_unnamed(difference, find_unreleased(changelog))
        for line in unnamed:
            print(f"public API: neither Changed nor Removed names {line}", file=sys.stderr)
        return 1 if unnamed else 0
    for sign, lines in (
        ("-", difference.gone),
        ("!", difference.demanded),
        ("+", difference.new),
    ):
        for line in lines:
            print(sign, line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
