"""The page on scale has the figures that the model gives for the costs that it states."""

import re
from pathlib import Path

from bench.scale import write_table
from bench.scale_model import Costs

PAGE = Path(__file__).parents[2] / "docs/explanation/scale.md"
_COST = re.compile(r"^\|[^|]+\| `(\w+)` \| ([0-9.]+) \|$", re.MULTILINE)


def test_the_table_is_what_the_model_says() -> None:
    """A change of a bound, or of how indexes are given out, has the page written anew."""
    page = PAGE.read_text()
    costs = Costs(**{name: float(value) for name, value in _COST.findall(page)})
    table = write_table(costs)
    assert "\n".join(table) in page, "write the table anew:\n" + "\n".join(table)
