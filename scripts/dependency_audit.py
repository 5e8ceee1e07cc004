"""Audit what is depended on: known vulnerabilities, licences, hashes, and the reasons for each.

Vulnerabilities are looked up by pip-audit, over the network; `--offline` does the rest alone. Exit
codes: 0 nothing found, 1 something found, 3 not all could be audited, which never counts as clean.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("server", "dev")
REASONS = "docs/decisions/0006-dependencies.md"
NOT_AUDITED = 3

# Of packages that are loaded where Watchword runs. None asks that what uses the package be under it
# as well; MPL-2.0 asks for changes of its own files to be shown.
LICENCES = frozenset(
    ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0")
) | {"PSF-2.0"}
# What packages without an SPDX expression say.
_NAMED = {
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# By what is used instead. None of these is maintained, or not as what it is used for.
BARRED = {
    "aioredis": "redis",
    "ecdsa": "cryptography, in constant time",
    "jose": "pyjwt",
    "jwt": "pyjwt, which has the same module",
    "oauth2client": "consumer",
    "passlib": "hashlib",
    "pkg-resources": "importlib.metadata",
    "pycrypto": "cryptography",
    "pykcs11": "python-pkcs11",
    "python-jose": "pyjwt",
    "python-jwt": "pyjwt",
    "pytoml": "tomllib",
    "rsa": "cryptography, in constant time",
    "toml": "tomllib",
}


def pins_of(lock: str) -> dict[str, tuple[set[str], int]]:
    """Read a lock file: versions of each package, and how many hashes its last one has."""
    pins: dict[str, tuple[set[str], int]] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", block)
        if found is not None:
            name = canonicalize_name(found[1])
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))
            versions, fewest = pins.get(name, (set(), hashes))
            pins[name] = versions | {found[2]}, min(fewest, hashes)
        elif block.strip() and not block.lstrip().startswith(("#", "--")):
            pins[block.split()[0]] = set(), 0
    return pins


def check_locks(locks: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the lock files: each pin has hashes, and both have one version."""
    read = {name: pins_of(text) for name, text in locks.items()}
    for lock, pins in read.items():
        for name, (versions, hashes) in pins.items():
            if not versions:
                yield f"{lock}.lock: {name} is not pinned to a version"
            elif not hashes:
                yield f"{lock}.lock: {name} has no hash"
            if name in BARRED:
                yield f"{lock}.lock: {name} is not maintained; use {BARRED[name]}"
    for name, (versions, _) in read["server"].items():
        if not versions <= read["dev"].get(name, (set(), 0))[0]:
            yield f"server.lock: {name} has another version in dev.lock"


def licence_of(package: Distribution) -> str:
    """Return what a package says of its licence: an SPDX expression, or as near as can be told."""
    metadata: Any = package.metadata  # an `email.message.Message`
    if expression := metadata.get("License-Expression"):
        return str(expression)
    prefix = "License :: OSI Approved :: "
    named = [
        each.removeprefix(prefix)
        for each in metadata.get_all("Classifier") or []
        if each.startswith(prefix)
    ]
    named = named or [str(metadata.get("License") or "").strip()]
    return " AND ".join(_NAMED.get(each, each) for each in named)


def is_allowed(expression: str) -> bool:
    """Tell whether a licence is one of `LICENCES`, or of some there is a choice of."""
    return all(
        any(each.strip(" ()") in LICENCES for each in term.split(" OR "))
        for term in re.split(r" AND ", expression)
    )


def check_licences(names: Iterable[str]) -> Iterator[str]:
    """Yield packages that may not be in use where Watchword runs."""
    for name in names:
        licence = licence_of(distribution(name))
        if not is_allowed(licence):
            yield f"{name}: its licence, {licence or 'not stated'}, is none that {REASONS} allows"


