"""`watchword doctor`: what it finds in real installations."""

import json

import pytest

from tests.support.cli import run_in_empty_folder
from tests.support.provider import eventually, make_place, running
from watchword.ambient import wall_clock


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


def keys_of(place):
    """Return the keys that are told beside the findings."""
    return json.loads(place.run("doctor", "--json").stdout)["keys"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a provider with a key."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    with running(place):
        yield place


def test_a_sound_installation_has_no_findings_and_shows_what_its_keys_do_next(served):
    """Whatever the limits of the process are where the tests run."""
    assert eventually(lambda: findings(served.run("doctor", "--json")) == {})
    assert eventually(lambda: len(keys_of(served)) == 2)
    signing, successor = keys_of(served)
    assert (signing["state"], successor["state"]) == ("active", "pending")
    said = served.run("doctor").stderr
    assert "Nothing was found" in said
    assert f"Key {signing['kid']} is active, superseded when rotated." in said
    assert f"Key {successor['kid']} is pending, signs when rotated." in said


def test_a_key_whose_time_is_up_without_a_successor_is_found(run, monkeypatch):
    """The server, which would have made one, has not run."""
    run("keys", "generate")
    monkeypatch.setenv("WATCHWORD_ROTATE_EVERY", "90d")
    assert "keys" not in findings(run("doctor", "--json"))
    later = wall_clock() + 90 * 86_400
    monkeypatch.setattr("watchword.cli.doctor.wall_clock", lambda: later)
    ((found, remedy),) = findings(run("doctor", "--json"))["keys"]
    assert "has no successor" in found
    assert "watchword keys generate" in remedy


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
    assert found.keys() == {"folders", "database", "issuer"}
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
    assert "check WATCHWORD_KEY_PASSPHRASE" in remedy
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    ((found, remedy),) = findings(run("doctor", "--json"))["keys"]
    assert (found.endswith(" is encrypted"), remedy) == (True, "set WATCHWORD_KEY_PASSPHRASE")


def test_keys_that_cannot_be_read_are_found_with_the_remedy_of_their_own(run, tmp_path):
    """A passphrase mends neither the mode of a folder nor a damaged file."""
    run("keys", "generate")
    keys, told = tmp_path / "watchword-data" / "keys", "watchword-data/keys"
    keys.chmod(0o755)
    found = findings(run("doctor", "--json"))
    assert found["keys"] == [(f"key folder {told} is open to others", f"run: chmod 700 {told}")]
    keys.chmod(0o700)
    (file,) = keys.glob("*.pem")
    file.write_text("x")
    ((told, remedy),) = findings(run("doctor", "--json"))["keys"]
    assert file.name in told
    assert remedy == "restore it from a backup or remove it"


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
