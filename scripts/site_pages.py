"""What the documentation site makes of pages that are Markdown for any reader: a Sphinx extension.

- The pages of a section are those that its README lists, and are grouped by its headings.
- A heading has the anchor that it has on hosts of code, and ``<a id="NAME"></a>`` is an anchor that
  pages link to and that search and inventories know by its name.
- A link to a source file or a test is text, since the site does not have these files.
"""

import inspect
import pydoc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.transforms import SphinxTransform

PYTHON_PAGE: Final = "docs/reference/python-api"
KINDS: Final = {
    "docs/reference/events": "event",
    "docs/reference/metrics": "metric",
    "docs/reference/reasons": "reason",
    "docs/reference/settings": "setting",
}
"""Pages that describe named things, and what those are."""

# What a page may offer for download: samples and schemas, not the source code.
DOWNLOADS: Final = ("deploy", "docs", "examples")

INDEX: Final = re.compile(r"docs/(?:[\w-]+/)?README")
LISTED: Final = re.compile(r"^- \[[^\]]+\]\((?P<page>[^)#\s]+)\.md\)", re.MULTILINE)
SECTION: Final = re.compile(r"^## +(?P<heading>.+)$", re.MULTILINE)
ANCHOR: Final = re.compile(r'<a id="(?P<name>[^"]+)">(?:</a>)?\s*')


def listed_pages(text: str) -> Iterator[tuple[str, list[str]]]:
    """Read the list of contents of a section's README.

    Args:
        text: the page, in Markdown.

    Yields:
        A heading, empty above the first one, with the pages below it: those that list items begin
        with a link to, without their suffix. Headings without such pages are left out.
    """
    parts = SECTION.split(text)
    for heading, part in zip(["", *parts[1::2]], parts[::2], strict=True):
        if pages := LISTED.findall(part):
            yield heading, pages


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Tell Sphinx which pages the README of a section lists; the page itself shows them already."""
    if not INDEX.fullmatch(docname):
        return
    for heading, pages in listed_pages(source[0]):
        has_caption = heading and docname != app.config.root_doc
        caption = f":caption: {heading}\n" if has_caption else ""
        listed = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n{caption}\n{listed}\n```\n"


class Anchors(SphinxTransform):
    """Give headings and named things the anchors that links from any place may use."""

    # Before links are resolved.
    default_priority: ClassVar[int] = 200

    def apply(self, **_: Any) -> None:  # noqa: ANN401 - as declared by docutils
        """Change the page that is being read."""
        self._slugs = self.env.metadata[self.env.docname].get("myst_slugs", {})
        self._name_headings()
        names = set(map(self._place, [*self.document.findall(nodes.raw)]))
        for link in self.document.findall(nodes.reference):
            if link.get("id_link") and (name := link["refuri"][1:]) in names:
                del link["refuri"], link["id_link"]
                link["refid"] = name

    def _name_headings(self) -> None:
        for slug, (line, section_id, title) in [*self._slugs.items()]:
            section = self.document.ids[section_id]
            if slug not in section["ids"]:
                section["ids"].insert(0, slug)
            self._slugs[slug] = (line, slug, title)

    def _place(self, raw: nodes.raw) -> str | None:
        """Put an anchor in the place of its HTML; return its name."""
        if not (found := ANCHOR.fullmatch(raw.astext())):
            return None
        name = found["name"]
        target = nodes.target("", "", ids=[name])
        closing = raw.next_node(nodes.raw, descend=False, siblings=True)
        if not raw.astext().rstrip().endswith("</a>") and closing:
            closing.parent.remove(closing)
        raw.replace_self(target)
        # What links from other pages are looked up in.
        self._slugs[name] = (0, name, name)
        self._register(name, target)
        return name

    def _register(self, name: str, target: nodes.target) -> None:
        page = self.env.docname
        if page == PYTHON_PAGE:
            python = cast(PythonDomain, self.env.get_domain("py"))
            python.note_object(name, kind_of(name), name, location=target)
        elif page in KINDS:
            standard = self.env.domains.standard_domain
            standard.note_object(KINDS[page], name, name, location=target)


class Downloads(SphinxTransform):
    """Leave the links to files that the site does not have as text."""

    default_priority: ClassVar[int] = 200

    def apply(self, **_: Any) -> None:  # noqa: ANN401 - as declared by docutils
        """Change the page that is being read."""
        for link in [*self.document.findall(download_reference)]:
            name, _path = self.env.relfn2path(link["reftarget"])
            if Path(name).parts[0] not in DOWNLOADS:
                link.replace_self(link.children[0].children)


def kind_of(name: str) -> str:
    """Tell which kind of object Sphinx's Python domain has for a name, such as ``class``."""
    described = pydoc.locate(name)
    if inspect.ismodule(described):
        return "module"
    if inspect.isclass(described):
        return "exception" if issubclass(described, BaseException) else "class"
    above = pydoc.locate(name.rpartition(".")[0])
    if callable(described):
        return "method" if inspect.isclass(above) else "function"
    return "attribute" if inspect.isclass(above) else "data"


def show_versions(app: Sphinx, config: Any) -> None:  # noqa: ANN401 - Sphinx has no type for it
    """Have each page offer the other versions, from the list beside the folders of all versions."""
    del app
    config.html_theme_options["switcher"] = {
        "json_url": "../switcher.json",
        "version_match": config.release,
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Add all this to Sphinx, which calls it."""
    for kind in KINDS.values():
        app.add_object_type(kind, kind)
    app.add_transform(Anchors)
    app.add_transform(Downloads)
    app.connect("source-read", add_contents)
    app.connect("config-inited", show_versions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
