"""Build the files of a release from a commit, and prove that anybody else gets the same.

The same commit gives the same bytes: everything is made from what is committed, times are that of
the commit, and nothing is drawn at random. `docs/how-to/verify-a-release.md` says how users check.
"""

import argparse
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.generated import ROOT
from scripts.release_cut import Refused, refuse_dirty

Graph = dict[str, set[str]]
PACKAGE: Final = r"([a-z0-9._-]+)(?:\[[^\]]+\])?"
PIN: Final = re.compile(rf"^{PACKAGE}==.*?(?=^[a-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
INSTALLS: Final = {"light": (), "server": ("server", "postgresql")}
"""The installs that have a bill of materials, and their extras."""
LOCK: Final = "requirements/server.lock"
SUMS: Final = "SHA256SUMS"
NAMESPACE: Final = "watchword-release"
"""What a signature is for: one that was made for something else does not count."""
BUILD_TYPE: Final = "urn:x-watchword:release-check:1"
MACHINE: Final = "urn:x-watchword:builder:machine-of-a-maintainer"


def build(commit: str, folder: Path) -> list[Path]:
    """Build wheel and sdist twice, in other folders and surroundings; the results must be equal.

    Args:
        commit: what to build.
        folder: where they go.

    Returns:
        sdist and wheel.

    Raises:
        Refused: the builds differ.
    """
    epoch = _git("log", "-1", "--format=%ct", commit).strip()
    results = []
    with tempfile.TemporaryDirectory() as work:
        for name, zone, umask, sources in (
            ("one", "UTC", 0o022, ()),  # the wheel from the sdist
            ("another", "Asia/Kathmandu", 0o077, ("--sdist", "--wheel")),  # both from the checkout
        ):
            source, out = Path(work, name, "source"), Path(work, name, "out")
            source.mkdir(parents=True)
            archive = subprocess.run(
                ["git", "archive", "--format=tar", commit],
                cwd=ROOT,
                check=True,
                capture_output=True,
            ).stdout
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                packed.extractall(source, filter="data")
            command = [sys.executable, "-m", "build", "--no-isolation", *sources]
            environment = {
                "PATH": os.environ["PATH"],
                "TZ": zone,
                "LC_ALL": "C.UTF-8" if sources else "C",
                "SOURCE_DATE_EPOCH": epoch,
            }
            subprocess.run(
                [*command, "--outdir", str(out), str(source)],
                check=True,
                capture_output=True,
                env=environment,
                umask=umask,
            )
            results.append({path.name: path.read_bytes() for path in out.iterdir()})
    if results[0] != results[1]:
        raise Refused(f"two builds of {commit} differ: {', '.join(results[0])}")
    for name, content in results[0].items():
        (folder / name).write_bytes(content)
    return [folder / name for name in sorted(results[0])]


def read_lock(lock: str) -> tuple[dict[str, str], Graph]:
    """Read a lock file.

    Args:
        lock: its text.

    Returns:
        The entry of each package, and what each package depends on.
    """
    entries = {found[1]: found[0] for found in PIN.finditer(lock)}
    needs: Graph = {name: set() for name in entries}
    for name, entry in entries.items():
        for parent in re.findall(rf"^    # +(?:via )?{PACKAGE}$", entry, re.MULTILINE):
            if parent in needs:
                needs[parent].add(name)
    return entries, needs


def select(needs: Graph, wanted: Iterable[str]) -> set[str]:
    """Give packages with all that they depend on.

    Args:
        needs: what each package depends on.
        wanted: the packages.
    """
    found: set[str] = set()
    rest = [*wanted]
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest += needs[name]
    return found


def list_materials(extras: tuple[str, ...], epoch: str) -> str:
    """Write the software bill of materials (CycloneDX) of an install at its locked versions.

    Args:
        extras: what is installed beside the light install.
        epoch: the time that it says, in seconds.

    Raises:
        Refused: it does not fit the schema.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    direct = {re.split(r"[^a-z0-9-]", each, maxsplit=1)[0] for each in wanted}
    entries, needs = read_lock((ROOT / LOCK).read_text(encoding="utf-8"))
    names = sorted(select(needs, direct))
    tool = str(Path(sys.executable).with_name("cyclonedx-py"))
    command = [tool, "requirements", "--output-reproducible", "--mc-type", "library"]
    made = subprocess.run(
        [*command, "--no-validate", "--pyproject", "pyproject.toml", "-"],
        input="".join(entries[name] for name in names),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        # The tool warns of the dependencies that it cannot know and that are put in below.
        env=os.environ | {"SOURCE_DATE_EPOCH": epoch, "PYTHONWARNINGS": "ignore::UserWarning"},
    ).stdout
    document = _connect(json.loads(made), {"": direct} | needs)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise Refused(f"the bill of materials does not fit its schema: {wrong.data}")
    return text


def _connect(document: dict[str, Any], needs: Graph) -> dict[str, Any]:
    """Refer to packages by their URLs instead of lines of the lock, and say what each needs."""
    root = document["metadata"]["component"]
    root["purl"] = f"pkg:pypi/{root['name']}@{root['version']}"
    for component in (root, *document["components"]):
        component["bom-ref"] = component["purl"]
        component.pop("description", None) if component is not root else None
    urls = {each["name"]: each["purl"] for each in document["components"]} | {"": root["purl"]}
    document["dependencies"] = [
        {"ref": url, "dependsOn": sorted(urls[each] for each in needs[name] if each in urls)}
        for name, url in urls.items()
    ]
    return document


def state_provenance(files: Iterable[Path], commit: str, builder: str) -> str:
    """Write what was built from what, as an in-toto statement with SLSA's predicate.

    Args:
        files: what was built.
        commit: what it was built from.
        builder: a URI that says where.
    """
    locks = ("requirements/dev.lock", LOCK)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": each.name, "digest": _digest(each)} for each in files],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"commit": commit},
                "internalParameters": {
                    "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct", commit).strip(),
                    "python": platform.python_version(),
                },
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *({"name": lock, "digest": _digest(ROOT / lock)} for lock in locks),
                ],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    }
    return json.dumps(statement, indent=2) + "\n"


def _digest(path: Path) -> dict[str, str]:
    return {"sha256": sha256(path.read_bytes()).hexdigest()}


def write_sums(folder: Path) -> Path:
    """Write the digests of all files of a release, as sha256sum reads them.

    Args:
        folder: where the files are.
    """
    files = sorted(each for each in folder.iterdir() if not each.name.startswith(SUMS))
    sums = folder / SUMS
    sums.write_text("".join(f"{_digest(each)['sha256']}  {each.name}\n" for each in files))
    return sums


def sign(sums: Path, key: Path) -> None:
    """Sign the digests with an SSH key, and verify the signature.

    Args:
        sums: the file of digests.
        key: the private key, or the public one of a private key that an agent holds.

    Raises:
        Refused: it does not sign.
    """
    sums.with_name(f"{SUMS}.sig").unlink(missing_ok=True)
    for command, given in (
        (["-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(sums)], None),
        (["-Y", "check-novalidate", "-n", NAMESPACE, "-s", f"{sums}.sig"], sums.read_bytes()),
    ):
        done = subprocess.run(["ssh-keygen", *command], input=given, capture_output=True)
        if done.returncode:
            raise Refused(f"{key}: {done.stderr.decode(errors='replace').strip()}")


def install(wheel: Path) -> None:
    """Install the wheel alone with none, each and all of the extras, and try what is installed.

    Args:
        wheel: the wheel.

    Raises:
        Refused: something does not work.
    """
    command = [sys.executable, "-m", "pytest", "-q", "tests/e2e/test_wheel.py"]
    environment = os.environ | {"RELEASE_WHEEL": str(wheel.resolve())}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise Refused("the wheel alone does not work")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(folder: Path, builder: str, key: Path | None) -> Path:
    """Make all files of a release.

    Args:
        folder: where they go; it must be new or empty.
        builder: a URI that says where they are built.
        key: what they are signed with, if so.

    Returns:
        The wheel.

    Raises:
        Refused: it cannot be done.
    """
    if key and not key.is_file():
        raise Refused(f"{key}: there is no such key, and none is made")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(f"{folder}: is not empty")
    commit = _git("rev-parse", "HEAD").strip()
    epoch = _git("log", "-1", "--format=%ct", commit).strip()
    built = build(commit, folder)
    for name, extras in INSTALLS.items():
        bill = folder / f"watchword-{name}.cdx.json"
        bill.write_text(list_materials(extras, epoch), encoding="utf-8")
        built.append(bill)
    provenance = folder / "provenance.json"
    provenance.write_text(state_provenance(built, commit, builder), encoding="utf-8")
    sums = write_sums(folder)
    if key:
        sign(sums, key)
    return next(each for each in built if each.suffix == ".whl")


def main() -> int:
    """Make a release as the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/release-check")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="an empty folder; dist")
    parser.add_argument("--key", type=Path, help="the SSH key that signs the checksums")
    parser.add_argument("--builder", default=MACHINE, help="a URI that says where this runs")
    parser.add_argument("--no-install", action="store_true", help="do not try the wheel")
    given = parser.parse_args()
    try:
        refuse_dirty(ROOT)
        wheel = make(given.out, given.builder, given.key)
        if not given.no_install:
            install(wheel)
    except Refused as refusal:
        print(f"release-check: {refusal}", file=sys.stderr)
        return 1
    print((given.out / SUMS).read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
