"""`scripts/audit`: what is depended on, and what the audit says where it cannot tell."""

import json
import tomllib
from email.message import Message
from types import SimpleNamespace

import pytest

from scripts import dependency_audit as audit

HASH = "    --hash=sha256:" + "0" * 64
PIN = f"httpx==0.28.1 \\\n{HASH}\n"


def project():
    """Read what pyproject.toml has of the project."""
    return tomllib.loads((audit.ROOT / "pyproject.toml").read_text())["project"]


def test_what_is_depended_on_holds():
    """Hashes, one version of each package, licences, and a reason for each: without a network."""
    locks = {
        name: (audit.ROOT / "requirements" / f"{name}.lock").read_text() for name in audit.LOCKS
    }
    assert list(audit.check_locks(locks)) == []
    packages = audit.run_time_packages(project())
    assert {"cryptography", "cffi", "starlette", "asn1crypto", "botocore"} <= set(packages)
    assert list(audit.check_licences(packages)) == []
    page = (audit.ROOT / audit.REASONS).read_text()
    assert list(audit.check_reasons(project(), page)) == []


@pytest.mark.parametrize(
    ("server", "dev", "told"),
    [
        (PIN, PIN, None),
        (f"{PIN}    # via watchword\n", PIN, None),
        ("httpx==0.28.1 ; sys_platform == 'linux' \\\n" + HASH + "\n", PIN, None),
        ("httpx==0.28.1\n", PIN, "server.lock: httpx has no hash"),
        (PIN, PIN + f"h11==1 \\\n{HASH}\nh11==2\n", "dev.lock: h11 has no hash"),
        (PIN.replace("sha256", "md5"), PIN, "server.lock: httpx has no hash"),
        (PIN, PIN + "h11>=1\n", "dev.lock: h11>=1 is not pinned to a version"),
        (
            PIN,
            PIN.replace("0.28.1", "0.28.0"),
            "server.lock: httpx has another version in dev.lock",
        ),
        (PIN, "", "server.lock: httpx has another version in dev.lock"),
        (PIN, PIN + f"Python_Jose==3.3 \\\n{HASH}\n", "dev.lock: python-jose is not maintained"),
    ],
)
def test_a_lock_file_pins_versions_and_hashes(server, dev, told):
    """Each package by itself, whatever its name is written like."""
    found = list(audit.check_locks({"server": server, "dev": dev}))
    assert (found == []) if told is None else (len(found) == 1 and found[0].startswith(told))


@pytest.mark.parametrize(
    ("fields", "licence", "allowed"),
    [
        ({"License-Expression": "MIT"}, "MIT", True),
        ({"License-Expression": "GPL-3.0-only OR MIT"}, "GPL-3.0-only OR MIT", True),
        ({"License-Expression": "MIT AND GPL-3.0-only"}, "MIT AND GPL-3.0-only", False),
        ({"License-Expression": "AGPL-3.0-or-later"}, "AGPL-3.0-or-later", False),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT", True),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause", True),
        ({"License": "see LICENSE"}, "see LICENSE", False),
        ({}, "", False),
    ],
)
def test_a_licence_is_one_that_is_allowed(fields, licence, allowed):
    """SPDX expressions, and what older packages say instead; nothing is no licence."""
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert audit.licence_of(SimpleNamespace(metadata=metadata)) == licence
    assert audit.is_allowed(licence) == allowed


def test_each_requirement_has_a_reason_and_each_reason_a_requirement():
    """Both ways round."""
    wanted = {"dependencies": ["anyio>=4"], "optional-dependencies": {"redis": ["redis>=6"]}}
    page = "| package | why |\n| --- | --- |\n| anyio, redis | one wait |\n"
    assert list(audit.check_reasons(wanted, page)) == []
    found = list(audit.check_reasons(wanted, page.replace("redis", "valkey")))
    assert found[0] == "redis is required, and docs/decisions/0006-dependencies.md does not say why"
    assert found[1] == "docs/decisions/0006-dependencies.md has valkey, which is not required"


def report(*packages):
    """Write a report as pip-audit does."""
    return json.dumps({"dependencies": list(packages), "fixes": []})


CLEAN = {"name": "httpx", "version": "0.28.1", "vulns": []}
VULNERABLE = CLEAN | {"vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["0.28.2"]}]}
SKIPPED = {
    "name": "h11",
    "skip_reason": "Dependency not found on PyPI and could not be audited: h11",
}


@pytest.mark.parametrize(
    ("given", "code", "line"),
    [
        (report(CLEAN), 0, "no known vulnerability in 1 pins"),
        (report(CLEAN, VULNERABLE), 1, "1 known vulnerabilities, listed above"),
        (report(VULNERABLE, SKIPPED), 1, "1 known vulnerabilities, listed above"),
        (
            report(CLEAN, SKIPPED),
            3,
            "1 of 2 pins could not be audited (Dependency not found on PyPI)",
        ),
        (report(), 3, "0 of 0 pins could not be audited (none listed)"),
        ("", 3, "1 of 1 pins could not be audited (pip-audit gave no report)"),
        ("{}", 3, "1 of 1 pins could not be audited (pip-audit gave no report)"),
        ("[]", 3, "1 of 1 pins could not be audited (pip-audit gave no report)"),
        (report({"name": "x"}), 3, "1 of 1 pins could not be audited (pip-audit gave no report)"),
    ],
)
def test_what_was_not_looked_up_is_never_clean(given, code, line):
    """pip-audit itself ends with 0 where it skipped every package."""
    result = audit.Vulnerabilities()
    result.take(given)
    assert result.verdict() == (code, line)
    assert all("0.28.2" in each and "PYSEC-2026-1" in each for each in result.found)


def test_an_advisory_service_out_of_reach_is_told_in_one_line(monkeypatch, capsys):
    """For each lock file, with an exit code of its own."""
    monkeypatch.setattr(audit, "look_up", lambda lock: report(SKIPPED))
    assert audit.main([]) == 3
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        f"audit: {lock}.lock: 1 of 1 pins could not be audited (Dependency not found on PyPI)"
        for lock in audit.LOCKS
    ]
    assert audit.main(["--offline"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(audit, "look_up", lambda lock: report(VULNERABLE))
    assert audit.main([]) == 1
    assert "httpx 0.28.1: PYSEC-2026-1, fixed in 0.28.2" in capsys.readouterr().err
