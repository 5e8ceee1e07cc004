"""The cut of a release: a version and a date that can be, and one version everywhere."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from scripts.public_api import Difference
from scripts.release_cut import (
    REPEATED,
    Refused,
    check_step,
    cut,
    find_unreleased,
    refuse_dirty,
    repeat,
)

ROOT = Path(__file__).parents[2]
CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- A door.
  With a lock.

### Changed

### Fixed

- A hinge.

## [0.9.2] - 2026-10-01

### Fixed

- A window.
"""
CUT = """\
# Changelog

## [Unreleased]

## [0.10.0] - 2026-11-28

### Added

- A door.
  With a lock.

### Fixed

- A hinge.

## [0.9.2] - 2026-10-01

### Fixed

- A window.
"""
SAME = Difference(gone=(), demanded=(), new=())
MORE = Difference(gone=(), demanded=(), new=("it.new",))
BROKEN = Difference(gone=("it.door",), demanded=(), new=())


def test_what_was_unreleased_becomes_a_version() -> None:
    """Under its date, without empty sections, and nothing is unreleased any more."""
    assert cut(CHANGELOG, "0.10.0", "2026-11-28") == CUT
    assert find_unreleased(CUT).strip() == ""


@pytest.mark.parametrize(
    ("changelog", "version", "day", "why"),
    [
        (CUT, "0.11.0", "2026-11-29", "nothing is under [Unreleased]"),
        (CHANGELOG.replace("## [Unr", "## [unr"), "1.0.0", "2026-11-29", "nothing is under"),
        (CHANGELOG, "0.9.2", "2026-11-28", "0.9.2: must be higher than 0.9.2, the last release"),
        (CHANGELOG, "0.9.10rc1", "2026-11-28", "a version is three numbers"),
        (CHANGELOG, "0.10", "2026-11-28", "a version is three numbers"),
        (CHANGELOG, "0.010.0", "2026-11-28", "a version is three numbers"),
        (CHANGELOG, "0.10.0", "2026-02-30", "2026-02-30: a date is written as 2027-01-31"),
        (CHANGELOG, "0.10.0", "20261128", "20261128: a date is written as 2027-01-31"),
        (CHANGELOG, "0.10.0", "2026-09-30", "is before 2026-10-01, the day of 0.9.2"),
    ],
)
def test_a_release_that_cannot_be(changelog: str, version: str, day: str, why: str) -> None:
    """It is refused with what is wrong."""
    with pytest.raises(Refused) as refused:
        cut(changelog, version, day)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("last", "version", "section", "difference", "refused"),
    [
        ("0.9.2", "0.9.3", "Fixed", SAME, ""),
        ("0.9.2", "0.9.3", "Security", SAME, ""),
        ("0.9.2", "0.9.3", "Added", SAME, "second"),
        ("0.9.2", "0.9.3", "Fixed", MORE, "second"),
        ("0.9.2", "0.10.0", "Changed", MORE, ""),
        ("0.9.2", "0.9.3", "Changed", BROKEN, "second"),
        ("0.9.2", "0.10.0", "Changed", BROKEN, ""),
        ("1.9.2", "1.10.0", "Changed", SAME, ""),
        ("1.9.2", "1.10.0", "Changed", BROKEN, "first"),
        ("1.9.2", "1.10.0", "Removed", SAME, "first"),
        ("1.9.2", "2.0.0", "Removed", BROKEN, ""),
    ],
)
def test_the_version_says_how_much_has_changed(
    last: str, version: str, section: str, difference: Difference, refused: str
) -> None:
    """What breaks callers and what is new each ask for a number (Semantic Versioning)."""
    unreleased = f"### {section}\n\n- The `door`.\n"
    if not refused:
        check_step(last, version, unreleased, difference)
        return
    with pytest.raises(Refused, match=f"asks for a higher {refused} number"):
        check_step(last, version, unreleased, difference)


def test_what_breaks_callers_is_in_the_changelog() -> None:
    """Else no version will do."""
    with pytest.raises(Refused, match=r"neither Changed nor Removed.*\n  it\.door"):
        check_step("0.9.2", "1.0.0", "### Fixed\n\n- The `door`.\n", BROKEN)


def test_every_place_says_the_version_of_the_project() -> None:
    """What cannot read the metadata is changed with them: the chart, and images that are named."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in REPEATED:
        text = (ROOT / name).read_text()
        later = repeat(name, text, version, "7.8.9")
        assert version not in [*text_of_versions(later)], name
        assert repeat(name, later, "7.8.9", version) == text
    chart = yaml.safe_load((ROOT / "deploy/helm/watchword/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def text_of_versions(text: str) -> list[str]:
    """Find what looks like a version of ours: behind a name of the image, or of the chart."""
    words = text.replace('"', " ").split()
    return [word.rpartition(":")[2] for word in words if word.rpartition(":")[2].count(".") == 2]


def test_a_file_that_says_another_version_is_refused() -> None:
    """It would keep saying it."""
    with pytest.raises(Refused, match=r"pyproject\.toml: does not say version 9\.9\.9"):
        repeat("pyproject.toml", '[project]\nversion = "1.0.0"\n', "9.9.9", "10.0.0")


def test_a_checkout_with_changes_is_refused(tmp_path: Path) -> None:
    """A file that git does not know yet is a change too."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    refuse_dirty(tmp_path)
    (tmp_path / "new").touch()
    with pytest.raises(Refused, match="not committed: new"):
        refuse_dirty(tmp_path)
