"""`watchword audit`: who changed what, before and after."""

import os
import pwd

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def test_every_change_names_the_user_of_the_machine(run, monkeypatch):
    """By what the system says: the user can set the environment at will."""
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    secret = document(run("clients", "create", "till", "--json"))["client_secret"]
    listed = run("audit", "list", "--target", "till", "--json")
    entries = document(listed)["entries"]
    assert [each["action"] for each in entries] == ["secret.added", "client.created"]
    me = pwd.getpwuid(os.getuid()).pw_name
    assert {(each["actor"], each["via"]) for each in entries} == {(me, "cli")}
    assert secret not in listed.stdout


def test_a_user_without_a_name_is_named_by_his_number(run, monkeypatch):
    """As containers often have it."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    run("clients", "create", "till")
    (entry, _) = document(run("audit", "list", "--target", "till", "--json"))["entries"]
    assert entry["actor"] == f"uid {os.getuid()}"


def test_people_read_what_became_what(run):
    """Only what changed, a line each."""
    run("clients", "create", "till", "--all-scopes", "--name", "Kasse", "--metadata", "team=shop")
    run("clients", "update", "till", "--remove-scope", "write", "--token-ttl", "60")
    run("clients", "update", "till", "--unset", "name", "--token-ttl", "90", "--dpop")
    shown = run("audit", "list", "--target", "till").stdout
    latest, before, *_ = shown.split("Z  #")[1:]
    assert "client.updated  till  by" in latest
    assert "    - client_name: Kasse\n    ~ token_ttl: 60 -> 90\n" in latest
    assert "    + dpop_bound_access_tokens: yes\n" in latest
    assert f"    ~ scope on {ISSUER}: read write -> read\n    + token_ttl: 60\n" in before
    assert "    + metadata.team: shop\n" in shown


def test_the_trail_is_read_from_its_end_and_can_be_followed_back(run, monkeypatch):
    """So many entries at a time; what comes out says where the older ones are."""
    monkeypatch.setattr("issuer.administration.operations._PAGE", 2)
    for name in "abc":
        run("clients", "create", name)
    latest = document(run("audit", "list", "--limit", "3", "--json"))
    assert [each["target"] for each in latest["entries"]] == ["c", "c", "b"]
    older = document(run("audit", "list", "--before", latest["next"], "--json"))
    assert [each["number"] for each in older["entries"]] == [5, 4, 3, 2, 1]
    assert "next" not in older
    assert f"--before {latest['next']}" in run("audit", "list", "--limit", "3").stderr


def test_nothing_to_read_is_no_failure(run):
    """A target that never was has no entries."""
    assert document(run("audit", "list", "--target", "x", "--json")) == {"entries": []}
    assert "no entry" in run("audit", "list", "--target", "x").stderr


@pytest.mark.parametrize("option", ["--limit", "--before"])
def test_numbers_are_checked(run, option):
    """Exit code 2, one line why."""
    assert f"{option}: must be a whole number" in refused(run("audit", "list", option, "x"), code=2)


def test_what_a_terminal_would_act_upon_is_escaped(run, tmp_path):
    """Notes of a client are free text."""
    (tmp_path / "notes.json").write_text(r'{"note": "a\u001b]0;x\nb"}')
    run("clients", "create", "till", "--metadata-json", "notes.json")
    shown = run("audit", "list", "--target", "till").stdout
    assert r"+ metadata.note: a\x1b]0;x\nb" in shown
    assert "\x1b" not in shown
