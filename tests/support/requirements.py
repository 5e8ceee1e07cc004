"""Read what is claimed of the specifications, and which tests say that they prove it.

The claims are tests/conformance/requirements.toml; the proofs are the marks ``rfc`` and ``attack``,
read from the source of the tests, so that a test that is skipped counts all the same.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
CLAIMS = TESTS / "conformance" / "requirements.toml"

_ATTACK_ROW = re.compile(r"[TV]\d+")
_TestFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One rule: who keeps it, and whether it is kept now or waits for a capability."""

    id: str
    role: str
    text: str
    state: str
    reason: str | None = None

    @property
    def claimed(self) -> bool:
        """Tell whether a test has to prove the rule now."""
        return self.state == "claimed"

    @property
    def mark(self) -> str:
        """Name the mark that a test of the rule carries."""
        return "attack" if _ATTACK_ROW.fullmatch(self.id) else "rfc"


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A test that says it proves a rule."""

    path: str
    test: str
    mark: str
    id: str


def load_requirements(path: Path = CLAIMS) -> tuple[Requirement, ...]:
    """Read the claims in the order of the file; unknown members are a ``TypeError``."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Requirement(**entry) for entry in document["requirement"])


def find_proofs(folder: Path = TESTS) -> tuple[Proof, ...]:
    """Read the marks of every test under the folder, sorted by file and test."""
    found = set[Proof]()
    for path in folder.rglob("test_*.py"):
        name = path.relative_to(folder.parent).as_posix()
        for test, mark, requirement in proofs_in(path.read_text(encoding="utf-8")):
            found.add(Proof(name, test, mark, requirement))
    return tuple(sorted(found))


def proofs_in(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield ``(test, mark, id)`` for the tests of one module.

    Counted are the decorators of the test and of its class, ``pytestmark``, and what a decorator
    takes from a constant of the module, as parametrised cases do.

    Raises:
        ValueError: if the id in a mark is not a literal string.
    """
    module = ast.parse(source)
    constants = {
        target.id: statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for target in _targets(statement)
    }
    everywhere = [constants["pytestmark"]] if "pytestmark" in constants else []
    for test, sources in _tests(module.body, everywhere):
        for mark, requirement in sorted(set(_marks(sources, constants))):
            yield test, mark, requirement


def _targets(statement: ast.Assign | ast.AnnAssign) -> Iterator[ast.Name]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return (target for target in targets if isinstance(target, ast.Name))


def _tests(
    body: Iterable[ast.stmt], inherited: list[ast.expr]
) -> Iterator[tuple[str, list[ast.expr]]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
            yield from _tests(statement.body, inherited + statement.decorator_list)
        elif isinstance(statement, _TestFunction) and statement.name.startswith("test_"):
            yield statement.name, inherited + statement.decorator_list


def _marks(
    sources: Iterable[ast.expr], constants: dict[str, ast.expr]
) -> Iterator[tuple[str, str]]:
    for node in (node for source in sources for node in ast.walk(source)):
        if isinstance(node, ast.Name) and node.id in constants:
            rest = {name: value for name, value in constants.items() if name != node.id}
            yield from _marks([constants[node.id]], rest)
        elif isinstance(node, ast.Call) and _is_mark(node.func):
            for argument in node.args:
                yield node.func.attr, _literal(argument)  # type: ignore[attr-defined]


def _is_mark(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in {"rfc", "attack"}
        and ast.unparse(function.value).endswith("mark")
    )


def _literal(argument: ast.expr) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    raise ValueError(f"line {argument.lineno}: the id in a mark must be a literal string")
