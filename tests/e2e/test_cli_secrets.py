"""`watchword clients secrets`: one secret takes over from another without a gap."""

import json

import pytest

from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document
from tests.support.provider import eventually, make_place, running


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def test_a_secret_is_rotated_while_the_provider_runs(tmp_path):
    """Both work until the old one is revoked, which needs no restart (RFC 6749 §2.3.1)."""
    place = make_place(tmp_path)
    place.add_key()
    old = place.json("clients", "create", "till", "--all-scopes")
    with running(place):
        new = place.json("clients", "secrets", "add", "till", "--expires-in", "3600")
        client = {"client_id": "till", "client_secret": new["client_secret"]}
        assert (place.ask(old).status_code, place.ask(client).status_code) == (200, 200)
        assert place.run("clients", "secrets", "revoke", "till", old["secret_id"]).returncode == 0
        assert eventually(lambda: place.ask(old).status_code == 401)
        assert place.ask(client).status_code == 200
    (left,) = place.json("clients", "secrets", "list", "till")["secrets"]
    assert left["secret_id"] == new["secret_id"]
    assert left["last_used_at"]  # written at the latest when the provider stops


def test_a_secret_is_shown_once_with_its_times(run):
    """The operator has to note it; the list has no secret."""
    run("clients", "create", "till")
    added = run("clients", "secrets", "add", "till", "--expires-in", "60", "--json")
    secret = document(added)["client_secret"]
    assert secret not in added.stderr
    listed = run("clients", "secrets", "list", "till", "--json")
    assert [set(each) for each in document(listed)["secrets"]] == [
        {"secret_id", "created_at", "starts_at", "expires_at", "last_used_at"}
    ] * 2
    assert secret not in listed.stdout
    shown = run("clients", "secrets", "add", "till")
    assert "not shown again" in shown.stderr


def test_a_secret_can_be_brought_along_and_can_wait(run):
    """It is read from standard input, never echoed, and pending until its time."""
    run("clients", "create", "till")
    secret = "k" * 40
    added = run(
        *("clients", "secrets", "add", "till", "--secret-stdin", "--starts-in", "600", "--json"),
        stdin=secret + "\n",
    )
    assert "client_secret" not in document(added)
    assert secret not in added.stderr
    assert "pending" in run("clients", "secrets", "list", "till").stdout


def test_revoking_the_last_live_secret_warns(run):
    """The client is locked out; a pending secret does not help it yet."""
    first = document(run("clients", "create", "till", "--json"))["secret_id"]
    second = document(run("clients", "secrets", "add", "till", "--json"))["secret_id"]
    run("clients", "secrets", "add", "till", "--starts-in", "600")
    assert "warning" not in run("clients", "secrets", "revoke", "till", first).stderr
    done = run("clients", "secrets", "revoke", "till", second)
    assert "warning: till has no live secret left" in done.stderr
    assert done.returncode == 0


def test_a_client_of_keys_has_no_secrets(run):
    """There is nothing to list, and nothing can be added."""
    keys = ("--auth", "private_key_jwt", "--jwks-uri", "https://a.example/jwks")
    assert run("clients", "create", "till", *keys).returncode == 0
    assert document(run("clients", "secrets", "list", "till", "--json")) == {"secrets": []}
    assert "till has no secret" in run("clients", "secrets", "list", "till").stderr
    assert "which has no secret" in refused(run("clients", "secrets", "add", "till"), code=2)


def test_a_client_has_a_bounded_number_of_secrets(run):
    """Each live one costs every request of the client a hash."""
    run("clients", "create", "till")
    for _ in range(9):
        assert run("clients", "secrets", "add", "till").returncode == 0
    assert "10 secrets already; revoke one first" in refused(
        run("clients", "secrets", "add", "till")
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "till", "--expires-in", "0"], "--expires-in: must be 1 or more: a whole number"),
        (["add", "till", "--expires-in", "99999999999999"], "--expires-in: "),
        (["add", "till", "--starts-in", "soon"], "--starts-in: must be 1 or more: a whole number"),
        (["add", "till", "--starts-in", "9", "--expires-in", "9"], "less than --expires-in"),
        (["add", "till", "--secret-stdin"], "--secret-stdin: a secret is 8 to 512"),
        (["add", "no good"], "ID: a client id"),
        (["revoke", "till"], "Missing argument"),
        (["add", "till", "my-own-secret"], "argument"),
    ],
)
def test_what_can_never_be_is_wrong_usage(run, arguments, words):
    """Exit code 2, one line why."""
    run("clients", "create", "till")
    assert words in refused(run("clients", "secrets", *arguments), code=2)


def test_a_secret_that_is_taken_for_its_id_is_not_repeated(run):
    """The line may end up in a log."""
    secret = document(run("clients", "create", "till", "--json"))["client_secret"]
    told = refused(run("clients", "secrets", "revoke", "till", secret), code=2)
    assert secret not in told
    assert "SECRET_ID" in told


def test_the_log_of_an_added_secret_names_it_by_its_id(run):
    """`secret.added` and `secret.revoked`, never what the secret is."""
    run("clients", "create", "till")
    added = run("clients", "secrets", "add", "till", "--json")
    (event,) = [json.loads(line) for line in added.stderr.splitlines()]
    assert (event["event"], event["secret_id"]) == ("secret.added", document(added)["secret_id"])