def run_time_packages(project: Mapping[str, Any]) -> list[str]:
    """List every package of a complete installation here, with those that others bring."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(each) for part in declared(project).values() for each in part]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = wanted.extras | {""}
        if extras <= found.get(name, set()):
            continue
        found[name] = found.get(name, set()) | extras
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            raise SystemExit(
                f"audit: {name} is not installed; run scripts/environment dev"
            ) from None
        for each in map(Requirement, requires):
            if each.marker is None or any(each.marker.evaluate({"extra": on}) for on in extras):
                waiting.append(each)
    return sorted(found)


def declared(project: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the requirements in pyproject.toml, by extra; those of the light install by ``""``."""
    return {"": project["dependencies"], **project["optional-dependencies"]}


def check_reasons(project: Mapping[str, Any], page: str) -> Iterator[str]:
    """Yield what either the page of dependencies or pyproject.toml has, and the other has not."""
    rows = re.findall(r"^\| ([a-z][a-z0-9, -]*) \| \S", page, flags=re.MULTILINE)
    reasoned = {each.strip() for row in rows for each in row.split(",")} - {"package"}
    # The one extra that is told in a sentence.
    reasoned |= {"httpx2"} if "The `httpx2` extra" in page else set()
    wanted = {Requirement(each).name for part in declared(project).values() for each in part}
    for name in sorted(wanted - reasoned):
        yield f"{name} is required, and {REASONS} does not say why"
    for name in sorted(reasoned - wanted):
        yield f"{REASONS} has {name}, which is not required"


@dataclass(slots=True)
class Vulnerabilities:
    """What pip-audit found in a lock file."""

    found: list[str] = field(default_factory=list)
    audited: int = 0
    skipped: list[str] = field(default_factory=list)
    """Why packages were not audited, one each."""

    def take(self, report: str) -> None:
        """Read a report of pip-audit in JSON; one that is none counts as a package not audited."""
        try:
            for each in json.loads(report)["dependencies"]:
                if "skip_reason" in each:
                    self.skipped.append(each["skip_reason"])
                    continue
                vulnerabilities = each["vulns"]
                self.audited += 1
                for one in vulnerabilities:
                    fixed = ", ".join(one["fix_versions"]) or "none yet"
                    self.found.append(
                        f"{each['name']} {each['version']}: {one['id']}, fixed in {fixed}"
                    )
        except (ValueError, KeyError, TypeError):
            self.skipped.append("pip-audit gave no report")

    def verdict(self) -> tuple[int, str]:
        """Return the exit code and the one line that says so."""
        if self.found:
            return 1, f"{len(self.found)} known vulnerabilities, listed above"
        if self.skipped or not self.audited:
            count = len(self.skipped) + self.audited
            why = self.skipped[0].partition(" and could not")[0] if self.skipped else "none listed"
            return NOT_AUDITED, f"{len(self.skipped)} of {count} pins could not be audited ({why})"
        return 0, f"no known vulnerability in {self.audited} pins"


def look_up(lock: str) -> str:
    """Have pip-audit look up what a lock file pins; return its report."""
    program = Path(sys.executable).with_name("pip-audit")
    command: list[str | Path] = [
        program,
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner",
        "off",
    ]
    requirements = ROOT / "requirements" / f"{lock}.lock"
    done = subprocess.run(
        [*command, "--format", "json", "--requirement", requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="without the known vulnerabilities")
    options = parser.parse_args(arguments)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locks = {name: (ROOT / "requirements" / f"{name}.lock").read_text() for name in LOCKS}
    packages = run_time_packages(project)
    breaches = [
        *check_locks(locks),
        *check_licences(packages),
        *check_reasons(project, (ROOT / REASONS).read_text()),
    ]
    for line in breaches:
        print(f"audit: {line}", file=sys.stderr)
    if not breaches:
        print(f"audit: hashes, licences and reasons of {len(packages)} packages hold")
    codes = {1} if breaches else set()
    for lock in () if options.offline else LOCKS:
        result = Vulnerabilities()
        result.take(look_up(lock))
        code, line = result.verdict()
        for each in result.found:
            print(f"audit: {lock}.lock: {each}", file=sys.stderr)
        print(f"audit: {lock}.lock: {line}", file=sys.stderr if code else sys.stdout)
        codes.add(code)
    return 1 if 1 in codes else max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
