"""The documentation site is built without a warning, whole, and of nothing from elsewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.util.inventory import InventoryFile

import issuer.errors
import resource_api.errors
from scripts.python_api_page import PUBLIC, public_names
from scripts.site_versions import age, list_versions
from tests.support.pages import ROOT
from tests.support.site import VERSION, built_site
from watchword.console.reasons import ConsoleReason
from watchword.settings import Settings

# What a browser loads by itself, and by which attribute.
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the built pages of one version."""
    return built_site(tmp_path_factory.getbasetemp()) / VERSION


class Html(HTMLParser):
    """The links, loaded files and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag leads to, loads and is called."""
        has = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        if tag in LOADED and LOADED[tag] in has:
            self.loaded.append(has[LOADED[tag]])
        if "id" in has:
            self.anchors.add(has["id"])


read = cache(Html)


def html_pages(site: Path) -> list[Path]:
    """List the pages that are there to be read."""
    return [page for page in site.rglob("*.html") if "_static" not in page.parts]


def dead(page: Path, target: str) -> bool:
    """Tell whether a link within the site leads to no file, or to no anchor of a page."""
    address = urlsplit(target)
    if address.scheme in ("https", "http", "mailto") or target == "#":
        return False
    linked = (page.parent / unquote(address.path)).resolve() if address.path else page
    if not linked.is_file():
        return True
    anchor = unquote(address.fragment)
    return bool(anchor) and anchor not in read(linked).anchors


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    """Navigation, cross-references and downloads alike; a file that is not there has no link."""
    pages = html_pages(site)
    assert len(pages) > 100
    found = [f"{page}: {each}" for page in pages for each in read(page).links if dead(page, each)]
    assert found == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles, fonts and pictures are files of the site."""
    for page in html_pages(site):
        loaded = [urlsplit(each) for each in read(page).loaded]
        assert [each for each in loaded if each.scheme not in ("", "data") or each.netloc] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    addresses = re.findall(r"url\(['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", styles)
    assert [each for each in addresses if re.match(r"(https?:)?//", "".join(each))] == []


def inventory(site: Path) -> dict[str, set[str]]:
    """Read what other projects may refer to: names by kind."""
    with (site / "objects.inv").open("rb") as file:
        known = InventoryFile.load(file, "", lambda base, path: path)
    return {kind: set(names) for kind, names in known.items()}


def test_each_code_and_name_can_be_linked_to_and_found(site: Path) -> None:
    """Reasons, settings and every public name of Python have an anchor of their own."""
    known = inventory(site)
    codes = {str(each) for each in (*issuer.errors.Reason, *resource_api.errors.Reason)}
    codes |= {str(each) for each in ConsoleReason}
    assert {re.sub("^(issuer|console)-", "", name) for name in known["std:reason"]} == codes
    reasons = read(site / "docs/reference/reasons.html").anchors
    assert codes | {"issuer-expired", "console-body_too_large"} <= reasons
    names = {f"{module}.{name}" for module in PUBLIC for name in public_names(module)}
    of_python = {name: kind for kind in known if kind.startswith("py:") for name in known[kind]}
    assert names <= of_python.keys()
    assert of_python["resource_api.AccessToken"] == "py:class"
    assert of_python["resource_api.InvalidToken"] == "py:exception"
    assert of_python["resource_api.verify"] == "py:function"
    assert of_python["consumer.TokenSource.token"] == "py:method"
    settings = {f"WATCHWORD_{name.upper()}" for name in Settings.model_fields}
    assert settings == known["std:setting"]
    assert {"token.refused", "key.revoked"} <= known["std:event"]


def test_headings_have_the_anchors_of_hosts_of_code(site: Path) -> None:
    """So that a link is good wherever the page is read."""
    anchors = read(site / "docs/reference/python-api.html").anchors
    assert {"resource_apifastapi", "resource_api"} <= anchors


def test_source_files_are_no_part_of_the_site(site: Path) -> None:
    """The conformance page names tests; samples of deployments can be downloaded."""
    page = (site / "docs/reference/conformance.html").read_text(encoding="utf-8")
    assert "conformance/test_rfc6749.py" in page
    kept = {path.suffix for path in (site / "_downloads").rglob("*") if path.is_file()}
    assert ".py" not in {
        path.suffix for path in (site / "_downloads").rglob("test_*") if path.is_file()
    }
    assert ".json" in kept
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 12_000_000


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("[lost](missing.md)", "cross-reference target not found"),
        ("[lost](other.md#gone)", "local id not found"),
        ("[lost](#gone)", "cross-reference target not found"),
        ("![lost](gone.png)", "image file not readable"),
        ("[lost](../tests)", "cross-reference target not found"),
    ],
    ids=["file", "anchor", "in-page", "picture", "folder"],
)
def test_a_dead_link_fails_the_build(tmp_path: Path, page: str, words: str) -> None:
    """Of every kind, with the page and the line."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "README.md").write_text("# First\n\n- [Page](page.md)\n- [Other](other.md)\n")
    (docs / "page.md").write_text(f"# Page\n\n{page}\n")
    (docs / "other.md").write_text("# Other\n")
    program = "from pathlib import Path; from scripts.site_versions import build; import sys; "
    program += "sys.exit(build('1', Path(sys.argv[1]) / 'out', Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "page.md:3" in done.stderr
    assert words in done.stderr


def made_versions(folder: Path, *names: str) -> Iterator[dict[str, object]]:
    """Build nothing but the list of some versions."""
    for name in names:
        (folder / name).mkdir()
        (folder / name / "index.html").touch()
    list_versions(folder, "/docs/")
    yield from json.loads((folder / "switcher.json").read_text())


def test_versions_are_listed_from_the_newest(tmp_path: Path) -> None:
    """By their numbers; what has none comes last, and `latest` leads to the newest."""
    listed = [*made_versions(tmp_path, "0.9.0", "main", "0.10.0", "0.2.0")]
    assert [each["version"] for each in listed] == ["0.10.0", "0.9.0", "0.2.0", "main"]
    assert listed[0]["name"] == "0.10.0 (latest)"
    assert listed[1]["url"] == "/docs/0.9.0/"
    assert [each["preferred"] for each in listed] == [True, False, False, False]
    assert "../0.10.0/docs/README.html" in (tmp_path / "latest" / "index.html").read_text()
    assert "0.10.0/docs/README.html" in (tmp_path / "index.html").read_text()


def test_a_release_is_newer_than_its_drafts() -> None:
    """And older than the next draft."""
    assert sorted(["1.0.0", "1.0.0rc1", "1.1.0rc1", "0.9.0"], key=age) == [
        "0.9.0",
        "1.0.0rc1",
        "1.0.0",
        "1.1.0rc1",
    ]
