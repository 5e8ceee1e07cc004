"""Every relative link in a Markdown page leads to a file, and every anchor to what has it."""

from pathlib import Path

import pytest

from scripts.site_pages import listed_pages
from tests.support.pages import ROOT, anchors, links, name_of, pages, repeated_anchors

# Pages that the site is made of; others are shown by hosts of code alone.
FIRST_PAGE = ROOT / "docs" / "README.md"


def broken(page: Path) -> list[str]:
    """List the links and pictures of a page that lead nowhere; other sites are not asked."""
    return [target for target in links(page) if not resolves(page, target)]


def resolves(page: Path, target: str) -> bool:
    """Tell whether a link from a page leads to a file and, in Markdown, to an anchor."""
    path, _, anchor = target.partition("#")
    linked = (page.parent / path).resolve() if path else page
    # A site has no page for a folder.
    if not linked.is_file():
        return False
    return not anchor or (linked.suffix == ".md" and anchor in anchors(linked))


def contents(index: Path) -> list[Path]:
    """List the pages that a page lists, and those that these list."""
    found = []
    for _, listed in listed_pages(index.read_text(encoding="utf-8")):
        for name in listed:
            page = (index.parent / f"{name}.md").resolve()
            found.append(page)
            if page.name == "README.md" and page.parent.parent == FIRST_PAGE.parent:
                found += contents(page)
    return found


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    """A page links to what is there, and names no anchor twice."""
    assert broken(page) == []
    assert repeated_anchors(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    """To a file, a heading, an anchor, a picture, a folder; in a table, or defined elsewhere."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n# Same\n# Same\n"
        '[a](#one-two) [b](missing.md "title") [c](#two) [d](https://example.com/x) [e](#same-1)\n'
        '![f](missing.png) [g](#same-2) [h][i] <a id="named"></a>[j](#named) [k](page.md#named)\n'
        "[l](page.md#other) [m](.)\n\n[i]: elsewhere.md\n\n| a |\n| --- |\n| [n](gone.md) |\n\n"
        "```sh\n[o](code.md)\n```\n"
    )
    expected = ["missing.md", "#two", "missing.png", "#same-2", "elsewhere.md"]
    assert broken(page) == [*expected, "page.md#other", ".", "gone.md"]


def test_every_page_is_listed_once() -> None:
    """From the first page down: so each is in the navigation of the site, and none is an orphan."""
    sites = [page for page in pages() if is_of_the_site(page) and page != FIRST_PAGE]
    assert sorted(contents(FIRST_PAGE)) == sites


def is_of_the_site(page: Path) -> bool:
    """Tell whether the site has a page."""
    name = name_of(page)
    is_example = page.match("examples/*/README.md")
    return "/" not in name or name.startswith("docs/") or is_example
