"""Rotating, revoking and deleting keys by command: what is done, said, recorded and refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from keys.errors import KeyStoreError
from keys.lifecycle import plan_upkeep
from keys.stores.key_file import parse_key_file, replace_times
from keys.stores.store import KeyStore
from tests.support.cli import refused, run_in_empty_folder
from tests.support.keys import key_file, public_rsa_jwk, write_key_file
from watchword.ambient import wall_clock
from watchword.key_store import open_key_store
from watchword.provider.key_ring import ring_policy
from watchword.settings import load_settings

DAY = 86_400


@pytest.fixture
def run(tmp_path: Path, monkeypatch, capsys):
    """Run commands in an empty folder."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def folder(run, tmp_path: Path) -> Path:
    """Give a folder with a key that signs since a day, and its successor that is known."""
    now, place = wall_clock(), tmp_path / "watchword-data" / "keys"
    for n, times in enumerate(({"signs_from": now - DAY}, {"signs_from": None})):
        stored = parse_key_file(key_file(n), name="")
        ring_key = replace(stored.ring_key, published_at=now - DAY, **times)
        write_key_file(place, replace_times(key_file(n), stored, ring_key), n=n)
    place.parent.chmod(0o700)
    return place


SIGNING, PREPARED = (public_rsa_jwk(n).kid for n in range(2))


def states(run) -> dict[str, str]:
    """Return the states by kid, in the order in which the keys sign."""
    return {
        each["kid"]: each["state"]
        for each in json.loads(run("keys", "list", "--json").stdout)["keys"]
    }


def events(done) -> list[tuple[str, str]]:
    """Return the events that were logged."""
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return [(line["event"], line["kid"]) for line in lines]


def trail(run) -> list[tuple[str, str, str]]:
    """Return action, target and actor's interface of the entries about keys, the latest first."""
    entries = json.loads(run("audit", "list", "--json").stdout)["entries"]
    return [
        (each["action"], each["target"], each["via"])
        for each in entries
        if each["action"].startswith("key.")
    ]


def make_registry(run) -> None:
    """Make a registry, by its first change."""
    assert run("resources", "create", "https://api.example.com", "--scope", "read").returncode == 0


@pytest.mark.rfc("roll-1")
def test_a_rotation_hands_over_to_the_prepared_successor(run, folder: Path) -> None:
    """At once, for validators know it; another successor is prepared; a second one is refused."""
    done = run("keys", "rotate", "--json")

    keys = json.loads(done.stdout)["keys"]
    assert (keys[0]["kid"], keys[0]["state"]) == (PREPARED, "active")
    assert keys[1]["next"] == {"state": "active", "at": None}
    assert states(run) == {SIGNING: "retiring", PREPARED: "active", keys[1]["kid"]: "pending"}
    assert events(done) == [("key.scheduled", PREPARED), ("key.generated", keys[1]["kid"])]
    assert "took over at" in refused(run("keys", "rotate"))


def test_a_revoked_key_is_out_of_the_set_at_once(run, folder: Path) -> None:
    """The successor signs; the log and the trail have each change, with who made it."""
    make_registry(run)
    assert "nothing was changed" in run("keys", "revoke", SIGNING).stderr
    done = run("keys", "revoke", SIGNING, "--yes", "--json")

    found = states(run)
    (new,) = found.keys() - {SIGNING, PREPARED}
    assert found == {SIGNING: "revoked", PREPARED: "active", new: "pending"}
    published = json.loads(run("keys", "export").stdout)["keys"]
    assert {each["kid"] for each in published} == {PREPARED, new}
    assert events(done) == [
        ("key.scheduled", PREPARED),
        ("key.revoked", SIGNING),
        ("key.generated", new),
    ]
    assert trail(run) == [(*each, "cli") for each in reversed(events(done))]
    assert "is revoked already" in refused(run("keys", "revoke", SIGNING, "--yes"))


def test_a_pending_key_can_be_deleted_and_a_signing_one_cannot(run, folder: Path) -> None:
    """The line says what to do instead."""
    assert "is signing; run: watchword keys rotate" in refused(run("keys", "delete", SIGNING))
    done = run("keys", "delete", PREPARED, "--yes", "--json")

    assert json.loads(done.stdout) == {"kid": PREPARED, "deleted": True}
    assert states(run) == {SIGNING: "active"}
    assert not (folder / f"{PREPARED}.pem").exists()
    assert "no such key" in refused(run("keys", "delete", PREPARED, "--yes"))


@pytest.mark.parametrize("command", ["revoke", "delete"])
@pytest.mark.parametrize("kid", ["-h7xAbc", "--abc", "-", "--yes-is-no-option"])
def test_a_kid_may_begin_with_a_hyphen(run, folder: Path, command: str, kid: str) -> None:
    """Thumbprints do: such a one is looked up, and is no option."""
    assert refused(run("keys", command, kid)) == (
        "watchword: there is no such key; see: watchword keys list\n"
    )


