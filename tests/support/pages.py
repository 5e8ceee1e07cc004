"""The Markdown pages of the repository, read as a host of code reads them."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PARSER = MarkdownIt("commonmark").enable("table")
ANCHOR = re.compile(r'<a id="([^"]+)">')


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of code, with its language, and the comment right before it."""

    page: str
    line: int
    language: str
    code: str
    remark: str

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """List the Markdown pages that are, or could next be, in a commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({path for name in listed.splitlines() if (path := ROOT / name).exists()})


def name_of(page: Path) -> str:
    """Give the path of a page from the root of the checkout."""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


def _tokens(page: Path) -> list[Token]:
    return PARSER.parse(page.read_text(encoding="utf-8"))


def _inline(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from token.children or []


def links(page: Path) -> list[str]:
    """List where links and pictures of a page lead to, but for other sites."""
    found = [
        str(token.attrGet("href" if token.type == "link_open" else "src"))
        for token in _inline(_tokens(page))
        if token.type in ("link_open", "image")
    ]
    return [unquote(target) for target in found if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> set[str]:
    """Build the anchors of a page: those of headings, numbered if repeated, and explicit ones."""
    tokens = _tokens(page)
    found, seen = set(ANCHOR.findall(page.read_text(encoding="utf-8"))), Counter[str]()
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            shown = "".join(
                token.content
                for token in heading.children or []
                if token.type in ("text", "code_inline")
            )
            slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def repeated_anchors(page: Path) -> list[str]:
    """List the explicit anchors that a page has more than once."""
    counted = Counter(ANCHOR.findall(page.read_text(encoding="utf-8")))
    return [name for name, count in counted.items() if count > 1]


def blocks(page: Path) -> list[Block]:
    """List the fenced blocks of a page that are in a language."""
    found, remark = [], ""
    for token in _tokens(page):
        if token.type == "fence" and token.info:
            found.append(
                Block(
                    page=name_of(page),
                    line=(token.map or [0])[0] + 1,
                    language=token.info,
                    code=token.content,
                    remark=remark,
                )
            )
        if token.type == "fence" or token.type.endswith("_open"):
            remark = ""
        elif token.type == "html_block":
            remark = token.content.strip()
    return found
