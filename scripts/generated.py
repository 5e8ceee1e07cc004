"""What the generated files have in common: each is written, or checked with ``--check``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def named(name: str, anchor: str = "") -> str:
    """Write a name as code that can be linked to, as ``#NAME`` unless an anchor is given."""
    return f'<a id="{anchor or name}"></a>`{name}`'


def write_or_check(name: str | Path, text: str) -> int:
    """Write a file, or with ``--check`` on the command line only tell whether it is up to date.

    Args:
        name: the file, from the root of the checkout.
        text: what is to be in it.

    Returns:
        The exit code: 1 if the file is to be checked and is not what would be written.
    """
    path = ROOT / name
    if sys.argv[1:] != ["--check"]:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        print(f"{path.name} is not up to date; run scripts/docs", file=sys.stderr)
        return 1
    return 0
