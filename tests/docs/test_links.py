"""Every relative link in a Markdown page leads to a file, and every anchor to a heading."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(?P<text>.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """List the Markdown pages that are, or could next be, in a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in listed.splitlines() if (path := ROOT / name).exists())


def anchors(page: Path) -> set[str]:
    """Build the anchors that a page's headings get where Markdown is shown."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def broken(page: Path) -> list[str]:
    """List the links of a page that lead nowhere; links to other sites are not followed."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = (target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target))
    return [target for target in targets if not resolves(page, target)]


def resolves(page: Path, target: str) -> bool:
    """Tell whether a link from a page leads to a file and, in Markdown, to a heading."""
    path, _, anchor = unquote(target).partition("#")
    linked = (page.parent / path).resolve() if path else page
    if not linked.exists():
        return False
    return not anchor or linked.suffix != ".md" or anchor in anchors(linked)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_resolves(page: Path) -> None:
    """A page links to what is there."""
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    """The test would see a link to nowhere."""
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](missing.md) [c](#two) [d](https://example.com/x)\n")
    assert broken(page) == ["missing.md", "#two"]


def test_the_front_page_of_the_docs_lists_every_decision() -> None:
    """A note that nobody links to is a note that nobody reads."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    notes = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [name for name in notes if f"decisions/{name}" not in index] == []
