"""`watchword clients` and `watchword resources`, as an operator types them."""

import os
import re
import stat
from contextlib import closing

import pytest

from issuer.storage.registry import Registry
from tests.support.command import document, run_command, run_inside

ISSUER = "http://localhost:8080"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    for name in list(os.environ):
        if name.startswith("WATCHWORD_") or name in ("CLIENT_ID", "CLIENT_SECRET"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return run_inside(monkeypatch, capsys)


def find_client(tmp_path, client_id):
    """Read a client from the database that the commands wrote."""
    url = f"sqlite:///{tmp_path / 'watchword-data' / 'registry.db'}"
    with closing(Registry.open(url, now=lambda: 0)) as registry:
        return registry.find_client(client_id)


def refused(done, code=1):
    """Check that a command said one line why and ended with the code; return the line."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("watchword: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_an_operators_first_minute(tmp_path):
    """Create, list, show, disable, enable, delete: with the real command, in an empty folder."""
    created = document(run_command(tmp_path, "clients", "create", "till", "--json"))
    assert re.fullmatch(r"wws_[\w-]{43}", created["client_secret"])
    data = tmp_path / "watchword-data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "registry.db").stat().st_mode) == 0o600
    (secret,) = find_client(tmp_path, "till").secrets
    assert secret.hash.verify(created["client_secret"])
    for file in data.iterdir():
        assert created["client_secret"].encode() not in file.read_bytes()

    listed = document(run_command(tmp_path, "clients", "list", "--json"))
    assert [each["client_id"] for each in listed["clients"]] == ["till"]
    assert created["client_secret"] not in str(listed)

    assert run_command(tmp_path, "clients", "disable", "till").returncode == 0
    assert document(run_command(tmp_path, "clients", "show", "till", "--json"))["disabled"]
    assert run_command(tmp_path, "clients", "enable", "till").returncode == 0
    assert run_command(tmp_path, "clients", "delete", "till", "--yes").returncode == 0
    assert "no such client: till" in refused(run_command(tmp_path, "clients", "show", "till"))


def test_create_prints_the_registration_under_its_registered_names(run):
    """RFC 7591 §2 names; times are RFC 3339 in UTC, durations seconds."""
    created = document(
        run(
            "clients",
            "create",
            "till",
            "--json",
            "--scope",
            "read",
            "--name",
            "Kasse",
            "--auth",
            "client_secret_post",
            "--token-ttl",
            "60",
        )
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created.pop("created_at"))
    assert created.pop("updated_at")
    assert created.pop("client_secret")
    assert created == {
        "client_id": "till",
        "client_name": "Kasse",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["client_credentials"],
        "scope": "read",
        "resources": [ISSUER],
        "grants": [{"resource": ISSUER, "scope": "read"}],
        "token_ttl": 60,
        "disabled": False,
    }


def test_without_scope_and_resource_a_client_gets_all_of_the_default_resource(run):
    """What was granted is printed, since it was not typed."""
    created = document(run("clients", "create", "till", "--json"))
    assert (created["resources"], created["scope"]) == ([ISSUER], "read write")
    assert created["token_endpoint_auth_method"] == "client_secret_basic"
    assert "read write" in run("clients", "create", "other").stdout


def test_the_default_resource_is_a_setting(run, monkeypatch):
    """The demo API's audience is what new clients are for."""
    monkeypatch.setenv("WATCHWORD_API_RESOURCE", "https://api.example")
    created = document(run("clients", "create", "till", "--json"))
    assert created["resources"] == ["https://api.example"]


def test_a_person_sees_the_secret_once_and_is_told_so(run):
    """The table is for people; the warning is no data."""
    done = run("clients", "create", "till")
    (secret,) = re.findall(r"wws_[\w-]{43}", done.stdout)
    assert "not shown again" in done.stderr
    assert secret not in done.stderr
    for later in (("clients", "show", "till"), ("clients", "list"), ("clients", "list", "--json")):
        assert "wws_" not in run(*later).stdout


def test_a_client_of_two_resources_gets_each_scope_where_it_exists(run):
    """A scope goes to each named resource that has it; every scope is on at least one."""
    url = "https://orders.example"
    document(run("resources", "create", url, "--scope", "read", "--scope", "ship", "--json"))
    created = document(
        run(
            "clients",
            "create",
            "till",
            "--resource",
            url,
            "--resource",
            ISSUER,
            "--scope",
            "read ship",
            "--scope",
            "write",
            "--json",
        )
    )
    assert created["grants"] == [
        {"resource": url, "scope": "read ship"},
        {"resource": ISSUER, "scope": "read write"},
    ]
    assert created["scope"] == "read ship write"
    assert "fly" in refused(
        run("clients", "create", "x", "--resource", url, "--scope", "read", "--scope", "fly")
    )


def test_a_supplied_secret_is_read_from_standard_input_and_not_echoed(run, tmp_path):
    """A short one gets the slow hash, a long one the fast one."""
    long = "k" * 32
    done = run("clients", "create", "long", "--secret-stdin", stdin=f"{long}\nsecond line\n")
    assert done.returncode == 0
    assert long not in done.stdout + done.stderr
    created = document(
        run("clients", "create", "short", "--secret-stdin", "--json", stdin="12345678")
    )
    assert "client_secret" not in created
    (fast,), (slow,) = find_client(tmp_path, "long").secrets, find_client(tmp_path, "short").secrets
    assert (fast.hash.slow, slow.hash.slow) == (False, True)
    assert fast.hash.verify(long)
    assert slow.hash.verify("12345678")


@pytest.mark.parametrize("stdin", ["", "\n", "1234567\n", "tab\there-is-one\n", "ümläutig\n"])
def test_an_impossible_secret_is_wrong_usage(run, stdin):
    """Nothing is registered and the secret is not echoed."""
    done = run("clients", "create", "till", "--secret-stdin", stdin=stdin)
    line = refused(done, code=2)
    assert "a secret is 8 to 512" in line
    assert not stdin.strip() or stdin.strip() not in line
    assert document(run("clients", "list", "--json")) == {"clients": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two words"], "client id"),
        (["é"], "client id"),
        (["x" * 256], "client id"),
        (["till", "--auth", "private_key_jwt"], "not available yet"),
        (["till", "--auth", "self_signed_tls_client_auth"], "not available yet"),
        (["till", "--auth", "none"], "choose client_secret_basic or client_secret_post"),
        (["till", "--token-ttl", "0"], "token lifetime"),
        (["till", "--token-ttl", "86401"], "86400"),
        (["till", "--name", "a\nb"], "printable"),
        (["till", "--scope", 'a"b'], "--scope"),
        (["till", "a-secret"], "argument"),
    ],
)
def test_what_can_never_be_is_wrong_usage(run, arguments, words):
    """Exit code 2, one line, nothing registered."""
    assert words in refused(run("clients", "create", *arguments), code=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clients", "create", "till"], "the client exists already: till"),
        (["clients", "create", "x", "--scope", "fly"], f"no such scope on {ISSUER}: fly"),
        (["clients", "create", "x", "--resource", "https://no"], "no such resource: https://no"),
        (["clients", "show", "x"], "no such client: x"),
        (["clients", "disable", "x"], "no such client: x"),
        (["clients", "enable", "x"], "no such client: x"),
        (["clients", "delete", "x"], "no such client: x"),
        (["resources", "show", "https://no"], "no such resource"),
        (["resources", "delete", "https://no"], "no such resource"),
        (["resources", "delete", ISSUER, "--yes"], "cannot be deleted"),
        (["resources", "create", ISSUER, "--scope", "a"], "exists already"),
    ],
)
def test_what_is_not_so_now_is_refused(run, arguments, words):
    """Exit code 1, one line why."""
    run("clients", "create", "till")
    assert words in refused(run(*arguments))


