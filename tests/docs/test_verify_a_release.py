"""What a release consists of is made, and verified as the page says."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.release_cut import Refused
from scripts.release_files import (
    INSTALLS,
    MACHINE,
    make,
    read_lock,
    select,
    sign,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "verify-a-release.md").read_text()
COMMIT = subprocess.run(
    ["git", "-C", str(ROOT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
).stdout.strip()
LOCK = """\
apple==1.0 \\
    --hash=sha256:aa
    # via
    #   -c requirements/dev.lock
    #   watchword (pyproject.toml)
pear[seed]==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:bb
    # via apple
stone==3.0 \\
    --hash=sha256:cc
    # via
    #   pear
    #   apple
wood==4.0 \\
    --hash=sha256:dd
    # via watchword (pyproject.toml:install)
"""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key as a maintainer has one."""
    file = tmp_path_factory.mktemp("keys") / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)]
    subprocess.run(command, check=True)
    return file


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Path:
    """Make the files of a release of the last commit; two builds that differ fail here."""
    folder = tmp_path_factory.mktemp("release")
    make(folder, MACHINE, key)
    return folder


@pytest.fixture
def download(release: Path, key: Path, tmp_path: Path) -> Path:
    """Give a user's copy of the release, with the line that users have from elsewhere."""
    folder = tmp_path / "download"
    shutil.copytree(release, folder)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (folder / "allowed_signers").write_text(
        f'releases@watchword namespaces="watchword-release" {public}\n'
    )
    return folder


def commands(heading: str) -> list[tuple[str, str]]:
    """Return the commands below a heading of the page, each with what it prints."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    typed = []
    for block in re.findall(r"^ *```console\n.*?^ *```$", section, re.DOTALL | re.MULTILINE):
        text = dedent(block).removeprefix("```console\n").removesuffix("```")
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            typed.append((command, printed))
    return typed


def type_in(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a line of the page in a shell."""
    command = ["/bin/sh", "-euc", line]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_release_is_checked_as_the_page_says(download: Path) -> None:
    """Signature, checksums and bill of materials, as they stand on the page."""
    for command, printed in commands("Check what you have") + commands("Find a package in it"):
        done = type_in(command, download)
        assert (done.returncode, done.stdout) == (0, printed), done.stderr
    listed = set(re.findall(r"^\| `([\w.-]+)` \|", PAGE, re.MULTILINE))
    assert listed == {each.name for each in download.iterdir()} - {"allowed_signers"}


def test_others_who_build_the_commit_get_the_same(download: Path) -> None:
    """From a clone, with the tools that this checkout has."""
    here = {
        "https://git.example.com/watchword": str(ROOT),
        "source/scripts/release-check": f"PYTHONPATH=source {sys.executable} -m"
        " scripts.release_files",
    }
    for command, printed in commands("Build it yourself"):
        line = f"commit={COMMIT}; {command}"  # each line has a shell of its own
        for there, ours in here.items():
            line = line.replace(there, ours)
        done = type_in(line, download)
        assert (done.returncode, done.stdout) == (0, printed), done.stderr
    assert (download / "built").read_text() == (download / "mine" / "SHA256SUMS").read_text()


@pytest.mark.parametrize("changed", ["SHA256SUMS", "provenance.json"])
def test_what_was_changed_is_noticed(download: Path, changed: str) -> None:
    """The sums by their signature, everything else by the sums."""
    with (download / changed).open("a") as file:
        file.write("0" * 64 + "  another\n")
    (signature, _), (sums, _) = commands("Check what you have")
    verified = type_in(signature.split(" | ")[0], download).returncode == 0
    assert verified is (changed != "SHA256SUMS")
    assert type_in(sums, download).returncode != 0


def test_another_key_does_not_count(download: Path, tmp_path: Path) -> None:
    """A signature of a key that is not among those allowed is refused."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    sign(download / "SHA256SUMS", other)
    (signature, _), _ = commands("Check what you have")
    assert type_in(signature.split(" | ")[0], download).returncode != 0


def test_no_key_is_made(download: Path, tmp_path: Path) -> None:
    """One that is not there, or is none, is told, and nothing is signed."""
    with pytest.raises(Refused, match="there is no such key, and none is made"):
        make(tmp_path / "out", MACHINE, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "out").exists()
    (tmp_path / "broken").write_text("no key")
    with pytest.raises(Refused, match="broken: "):
        sign(download / "SHA256SUMS", tmp_path / "broken")
    assert not (download / "SHA256SUMS.sig").exists()


def test_the_provenance_says_what_was_made_of_what(release: Path) -> None:
    """Each file with its digest, the commit and the locks."""
    statement = json.loads((release / "provenance.json").read_text())
    sums = dict(
        reversed(line.split()) for line in (release / "SHA256SUMS").read_text().splitlines()
    )
    made = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    assert made == {name: digest for name, digest in sums.items() if name != "provenance.json"}
    built = statement["predicate"]["buildDefinition"]
    assert built["externalParameters"] == {"commit": COMMIT}
    source, *locks = built["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": COMMIT}
    for lock in locks:
        assert lock["digest"]["sha256"] == sha256((ROOT / lock["name"]).read_bytes()).hexdigest()


def test_the_bill_of_materials_is_that_of_the_lock(release: Path) -> None:
    """Every package that an install needs, none that it does not, and what needs which."""
    bills = {
        name: json.loads((release / f"watchword-{name}.cdx.json").read_text()) for name in INSTALLS
    }
    names = {name: {each["name"] for each in bill["components"]} for name, bill in bills.items()}
    assert {"httpx", "pyjwt", "cffi"} < names["light"] < names["server"]
    assert {"starlette", "asyncpg"} <= names["server"] - names["light"]
    assert not names["server"] & {"hatchling", "editables", "pytest"}
    needed = {each["ref"]: each["dependsOn"] for each in bills["light"]["dependencies"]}
    (root,) = (each for each in needed if each.startswith("pkg:pypi/watchword@"))
    assert {each.partition("@")[0] for each in needed[root]} == {
        f"pkg:pypi/{name}" for name in ("anyio", "cryptography", "httpx", "pyjwt")
    }


def test_what_needs_which_is_read_from_the_lock() -> None:
    """Extras and markers are no part of a name; what only a checkout needs is left out."""
    entries, needs = read_lock(LOCK)
    assert [*entries] == ["apple", "pear", "stone", "wood"]
    assert entries["pear"].startswith("pear[seed]==2.0")
    assert needs == {"apple": {"pear", "stone"}, "pear": {"stone"}, "stone": set(), "wood": set()}
    assert select(needs, ["pear"]) == {"pear", "stone"}


def test_the_source_holds_what_the_wheel_holds(release: Path) -> None:
    """File by file, and the same wheel was built from it."""
    [wheel], [sdist] = release.glob("*.whl"), release.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        source = {name.partition("/")[2] for name in packed.getnames()}
    product = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert product <= source
    others = {name for name in source if "/" not in name}
    assert others == {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"} | (
        {".gitignore"} & others
    )


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    """What was there would be taken for part of the release."""
    (tmp_path / "left").touch()
    with pytest.raises(Refused, match="is not empty"):
        make(tmp_path, MACHINE, None)
    assert [each.name for each in tmp_path.iterdir()] == ["left"]
