"""Every command in an interpreter of its own, which imports by itself what the command needs.

Elsewhere commands are forked from one that has imported everything (`tests.support.forked`).
"""

import json
from pathlib import Path

import pytest

from tests.e2e.test_cli_help import COMMANDS
from tests.support.provider import Place, make_place, running

BEFORE_SERVING = [
    "db upgrade",
    "db status",
    "keys generate",
    "keys list",
    "keys export",
    "keys generate --json",
    "keys delete {kid} --yes",
    "keys generate --json",
    "keys revoke {kid} --yes",
    "keys rotate",
    "keys move --to database",
    "keys move --to files",
    "keys passphrase --remove",
    "resources create urn:a --scope b --scope c",
    "resources list",
    "resources show urn:a",
    "resources update urn:a --remove-scope c",
    "resources delete urn:a --yes",
    "clients create till --scope read --scope write --json",
    "clients list",
    "clients show till",
    "clients update till --name Kasse",
    "clients disable till",
    "token revoke --client till --yes",
    "clients enable till",
    "clients secrets add till",
    "clients secrets list till",
    "clients secrets revoke till {secret_id}",
    "clients delete till --yes",
    "registration-tokens create --resource {issuer} --scope read --json",
    "registration-tokens list",
    "registration-tokens revoke {token_id}",
    "audit list",
    "usage",
    "apply registry.toml",
    "export",
    "db backup all.backup",
    "db restore all.backup --force",
    "db set-issuer {issuer} --yes",
    "clients create demo --scope read --scope write --json",
]
WHILE_SERVING = [
    "scenario",
    "token get --json",
    "token inspect {access_token}",
    "token explain {access_token}",
    "doctor",
    "console --no-open",
]


def test_every_command_finds_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is run once, the server as well; what they do is tested, and measured, elsewhere."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    lines = [*BEFORE_SERVING, *WHILE_SERVING, "serve", "mock"]  # `test_cli_mock` starts the last
    for command in map(" ".join, COMMANDS):
        assert any(line.startswith(command) for line in lines), command
    place = make_place(tmp_path, WATCHWORD_KEY_PASSPHRASE="correct horse", WATCHWORD_CONSOLE="on")
    (tmp_path / "registry.toml").write_text('[[clients]]\nclient_id = "filed"\n')
    known = {"issuer": place.url}
    for line in BEFORE_SERVING:
        run_cold(place, line, known)
    place.settings["CLIENT_ID"] = "demo"
    place.settings["CLIENT_SECRET"] = known["client_secret"]
    with running(place, cold=True):
        for line in WHILE_SERVING:
            run_cold(place, line, known)


def run_cold(place: Place, line: str, known: dict[str, str]) -> None:
    """Run a command that must succeed, and remember what it made."""
    done = place.run(*line.format(**known).split(), cold=True)
    assert done.returncode == 0, (line, done.stderr)
    if line.endswith("--json"):
        known |= json.loads(done.stdout)
