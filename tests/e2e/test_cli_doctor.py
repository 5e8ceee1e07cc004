"""`watchword doctor`: what it finds in real installations."""

import json

import pytest

from tests.support.cli import run_in_empty_folder
from tests.support.provider import make_place, running


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def findings(done):
    """Return what was found, by check: pairs of what is so and what mends it."""
    document = json.loads(done.stdout)
    assert document["ok"] == (document["findings"] == [])
    assert done.returncode == (0 if document["ok"] else 1)
    found = {}
    for each in document["findings"]:
        found.setdefault(each["check"], []).append((each["found"], each["remedy"]))
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a provider with a key."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    with running(place):
        yield place


def test_a_sound_installation_has_no_findings_but_the_limits_of_its_process(served):
    """Whatever they are where the tests run."""
    assert findings(served.run("doctor", "--json")).keys() <= {"limits"}


def test_what_is_wrong_is_found_with_its_remedy(run, tmp_path, monkeypatch):
    """Nothing is there yet; then what is there can be read by others, and no server answers."""
    monkeypatch.setenv("WATCHWORD_ISSUER", "http://127.0.0.1:9")
    found = findings(run("doctor", "--json"))
    assert {"folders", "database", "keys", "issuer"} <= found.keys()
    assert "watchword keys generate" in found["keys"][0][1]
    run("keys", "generate")
    run("clients", "create", "till")
    (tmp_path / "watchword-data" / "registry.db").chmod(0o644)
    found = findings(run("doctor", "--json"))
    assert found.keys() - {"limits"} == {"folders", "database", "issuer"}
    ((_, remedy),) = found["folders"]
    assert remedy == f"chmod 0600 {tmp_path}/watchword-data/registry.db"
    shown = run("doctor")
    assert shown.returncode == 1
    assert "chmod 0600" in shown.stdout


def test_keys_that_the_passphrase_does_not_open_are_found(run, monkeypatch):
    """Their setting is named."""
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "right")
    run("keys", "generate")
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", "wrong")
    ((_, remedy),) = findings(run("doctor", "--json"))["keys"]
    assert "WATCHWORD_KEY_PASSPHRASE" in remedy


def test_another_installation_at_the_issuers_url_is_found(served, run, monkeypatch):
    """It answers as that issuer, with other keys."""
    monkeypatch.setenv("WATCHWORD_ISSUER", served.url)
    run("keys", "generate")
    missing, strange = findings(run("doctor", "--json"))["issuer"]
    assert "does not publish" in missing[0]
    assert "this key store lacks" in strange[0]


def test_settings_that_cannot_be_are_findings_too(run, monkeypatch):
    """All of them; nothing else can be looked at then."""
    monkeypatch.setenv("WATCHWORD_TOKEN_TTL", "soon")
    monkeypatch.setenv("WATCHWORD_PORT", "x")
    assert findings(run("doctor", "--json")).keys() == {"settings"}
    assert len(findings(run("doctor", "--json"))["settings"]) == 2
