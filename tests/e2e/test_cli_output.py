"""How `watchword` shows the registry: tables, pages, logs, and a reader that goes away."""

import json
import os

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document, run_command, run_shell
from watchword.ambient import wall_clock


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def test_people_get_tables(run):
    """All columns if they are asked for; an empty list says what to do."""
    assert "clients create" in run("clients", "list").stderr
    run("clients", "create", "till", "--all-scopes", "--name", "Kasse", "--metadata", "team=shop")
    run("clients", "disable", "till")
    run("clients", "create", "old", "--expires-at", "2020-01-01T00:00:00Z")
    for word in ("till", "read write", ISSUER, "disabled", "expired"):
        assert word in run("clients", "list").stdout
    assert "Kasse" in run("clients", "list", "--wide").stdout
    shown = run("clients", "show", "till").stdout
    for word in ("till", f"{ISSUER}: read write", "team: shop", "until revoked", "live", "never"):
        assert word in shown


def test_a_client_whose_secrets_have_ended_is_not_plainly_enabled(run, monkeypatch):
    """Until it has a new one."""
    run("clients", "create", "till", "--secret-expires-in", "60")
    assert "secret expired" not in run("clients", "list").stdout
    monkeypatch.setattr("watchword.cli.registry.wall_clock", lambda: wall_clock() + 60)
    for command in (("list",), ("show", "till")):
        assert "enabled, secret expired" in run("clients", *command).stdout
    (listed,) = document(run("clients", "list", "--json"))["clients"]
    assert listed["state"] == "secret_expired"
    assert document(run("clients", "show", "till", "--json"))["state"] == "secret_expired"
    run("clients", "secrets", "add", "till")
    assert "secret expired" not in run("clients", "list").stdout


def test_what_a_terminal_would_act_upon_is_escaped(run, tmp_path):
    """Notes are free text, and may come from a client that registered itself."""
    (tmp_path / "notes.json").write_text(r'{"note": "\u001b[2Jgone\u202e"}')
    run("clients", "create", "till", "--metadata-json", "notes.json")
    shown = run("clients", "show", "till").stdout
    assert r"\x1b[2Jgone\u202e" in shown
    assert "\x1b" not in shown


def test_a_scope_is_never_a_picture(run):
    """The library that makes the tables knows `:key:` as an emoji."""
    url = "https://orders.example"
    run("resources", "create", url, "--scope", "orders:key:read")
    assert "orders:key:read" in run("resources", "list").stdout


def test_lists_are_fetched_by_pages_and_can_be_cut(run, monkeypatch):
    """All of them come, however many pages that takes; a cut list says where to go on."""
    monkeypatch.setattr("issuer.administration.operations._PAGE", 2)
    for name in "abcde":
        run("clients", "create", name)
    listed = document(run("clients", "list", "--json"))
    assert [each["client_id"] for each in listed["clients"]] == list("abcde")
    assert list(listed) == ["clients"]
    cut = document(run("clients", "list", "--limit", "3", "--json"))
    assert ([each["client_id"] for each in cut["clients"]], cut["next"]) == (list("abc"), "c")
    rest = document(run("clients", "list", "--after", "c", "--limit", "9", "--json"))
    assert ([each["client_id"] for each in rest["clients"]], "next" in rest) == (["d", "e"], False)
    shown = run("clients", "list", "--limit", "3")
    assert "--after c" in shown.stderr
    assert "--limit: " in refused(run("clients", "list", "--limit", "0"), code=2)


def test_changes_are_logged_where_no_person_is_watching(run, tmp_path):
    """One JSON line a change, with who did it; never a secret; nothing for what is only read."""
    created = run("clients", "create", "till", "--scope", "read", "--json")
    secret = document(created)["client_secret"]
    logged = [json.loads(line) for line in created.stderr.splitlines()]
    assert [each["event"] for each in logged] == ["client.created", "secret.added"]
    assert all(each["client_id"] == "till" and each["via"] == "cli" for each in logged)
    assert secret not in created.stderr
    assert run("clients", "list", "--json").stderr == ""
    disabled = run("clients", "disable", "till").stderr
    assert '"event":"client.disabled"' in disabled
    assert run("clients", "disable", "till").stderr.count("\n") == 1  # it was so already


def test_the_log_keeps_silent_on_a_terminal_unless_its_form_is_set(run, monkeypatch):
    """A person has the command's own words."""
    monkeypatch.setattr("watchword.cli.registry.sys.stderr.isatty", lambda: True, raising=False)
    assert "client.created" not in run("clients", "create", "till").stderr
    monkeypatch.setenv("WATCHWORD_LOG_FORMAT", "console")
    assert "client.created" in run("clients", "create", "other").stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written_is_a_failure(tmp_path):
    """A full disk does not pass for an empty list."""
    run_command(tmp_path, "clients", "create", "till")
    assert "no space left" in refused(run_shell(tmp_path, "watchword clients list > /dev/full"))


def test_a_reader_that_goes_away_is_no_accident(tmp_path):
    """`watchword clients list | head` ends without a word."""
    run_command(tmp_path, "clients", "create", "till")
    assert run_shell(tmp_path, "watchword clients list --json | true").stderr == ""


def test_an_interrupted_question_ends_with_130(run, monkeypatch):
    """Ctrl-C is no answer, and nothing is deleted."""

    def interrupt():
        raise KeyboardInterrupt

    run("clients", "create", "till")
    monkeypatch.setattr("watchword.cli.registry.read_line", interrupt)
    assert run("clients", "delete", "till").returncode == 130
    assert len(document(run("clients", "list", "--json"))["clients"]) == 1
