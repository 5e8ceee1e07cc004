"""Who uses what, what ends soon, and what was changed: lists with filters."""

import json
import re
import signal
import subprocess

import pytest
import yaml

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import clean_environment, document
from tests.support.forked import start_process

ORDERS = "https://orders.example"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in a folder with three clients."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    run("resources", "create", ORDERS, "--scope", "read", "--scope", "ship")
    run("clients", "create", "till", "--resource", ORDERS, "--all-scopes")
    run("clients", "create", "kiosk", "--scope", "read", "--secret-expires-in", "10d")
    run("clients", "create", "office", "--disabled")
    return run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--resource", ORDERS], ["till"]),
        (["--scope", "read"], ["kiosk", "till"]),
        (["--scope", "read", "--resource", ISSUER], ["kiosk"]),
        (["--state", "disabled"], ["office"]),
        (["--expiring", "30d"], ["kiosk"]),
        (["--expiring", "9d"], []),
        (["--unused-for", "1d"], []),
    ],
)
def test_clients_are_listed_by_what_the_options_say(run, options, expected):
    """For scripts and for people."""
    found = document(run("clients", "list", *options, "--json"))["clients"]
    assert [each["client_id"] for each in found] == expected
    shown = run("clients", "list", *options)
    assert all(name in shown.stdout for name in expected)
    assert ("There is no such client." in shown.stderr) != bool(expected)


def test_what_ends_is_listed_with_its_time(run):
    """The client or, if that is earlier, the next of its secrets."""
    run("clients", "create", "fair", "--expires-in", "20d", "--secret-expires-in", "25d")
    listed = document(run("clients", "list", "--json"))["clients"]
    ends = {each["client_id"]: each["next_end_at"] for each in listed}
    assert ends["till"] is None
    fair = document(run("clients", "show", "fair", "--json"))
    assert ends["fair"] == fair["expires_at"] < fair["secrets"][0]["expires_at"]
    head, *rows = run("clients", "list", "--expiring", "30d").stdout.splitlines()
    assert head.endswith("next_end_at")
    assert [row.split()[0] for row in rows] == ["fair", "kiosk"]
    assert all(re.search(r"in (19|20|9|10) d$", row) for row in rows)
    assert "next_end_at" not in run("clients", "list").stdout


def test_filters_are_checked(run):
    """A line for each mistake, before anything is read."""
    words = ("--state", "gone", "--expiring", "soon", "--unused-for", "4000d")
    said = refused(run("clients", "list", *words), code=2, lines=3)
    for why in ("--state: must be one of enabled, disabled,", "--expiring: ", "--unused-for: must"):
        assert why in said


def test_usage_says_who_may_use_what_and_when_it_did(run):
    """All scopes, used or not; cut lists say where to go on."""
    uses = document(run("usage", "--json"))["uses"]
    assert [(each["client_id"], each["scope"]) for each in uses] == [
        ("kiosk", "read"),
        ("till", "read"),
        ("till", "ship"),
    ]
    cut = document(run("usage", "--client", "till", "--limit", "1", "--json"))
    assert (cut["uses"], cut["next"]) == ([uses[1]], f"till {ORDERS} read")
    rest = run("usage", "--client", "till", "--after", cut["next"], "--output", "yaml")
    assert yaml.safe_load(rest.stdout) == {"uses": [uses[2]]}
    shown = run("usage", "--resource", ORDERS, "--scope", "ship", "--unused-for", "1d")
    assert shown.stdout.split() == [
        *(["client_id", "resource", "scope", "last_used_at"]),
        "till",
        ORDERS,
        "ship",
        "never",
    ]
    assert "--after 'kiosk " in run("usage", "--limit", "1").stderr
    assert "nothing to list" in run("usage", "--client", "x").stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--scope", "shipp"], "no resource has the scope shipp; did you mean ship?"),
        (
            ["--scope", "x", "--resource", ORDERS],
            f"the resource {ORDERS} does not have the scope x",
        ),
        (
            ["--resource", "https://ordrs.example"],
            f"there is no resource https://ordrs.example; did you mean {ORDERS}?",
        ),
        (["--scope", "write"], None),
        (["--resource", ORDERS, "--unused-for", "9d", "--scope", "read"], None),
    ],
)
def test_a_name_that_there_is_not_is_told_from_one_that_nobody_uses(run, options, why):
    """A mistyped scope would read as if it could be taken away; nothing is refused."""
    run("clients", "disable", "till")
    run("clients", "delete", "till", "--yes") if "read" in options else None
    for command, none in (
        (["usage"], "There is nothing to list"),
        (["clients", "list"], "There is no such client"),
    ):
        done = run(*command, *options)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{none}: {why}\n" if why else done.stderr == f"{none}.\n"


def test_a_resource_is_shown_with_its_clients(run):
    """And with their scopes on it alone."""
    shown = document(run("resources", "show", ORDERS, "--json"))
    assert shown["clients"] == [{"client_id": "till", "scope": "read ship"}]
    assert "till       read ship" in run("resources", "show", ORDERS).stdout


def test_the_trail_is_listed_by_what_the_options_say(run):
    """A time is RFC 3339, or so long ago."""
    everything = document(run("audit", "list", "--json"))["entries"]
    disabled = run("audit", "list", "--action", "resource.created", "--json")
    assert {each["action"] for each in document(disabled)["entries"]} == {"resource.created"}
    actor = everything[0]["actor"]
    for options in (["--since", "1h"], ["--actor", actor, "--action", "client"]):
        found = document(run("audit", "list", *options, "--json"))["entries"]
        assert "till" in [each["target"] for each in found]
    assert document(run("audit", "list", "--until", "1h", "--json"))["entries"] == []
    assert (
        document(run("audit", "list", "--since", "2099-01-01T00:00:00Z", "--json"))["entries"] == []
    )
    for words in (["--since", "yesterday"], ["--follow", "--before", "3"]):
        assert words[0] in refused(run("audit", "list", *words), code=2)


def test_the_trail_is_followed_until_it_is_interrupted(run, tmp_path):
    """First the latest entry, then what is changed meanwhile, a line of JSON each."""
    lines = []
    with start_process(
        ["watchword", "audit", "list", "--follow", "--limit", "1", "--action", "client", "--json"],
        cwd=tmp_path,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines.append(process.stdout.readline())
        run("clients", "enable", "office")
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert [json.loads(line)["action"] for line in lines] == ["client.created", "client.enabled"]
