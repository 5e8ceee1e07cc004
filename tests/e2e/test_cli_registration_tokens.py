"""`watchword registration-tokens`: who may register clients by itself (RFC 7591 §3)."""

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def test_a_token_is_made_listed_and_revoked(run):
    """It is shown once; the list says what may still be registered with it."""
    issuer = ("--resource", ISSUER, "--all-scopes")
    limits = ("--token-ttl", "60", "--uses", "2", "--expires-in", "600")
    made = run("registration-tokens", "create", *issuer, *limits, "--json")
    token = document(made).pop("token")
    assert token not in made.stderr
    listed = run("registration-tokens", "list", "--json")
    assert token not in listed.stdout
    (entry,) = document(listed)["registration_tokens"]
    assert entry["grants"] == [{"resource": ISSUER, "scope": "read write"}]
    assert (entry["token_ttl"], entry["uses_left"]) == (60, 2)
    assert run("registration-tokens", "revoke", entry["token_id"]).returncode == 0
    assert document(run("registration-tokens", "list", "--json")) == {"registration_tokens": []}
    gone = refused(run("registration-tokens", "revoke", entry["token_id"]))
    assert f"no such registration token: {entry['token_id']}" in gone


def test_people_are_told_to_keep_it(run):
    """And an empty list says what to do."""
    assert "registration-tokens create" in run("registration-tokens", "list").stderr
    made = run("registration-tokens", "create", "--grant", f"{ISSUER} read")
    assert "wwr_" in made.stdout
    assert "not shown again" in made.stderr
    shown = run("registration-tokens", "list").stdout
    assert f"{ISSUER}: read" in shown
    assert "any number" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create"], "--grant: say what its clients may have"),
        (["create", "--grant", f"{ISSUER} read", "--uses", "0"], "--uses: must be at least 1"),
        (["create", "--grant", f"{ISSUER} read", "--uses", "1000001"], "--uses: "),
        (["create", "--grant", f"{ISSUER} read", "--expires-in", "0"], "--expires-in: "),
        (
            ["create", "--grant", f"{ISSUER} read", "--expires-at", "x"],
            "--expires-at: must be a time",
        ),
        (
            ["create", "--grant", f"{ISSUER} read", "--expires-at", "2020-01-01T00:00:00Z"],
            "the future",
        ),
        (["create", "--resource", ISSUER], "--resource: say what its clients may have there"),
        (["create", "--grant", f"{ISSUER} read", "--token-ttl", "0"], "--token-ttl: "),
        (["revoke", "wwr_0011223344556677_secret"], "TOKEN_ID: must be an id as the list shows it"),
    ],
)
def test_what_can_never_be_is_wrong_usage(run, arguments, words):
    """Exit code 2, one line; a token that is taken for its id is not repeated."""
    told = refused(run("registration-tokens", *arguments), code=2)
    assert words in told
    assert "_secret" not in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--resource", "https://no", "--all-scopes"], "no such resource: https://no"),
        (["create", "--resource", "x", "--all-scopes"], "no such resource: x"),
        (["create", "--grant", f"{ISSUER} fly"], f"no such scope on {ISSUER}: fly"),
        (["revoke", "0011223344556677"], "no such registration token"),
    ],
)
def test_what_is_not_so_now_is_refused(run, arguments, words):
    """Exit code 1, one line why."""
    assert words in refused(run("registration-tokens", *arguments))
