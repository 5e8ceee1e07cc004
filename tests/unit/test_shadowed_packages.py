"""A module of a program that has the name of one of our packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPENDS = [
    ("consumer", "keys"),
    ("resource_api", "keys"),
    *(("watchword", name) for name in ("keys", "issuer", "resource_api", "consumer")),
]


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a program that lies in a folder, with our packages installed."""
    program = folder / "program.py"
    program.write_text(code)
    return subprocess.run(
        [sys.executable, str(program)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("package", "hidden"), DEPENDS)
@pytest.mark.parametrize("place", ["{}.py", "{}/__init__.py"])
def test_a_module_that_hides_a_package_of_ours_is_named(
    tmp_path: Path, package: str, hidden: str, place: str
) -> None:
    """One error with both files and what to do, where the import begins."""
    theirs = tmp_path / place.format(hidden)
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("raise SystemExit('must not be run')\n")
    done = run(tmp_path, f"import {package}")

    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(f"ImportError: {theirs} hides the package `{hidden}`")
    assert str(ROOT / package / "__init__.py") in last
    assert "rename" in last


def test_folders_of_such_names_without_a_module_hide_nothing(tmp_path: Path) -> None:
    """A data folder is no package: ours is found."""
    for name in ("keys", "consumer", "issuer"):
        (tmp_path / name).mkdir()
    done = run(tmp_path, "import watchword, consumer, resource_api; print(consumer.__file__)")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(ROOT / "consumer" / "__init__.py")
