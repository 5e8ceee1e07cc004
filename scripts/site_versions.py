"""Build the documentation site of a version, and lead to the newest one."""

import argparse
import json
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

from sphinx.cmd.build import main as build_pages

ROOT: Final = Path(__file__).resolve().parent.parent
VERSION: Final = re.compile(r"(?!latest$)\w[\w.+-]*")
FIRST_PAGE: Final = "docs/README.html"


def main(arguments: list[str]) -> int:
    """Build what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/site", description=__doc__)
    parser.add_argument("--version", default=version_of("watchword"), help="name of the folder")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build" / "site", help="folder of all versions"
    )
    parser.add_argument(
        "--base", default="/", help="path of the URL that the site is served at, such as /docs/"
    )
    asked = parser.parse_args(arguments)
    if not VERSION.fullmatch(asked.version):
        parser.error(f"--version {asked.version!r} cannot be the name of a version's folder")
    output: Path = asked.output
    if code := build(asked.version, output):
        return code
    newest = list_versions(output, f"/{asked.base.strip('/')}/".replace("//", "/"))
    print(f"site: {output / 'index.html'} leads to version {newest}")
    return 0


def build(version: str, output: Path, source: Path = ROOT) -> int:
    """Build the pages of a version, strictly.

    Args:
        version: its name.
        output: the folder of all versions.
        source: the folder that pages are read from, with their paths in a checkout.

    Returns:
        The exit code of Sphinx.
    """
    pages = output / version
    strict = ["--fail-on-warning", "--nitpicky", "--keep-going", "--quiet"]
    names = ["-D", f"version={version}", "-D", f"release={version}"]
    # What Sphinx keeps from one time to the next is no part of the site.
    kept = ["-d", str(output / ".doctrees" / version)]
    places = ["-c", str(ROOT / "docs"), str(source), str(pages)]
    if code := build_pages(["-b", "html", *strict, *names, *kept, *places]):
        return code
    # Of no use to readers, and half of what the theme brings.
    for source_map in pages.rglob("*.map"):
        source_map.unlink()
    lead(pages / "index.html", FIRST_PAGE)
    return 0


def list_versions(output: Path, base: str) -> str:
    """Write the list of all versions, and the pages that lead to the newest.

    Args:
        output: the folder of all versions.
        base: the path of the URL that this folder is served at, with slashes around.

    Returns:
        The newest version.
    """
    found = (page.parent.name for page in output.glob("*/index.html"))
    versions = sorted((name for name in found if VERSION.fullmatch(name)), key=age, reverse=True)
    newest = versions[0]
    entries = [
        {
            "version": name,
            "name": f"{name} (latest)" if name == newest else name,
            "url": f"{base}{name}/",
            "preferred": name == newest,
        }
        for name in versions
    ]
    (output / "switcher.json").write_text(f"{json.dumps(entries, indent=1)}\n", encoding="utf-8")
    (output / "latest").mkdir(exist_ok=True)
    lead(output / "latest" / "index.html", f"../{newest}/{FIRST_PAGE}")
    lead(output / "index.html", f"{newest}/{FIRST_PAGE}")
    return newest


def age(version: str) -> tuple[bool, list[int], bool, str]:
    """Order versions from the oldest: names without a number come first, releases after drafts."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return bool(numbers), numbers[:3], version.replace(".", "").isdigit(), version


def lead(page: Path, to: str) -> None:
    """Write a page that leads a browser on to another one, without a script."""
    page.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Watchword</title>\n'
        f'<link rel="icon" href="data:,">\n'
        f'<meta http-equiv="refresh" content="0; url={to}">\n'
        f'<a href="{to}">Documentation of Watchword</a></html>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
