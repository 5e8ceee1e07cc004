"""Cut a release: the changelog, the version in all its places, and the snapshot of the public API.

`version` in pyproject.toml is the one place; the package says it by its metadata. What cannot read
these, such as the chart, repeats it.
"""

import argparse
import difflib
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Final

from scripts.chart_schema import chart_digest
from scripts.generated import ROOT
from scripts.public_api import (
    SECTION,
    SNAPSHOT,
    UNRELEASED,
    Difference,
    compare,
    find_unnamed,
    find_unreleased,
    list_api,
    load_snapshot,
    write_snapshot,
)

CHANGELOG: Final = "CHANGELOG.md"
RENDERED: Final = "tests/support/rendered_chart.yaml"
REPEATED: Final = {
    "pyproject.toml": '\nversion = "{}"\n',
    "deploy/helm/watchword/Chart.yaml": "\nversion: {0}\nappVersion: {0}\n",
    "deploy/.env.example": "/watchword:{}\n",
    RENDERED: '/watchword:{}"\n',
}
"""The files that say the version, and how it stands in each."""
RELEASED: Final = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)
VERSION: Final = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}")


class Refused(Exception):
    """The release cannot be cut; the message says why."""


def cut(changelog: str, version: str, day: str) -> str:
    """Give the changelog in which what was unreleased is a version.

    Args:
        changelog: the changelog of before.
        version: such as 0.2.0, higher than every one there.
        day: the day of the release, such as 2027-01-31.

    Raises:
        Refused: nothing is to be released, or version or date cannot be.
    """
    if not VERSION.fullmatch(version):
        raise Refused(f"{version}: a version is three numbers, such as 0.2.0")
    try:
        is_day = date.fromisoformat(day).isoformat() == day
    except ValueError:
        is_day = False
    if not is_day:
        raise Refused(f"{day}: a date is written as 2027-01-31")
    unreleased = find_unreleased(changelog)
    if not re.search(r"^- ", unreleased, re.MULTILINE):
        raise Refused("nothing is under [Unreleased] in the changelog")
    for past, past_day in RELEASED.findall(changelog)[:1]:
        if numbers(version) <= numbers(past):
            raise Refused(f"{version}: must be higher than {past}, the last release")
        if day < past_day:
            raise Refused(f"{day}: is before {past_day}, the day of {past}")
    sections = {name: text.strip() for name, text in SECTION.findall(unreleased)}
    body = "".join(f"### {name}\n\n{text}\n\n" for name, text in sections.items() if text)
    return (
        UNRELEASED.sub(
            lambda _: f"## [Unreleased]\n\n## [{version}] - {day}\n\n{body}", changelog, count=1
        ).rstrip("\n")
        + "\n"
    )


def numbers(version: str) -> tuple[int, ...]:
    """Give the three numbers of a version.

    Args:
        version: such as 0.2.0.
    """
    return tuple(int(each) for each in version.split("."))


def check_step(last: str, version: str, unreleased: str, difference: Difference) -> None:
    """Check that the version says how much has changed (Semantic Versioning).

    Below 1.0.0 the second number stands for what breaks callers and for what is new.

    Args:
        last: the last release.
        version: the next one.
        unreleased: that part of the changelog.
        difference: of the public API.

    Raises:
        Refused: the step is too small, or a change that breaks callers is not in the changelog.
    """
    if unnamed := find_unnamed(difference, unreleased):
        lines = "\n".join(f"  {each}" for each in unnamed)
        raise Refused(f"neither Changed nor Removed in the changelog names\n{lines}")
    sections = {name for name, text in SECTION.findall(unreleased) if text.strip()}
    before, after = numbers(last), numbers(version)
    if difference.breaking or "Removed" in sections:
        needed = 1 if before[0] else 2
    else:
        needed = 2 if difference.new or sections & {"Added", "Changed", "Deprecated"} else 3
    if after[:needed] <= before[:needed]:
        place = ("first", "second", "third")[needed - 1]
        raise Refused(f"{version}: what has changed since {last} asks for a higher {place} number")


def repeat(name: str, text: str, old: str, new: str) -> str:
    """Give a file that says the new version where it said the old one.

    Args:
        name: the file, one of `REPEATED`.
        text: what is in it.
        old: the version that it says.
        new: the version that it is to say.

    Raises:
        Refused: it does not say the old version.
    """
    said, wanted = REPEATED[name].format(old), REPEATED[name].format(new)
    if said not in text:
        raise Refused(f"{name}: does not say version {old}")
    return text.replace(said, wanted)


def plan(version: str, day: str) -> dict[str, str]:
    """Give the files that the release changes, as they are to be.

    Args:
        version: the version to cut.
        day: its date.

    Raises:
        Refused: it cannot be cut.
    """
    old, before = load_snapshot()
    changelog = _read(CHANGELOG)
    files = {CHANGELOG: cut(changelog, version, day)}
    if RELEASED.search(changelog):
        difference = compare(before, list_api())
        check_step(old, version, find_unreleased(changelog), difference)
    [current] = re.findall(r'^version = "(.+)"$', _read("pyproject.toml"), re.MULTILINE)
    files |= {name: repeat(name, _read(name), current, version) for name in REPEATED}
    files[SNAPSHOT.relative_to(ROOT).as_posix()] = write_snapshot(version)
    return {name: text for name, text in files.items() if text != _read(name)}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def write(files: dict[str, str]) -> None:
    """Write the files; the rendered chart says which chart it was rendered from.

    Args:
        files: what is to be in each.
    """
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")
    if RENDERED in files:
        first, rest = _read(RENDERED).split("\n", 1)
        first = f"{first.rpartition(' ')[0]} {chart_digest()}"
        (ROOT / RENDERED).write_text(f"{first}\n{rest}", encoding="utf-8")


def refuse_dirty(root: Path) -> None:
    """Check that everything in the checkout is committed.

    Args:
        root: the folder of the checkout.

    Raises:
        Refused: something is not.
    """
    command = ["git", "-C", str(root), "status", "--porcelain"]
    status = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if status:
        names = ", ".join(line[3:] for line in status.splitlines()[:3])
        raise Refused(f"there are changes that are not committed: {names}")


def main() -> int:
    """Show or write the release; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/release", description="Cut a release.")
    parser.add_argument("version", help="such as 0.2.0")
    parser.add_argument("date", help="of the release, such as 2027-01-31")
    parser.add_argument("--write", action="store_true", help="write it, not only show it")
    given = parser.parse_args()
    try:
        refuse_dirty(ROOT)
        files = plan(given.version, given.date)
    except Refused as refusal:
        print(f"release: {refusal}", file=sys.stderr)
        return 1
    if given.write:
        write(files)
        print(f"written: {', '.join(files)}\nnext: scripts/test, commit, scripts/release-check")
        return 0
    for name, text in files.items():
        before = _read(name).splitlines(keepends=True)
        sys.stdout.writelines(
            difflib.unified_diff(before, text.splitlines(keepends=True), name, name, n=1)
        )
    print("nothing is written; do so with --write", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
