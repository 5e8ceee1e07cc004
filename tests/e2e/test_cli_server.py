"""`--server`: the same commands, asked of a running provider instead of the database."""

import re

import pytest

from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document
from tests.support.provider import eventually, free_port, make_place, running
from watchword.registry import ADMIN_SCOPES

ORDERS = "https://orders.example"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a provider with an administrator, one who may only read clients, and a stranger."""
    place = make_place(tmp_path_factory.mktemp("provider"))
    place.add_key()
    administration = f"{place.url}/admin/api/v1"
    grants = {
        "root": f"{administration} {' '.join(ADMIN_SCOPES)}",
        "viewer": f"{administration} watchword:clients:read",
        "stranger": f"{place.url} read",
    }
    clients = {
        name: place.json("clients", "create", name, "--grant", grant)
        for name, grant in grants.items()
    }
    with running(place):
        yield place, clients


@pytest.fixture
def place(served):
    """Give the running provider."""
    return served[0]


@pytest.fixture
def become(served, monkeypatch):
    """Take the credentials of one of the provider's clients."""

    def take(name):
        monkeypatch.setenv("WATCHWORD_CLIENT_ID", name)
        monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", served[1][name]["client_secret"])

    return take


@pytest.fixture
def run(place, elsewhere, become, tmp_path):
    """Run commands as the administrator, in a folder that has nothing; it stays that way."""
    become("root")
    yield lambda *arguments, **options: elsewhere(*arguments, "--server", place.url, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, capsys):
    """Run commands that know no server and no credentials yet."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def test_clients_are_listed_by_what_the_options_say(place, run):
    """By the server, and with what ends when."""
    grant = ("--grant", f"{place.url} read")
    assert run("clients", "create", "fair", *grant, "--secret-expires-in", "10d").returncode == 0
    for options, is_listed in (
        (["--scope", "read", "--resource", place.url], True),
        (["--scope", "write"], False),
        (["--state", "enabled"], True),
        (["--state", "disabled"], False),
        (["--expiring", "30d"], True),
        (["--expiring", "9d"], False),
        (["--unused-for", "1d"], False),
    ):
        found = document(run("clients", "list", *options, "--json"))["clients"]
        assert ("fair" in [each["client_id"] for each in found]) == is_listed, options
    (shown,) = run("clients", "list", "--expiring", "30d").stdout.splitlines()[1:]
    assert re.fullmatch(r"fair .* in (9|10) d", shown)
    assert run("clients", "delete", "fair", "--yes").returncode == 0


def test_clients_are_administered_from_afar(place, run):
    """Each command does what it does beside the database; the server keeps the log."""
    created = run("clients", "create", "till", "--name", "Kasse", "--scope", "read", "--json")
    client = document(created)
    assert created.stderr == ""
    assert place.ask(client).status_code == 200
    changed = document(run("clients", "update", "till", "--add-scope", "write", "--json"))
    assert changed["scope"] == "read write"
    listed = document(run("clients", "list", "--json"))["clients"]
    assert {each["client_id"] for each in listed} == {"root", "stranger", "till", "viewer"}
    added = document(run("clients", "secrets", "add", "till", "--json"))
    assert place.ask(client | added).status_code == 200
    assert run("clients", "secrets", "revoke", "till", client["secret_id"]).returncode == 0
    assert eventually(lambda: place.ask(client).status_code == 401)
    (left,) = document(run("clients", "secrets", "list", "till", "--json"))["secrets"]
    assert left["secret_id"] == added["secret_id"]
    assert run("clients", "disable", "till").returncode == 0
    assert document(run("clients", "show", "till", "--json"))["disabled"]
    assert run("clients", "enable", "till").returncode == 0
    assert run("clients", "delete", "till", stdin="y\n").returncode == 0
    assert "no such client: till" in refused(run("clients", "show", "till"))


def test_resources_tokens_and_the_trail_are_reached_from_afar(run):
    """Scopes are withdrawn, what is in use stays, and the trail names the client that asked."""
    document(run("resources", "create", ORDERS, "--scope", "read ship", "--json"))
    document(run("clients", "create", "shop", "--resource", ORDERS, "--all-scopes", "--json"))
    assert "--withdraw takes it" in refused(
        run("resources", "update", ORDERS, "--remove-scope", "ship")
    )
    gone = ("--remove-scope", "ship", "--withdraw")
    assert document(run("resources", "update", ORDERS, *gone, "--json"))["scopes"] == ["read"]
    assert "still hold grants" in refused(run("resources", "delete", ORDERS, "--yes"))
    made = document(run("registration-tokens", "create", "--grant", f"{ORDERS} read", "--json"))
    listed = document(run("registration-tokens", "list", "--json"))["registration_tokens"]
    assert made["token_id"] in {each["token_id"] for each in listed}
    assert run("registration-tokens", "revoke", made["token_id"]).returncode == 0
    entries = document(run("audit", "list", "--target", "shop", "--json"))["entries"]
    assert {(each["actor"], each["via"]) for each in entries} == {("root", "api")}
    assert all(each["request_id"] for each in entries)
    assert "request " in run("audit", "list", "--target", "shop").stdout
    assert run("clients", "delete", "shop", "--yes").returncode == 0
    assert run("resources", "delete", ORDERS, "--yes").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["clients", "create", "root"], 1, "the client exists already: root"),
        (["clients", "create", "x", "--scope", "fly"], 1, "no such scope on"),
        (["clients", "create", "x", "--resource", ORDERS], 1, f"no such resource: {ORDERS}"),
        (["clients", "create", "a b"], 2, "ID: a client id is 1 to 255"),
        (["clients", "create", "x" * 256], 2, "ID: a client id is 1 to 255"),
        (["clients", "create", "x", "--metadata", "a=" + "b" * 5000], 2, "metadata has more than"),
        (["clients", "show", "nobody"], 1, "no such client: nobody"),
        (["clients", "secrets", "revoke", "root", "abc"], 1, "no secret 'abc'"),
        (["resources", "show", ORDERS], 1, f"no such resource: {ORDERS}"),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(run, arguments, code, words):
    """And with the same exit code as beside the database."""
    assert words in refused(run(*arguments), code=code)


def test_a_client_without_the_scope_is_told_which_one_it_lacks(place, run, become):
    """One scope for each verb, also where it gets no token, and the command that grants it."""
    become("viewer")
    assert document(run("clients", "show", "root", "--json"))["client_id"] == "root"
    assert "watchword:clients:write" in refused(run("clients", "disable", "root"))
    assert "watchword:audit:read" in refused(run("audit", "list"))
    become("stranger")
    revoke = ("token", "revoke", "--client", "stranger", "--yes")
    told = refused(run(*revoke))
    remedy = told.partition("the command needs watchword:tokens:write: watchword ")[2]
    assert place.run(*remedy.split()).returncode == 0
    assert eventually(lambda: run(*revoke).returncode == 0)


def test_tokens_are_revoked_from_afar(place, run, become):
    """One, all of a client, and with the client; who lacks the scope is told which."""
    client = document(run("clients", "create", "pos", "--scope", "read", "--json"))
    token = place.ask(client).json()["access_token"]
    one = document(run("token", "revoke", "-", "--suspend", "--json", stdin=token + "\n"))
    assert one == {"action": "suspend", "tokens": 1, "dry_run": False}
    every = document(run("token", "revoke", "--client", "pos", "--dry-run", "--json"))
    assert every["tokens"] >= 1
    assert "TOKEN: not together with" in refused(run("token", "revoke", token, "--jti", "x"), 2)
    assert "TOKEN: is no access token" in refused(run("token", "revoke", "x"), 2)
    assert "no such client" in refused(run("token", "revoke", "--client", "pso", "--yes"))
    told = run("clients", "disable", "pos")
    assert "watchword token revoke --client pos" in told.stderr
    told = run("clients", "delete", "pos", "--revoke-tokens", "--yes")
    assert told.stderr == "client pos is deleted; its tokens are revoked\n"
    trail = document(run("audit", "list", "--target", "pos", "--json"))["entries"]
    assert [each["action"] for each in trail][:2] == ["token.revoked", "client.deleted"]
    become("viewer")
    assert "watchword:tokens:write" in refused(run("token", "revoke", "--jti", "x" * 22))


def test_wrong_credentials_are_told_in_one_line(run, monkeypatch):
    """Without the secret."""
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "not-the-secret-of-anybody")
    told = refused(run("clients", "list"))
    assert "invalid_client" in told
    assert "not-the-secret" not in told


def test_without_credentials_nothing_is_asked(elsewhere):
    """Told together with what else is wrong."""
    command = ("clients", "create", "a b", "--server", "https://auth.example")
    told = refused(elsewhere(*command), code=2, lines=2)
    assert "set WATCHWORD_CLIENT_ID and WATCHWORD_CLIENT_SECRET" in told
    assert "ID: a client id" in told


@pytest.mark.parametrize("server", ["http://auth.example", "auth.example", "", "https://"])
def test_a_server_that_cannot_be_asked_is_wrong_usage(elsewhere, monkeypatch, server):
    """A secret does not travel in the clear."""
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "root")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "s" * 32)
    told = refused(elsewhere("clients", "list", "--server", server), code=2)
    assert "--server: " in told
    assert ("set WATCHWORD_ALLOW_INSECURE_HTTP" in told) == (server == "http://auth.example")


def test_a_server_that_is_not_there_is_named(elsewhere, monkeypatch):
    """One line, exit code 1."""
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "root")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "s" * 32)
    server = f"http://127.0.0.1:{free_port()}"
    assert server in refused(elsewhere("clients", "list", "--server", server))
