"""Check the rules of the house that no linter of ours knows: sizes, names, a small public surface.

Prints one line for each breach and exits 1 if there is one.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
PUBLIC_NAMES = 12
# Names that say nothing of what a module owns.
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def main() -> int:
    """Check every tracked or new Python file; return the exit code."""
    breaches = [line for path in python_files() for line in check(path)]
    print("\n".join(breaches) or "house rules: kept", file=sys.stderr if breaches else sys.stdout)
    return 1 if breaches else 0


def python_files() -> list[Path]:
    """List the Python files that are, or could next be, in a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(listed.splitlines())) if (path := ROOT / name).exists()]


def check(path: Path) -> Iterator[str]:
    """Yield one line for each rule that the file breaks."""
    name = path.relative_to(ROOT).as_posix()
    source = path.read_text(encoding="utf-8")
    if (lines := source.count("\n")) > FILE_LINES:
        yield f"{name}: {lines} lines, at most {FILE_LINES}; split it"
    if EMPTY_NAMES & set(path.stem.split("_")):
        yield f"{name}: the name says nothing of what the module owns"
    for node in ast.walk(ast.parse(source)):
        yield from (f"{name}:{line}" for line in check_node(node))


def check_node(node: ast.AST) -> Iterator[str]:
    """Yield ``LINE: what is wrong`` for one node of the tree."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as names):
            if len(names.elts) > PUBLIC_NAMES:
                yield f"{node.lineno}: {len(names.elts)} public names, at most {PUBLIC_NAMES}"
        case _:
            return


if __name__ == "__main__":
    sys.exit(main())