@pytest.mark.parametrize(
    ("answer", "deleted"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_deleting_asks_first(run, answer, deleted):
    """Anything but yes, also no answer at all, deletes nothing."""
    run("clients", "create", "till")
    done = run("clients", "delete", "till", stdin=answer)
    assert "Delete the client till" in done.stderr
    assert done.returncode == (0 if deleted else 1)
    left = document(run("clients", "list", "--json"))["clients"]
    assert [each["client_id"] for each in left] == ([] if deleted else ["till"])


def test_people_get_tables(run):
    """Every column that somebody looks for is there; an empty list says what to do."""
    assert "clients create" in run("clients", "list").stderr
    run("clients", "create", "till", "--name", "Kasse")
    run("clients", "disable", "till")
    shown = run("clients", "list").stdout
    assert all(word in shown for word in ("till", "read write", ISSUER, "disabled", "Kasse"))
    shown = run("clients", "show", "till").stdout
    assert all(word in shown for word in ("till", f"{ISSUER}: read write", "until revoked"))
    assert ISSUER in run("resources", "list").stdout
    assert "read write" in run("resources", "show", ISSUER).stdout


def test_resources_are_created_listed_shown_and_deleted(run):
    """A resource is its identifier, its scopes in order, its token lifetime."""
    url = "https://orders.example"
    expected = {"resource": url, "scopes": ["ship", "read"], "token_ttl": 300}
    create = ("resources", "create", url, "--scope", "ship", "--scope", "read")
    assert document(run(*create, "--token-ttl", "300", "--json")) == expected
    assert document(run("resources", "show", url, "--json")) == expected
    default = {"resource": ISSUER, "scopes": ["read", "write"], "token_ttl": None}
    assert document(run("resources", "list", "--json")) == {"resources": [default, expected]}
    run("clients", "create", "till", "--resource", url)
    assert "clients still hold grants" in refused(run("resources", "delete", url, "--yes"))
    run("clients", "delete", "till", "--yes")
    assert run("resources", "delete", url, stdin="y\n").returncode == 0
    assert document(run("resources", "list", "--json")) == {"resources": [default]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "orders", "--scope", "read"],
        ["create", "https://a.example/#x", "--scope", "read"],
        ["create", "https://a.example"],
        ["create", "https://a.example", "--scope", ""],
        ["create", "https://a.example", "--scope", "a", "--token-ttl", "0"],
    ],
)
def test_an_impossible_resource_is_wrong_usage(run, arguments):
    """RFC 8707 §2 and RFC 6749 §3.3 say what can be."""
    refused(run("resources", *arguments), code=2)


def test_commands_of_later_versions_do_not_exist(run):
    """A command that is not built must not look as if it were."""
    for arguments in (["clients", "update", "x"], ["clients", "secrets", "list", "x"]):
        assert run(*arguments).returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        *(("clients", name) for name in ("create", "list", "show", "disable", "enable", "delete")),
        *(("resources", name) for name in ("create", "list", "show", "delete")),
        *(("db", name) for name in ("upgrade", "status")),
    ],
)
def test_every_command_has_help_with_one_example(run, command):
    """`--help` shows how the command is typed."""
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.count("Example: watchword " + " ".join(command)) == 1
