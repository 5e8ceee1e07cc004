"""The page of the Python API has what the other pages tell programs to import."""

import re
from pathlib import Path

from scripts.python_api_page import PUBLIC, build_page, public_names

ROOT = Path(__file__).parents[2]
SNIPPET = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(
    r"^ *from ((?:keys|resource_api|consumer|watchword)[\w.]*) import (.+)$", re.MULTILINE
)


def test_every_import_of_the_other_pages_is_described() -> None:
    """A name that a page has a program import does not change without notice."""
    described = {name for module in PUBLIC for name in public_names(module)}
    pages = [ROOT / "README.md", *(ROOT / "docs" / "how-to").glob("*.md")]
    taught = {
        (module, name)
        for page in pages
        for snippet in SNIPPET.findall(page.read_text())
        for module, names in IMPORT.findall(snippet)
        for name in names.split(", ")
    }
    assert len(taught) > 20
    assert {each for each in taught if each[1] not in described or each[0] not in PUBLIC} == set()


def test_parameters_and_errors_are_listed() -> None:
    """As the docstrings have them, with the signature as it stands in the source."""
    page = build_page()
    protection = page[page.index("\n### Protection\n") : page.index("\n### SyncProtection\n")]
    assert "    cache_size: int = 4096,\n" in protection
    assert (
        "- `cache_size`: how many verified tokens to remember, bound or not; 0 for none.\n"
        in protection
    )
    assert "Raises:\n\n- `ValueError`: settings that cannot be" in protection
    anchor = '<a id="resource_api.protection.Protection.warm"></a>'
    assert f"- {anchor}`await warm() -> bool`: Get the keys before" in protection


def test_what_is_inherited_is_described_once() -> None:
    """Of an error that has a page of its own, and of what makes three classes."""
    page = build_page()
    assert page.count("- `authorization_details`: rights in detail") == 1
    assert page.count("</a>`retry_after: float | None = None`") == 1