def test_the_list_says_what_happens_next(run, folder: Path) -> None:
    """In words for people, as a state and a time for scripts."""
    shown = run("keys", "list").stdout
    assert "superseded when rotated" in shown
    assert "signs when rotated" in shown
    run("keys", "rotate")
    keys = json.loads(run("keys", "list", "--json").stdout)["keys"]

    assert keys[0]["next"] == {"state": "gone", "at": keys[0]["gone_at"]}
    assert (
        "gone in 24 h" in run("keys", "list").stdout or "gone in 1 d" in run("keys", "list").stdout
    )


def test_a_key_is_revoked_though_the_audit_trail_cannot_be_written(
    run, folder: Path, monkeypatch
) -> None:
    """The emergency comes first, and the command says what the trail lacks."""
    make_registry(run)
    monkeypatch.setenv("WATCHWORD_ISSUER", "https://another.example.com")
    done = run("keys", "revoke", SIGNING, "--yes")

    assert done.returncode == 0
    assert (
        "warning: the audit trail does not have what was done: the registry belongs" in done.stderr
    )
    assert ("key.revoked", SIGNING) in events(done)
    assert states(run)[SIGNING] == "revoked"


def test_a_private_key_is_exported_only_if_the_trail_can_say_so(
    run, folder: Path, monkeypatch
) -> None:
    """What is on standard output could be anywhere afterwards; a registry is made for it."""
    done = run("keys", "export", "--private", "--kid", SIGNING)
    assert done.stdout.startswith("-----BEGIN PRIVATE KEY-----")
    assert events(done) == [("key.exported", SIGNING)]
    assert trail(run) == [("key.exported", SIGNING, "cli")]
    monkeypatch.setenv("WATCHWORD_ISSUER", "https://another.example.com")
    assert "belongs to" in refused(run("keys", "export", "--private", "--kid", SIGNING), code=2)


def test_a_private_key_is_exported_into_a_trail_that_is_made_for_it(run, folder: Path) -> None:
    """A registry that was moved away, or is not there yet, is no way around the trail."""
    done = run("keys", "export", "--private", "--kid", SIGNING)
    assert done.stdout.startswith("-----BEGIN PRIVATE KEY-----")
    assert trail(run) == [("key.exported", SIGNING, "cli")]


def test_a_withdrawal_that_leaves_no_key_says_what_validators_do(
    run, folder: Path, monkeypatch
) -> None:
    """What keeps the keys can fail to make the next one; the withdrawal stands."""
    (folder / f"{PREPARED}.pem").unlink()

    class Away:
        kind = "pkcs11"

        def generate(self, alg: str, bits: int | None, name: str) -> None:
            raise KeyStoreError("the token is away")

    monkeypatch.setattr("watchword.key_store._open_holder", lambda *_: Away())
    done = run("keys", "revoke", SIGNING, "--yes")
    assert done.returncode == 0
    assert "no key is published now" in done.stderr
    assert "run: watchword keys generate" in done.stderr
    assert states(run) == {SIGNING: "revoked"}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"ROTATE_EVERY": "300"},
            "WATCHWORD_ROTATE_EVERY: keys cannot be rotated every 300 s: a key is published 360 s "
            "before it signs (jwks_max_age 300 + slack 60); the least is 1809",
        ),
        (
            {"MAX_TOKEN_TTL": "600"},
            "WATCHWORD_TOKEN_TTL: 3600 is longer than the longest life of any token, 600 "
            "(WATCHWORD_MAX_TOKEN_TTL)",
        ),
    ],
)
def test_settings_that_break_the_rule_are_refused(run, monkeypatch, settings, line) -> None:
    """With the arithmetic and the least value that works."""
    for name, value in settings.items():
        monkeypatch.setenv(f"WATCHWORD_{name}", value)
    done = run("keys", "list")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().removeprefix("watchword: ") == line


def test_a_term_dates_the_successor(run, folder: Path, monkeypatch) -> None:
    """What upkeep does in the provider, under the settings of the provider."""
    monkeypatch.setenv("WATCHWORD_ROTATE_EVERY", str(30 * DAY))
    settings = load_settings()
    store: KeyStore = open_key_store(settings)
    policy, now = ring_policy(settings), wall_clock()
    store.apply(lambda ring: plan_upkeep(ring, now, policy, ["RS256"]), now=now, policy=policy)

    # 30 days after the key began to sign, or some seconds less.
    assert re.search("superseded in (29|30) d", run("keys", "list").stdout)


def test_a_missing_choice_is_told_in_one_plain_line(run) -> None:
    """The message of the option parser has line ends and tabs."""
    line = refused(run("keys", "move"), code=2)

    assert "Missing option '--to'. Choose from: files, database" in line
    assert "\\" not in line
