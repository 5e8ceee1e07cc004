"""docs/reference/limits-and-defaults.md has the limits that the code has."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "limits-and-defaults.md"
ROW = re.compile(r"^\| (.+) \| ([\d.,]+) \| `([\w.]+):(\w+)` \|$", re.MULTILINE)
LIMITS = ROW.findall(PAGE.read_text())


@pytest.mark.parametrize(("what", "value", "module", "name"), LIMITS)
def test_a_limit_is_what_the_page_says(what: str, value: str, module: str, name: str) -> None:
    """The code is asked."""
    assert getattr(import_module(module), name) == float(value.replace(",", "")), what


def test_every_row_is_read() -> None:
    """A row that is written otherwise would be compared with nothing."""
    rows = [line for line in PAGE.read_text().splitlines() if ":" in line and "| `" in line]
    assert len(rows) == len(LIMITS) > 30
