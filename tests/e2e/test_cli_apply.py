"""`watchword apply`: the registry as a file says, as an operator types it."""

import json
import stat

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import clean_environment, document, run_command
from tests.support.forked import start_process
from tests.support.provider import free_port, make_place, running
from watchword.registry import ADMIN_SCOPES

ORDERS = "https://orders.example.com"
FILE = f"""\
[[resources]]
resource = "{ORDERS}"
scopes = ["orders:read", "orders:write"]

[[clients]]
client_id = "billing"
secrets = [{{ generate_to = "billing.secret" }}, {{ env = "BILLING_SECRET" }}]

[[clients.grants]]
resource = "{ORDERS}"
scope = "orders:read"
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in a folder with a declaration and a secret for it."""
    (tmp_path / "registry.toml").write_text(FILE)
    monkeypatch.setenv("BILLING_SECRET", "another secret of enough characters")
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def events(done):
    """Name the log events of a command."""
    return [json.loads(line)["event"] for line in done.stderr.splitlines() if line[0] == "{"]


def test_a_declaration_is_looked_at_applied_and_found_applied(run, tmp_path):
    """The dry run shows what the next one does; the one after that has nothing to do."""
    shown = run("apply", "registry.toml", "--dry-run")
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == [
        f"+ resource {ORDERS}",
        "    scopes: +orders:read +orders:write",
        "+ client billing",
        f"    default_resource: {ORDERS}",
        f"    scope on {ORDERS}: +orders:read",
        "    secret: +generate_to billing.secret (generated)",
        "    secret: +env BILLING_SECRET",
        "2 to create; nothing is changed yet.",
    ]
    assert not (tmp_path / "billing.secret").exists()
    applied = run("apply", "registry.toml")
    assert applied.stdout.splitlines()[-1] == "2 created."
    assert "the secret of client billing is in billing.secret" in applied.stderr
    assert events(applied) == ["resource.created", "client.created"] + ["secret.added"] * 2
    assert stat.S_IMODE((tmp_path / "billing.secret").stat().st_mode) == 0o600
    again = run("apply", "registry.toml", "--prune")
    assert again.stdout == "Nothing to change: the registry is as the file says.\n"
    assert again.stderr == ""


def test_secrets_are_in_no_output(run, tmp_path):
    """Neither for people nor for scripts, nor in the log."""
    done = run("apply", "registry.toml", "--json")
    secret = (tmp_path / "billing.secret").read_text().strip()
    for text in (secret, "another secret"):
        assert text not in done.stdout + done.stderr


def test_paths_start_from_the_folder_of_the_file(run, tmp_path):
    """And not from where the command runs."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "registry.toml").rename(tmp_path / "conf" / "registry.toml")
    assert run("apply", "conf/registry.toml").returncode == 0
    assert (tmp_path / "conf" / "billing.secret").exists()


def test_the_difference_is_one_json_document(run):
    """For scripts: whether anything changes, what, and whether it is done."""
    shown = document(run("apply", "registry.toml", "--dry-run", "--json"))
    assert (shown["changed"], shown["applied"]) == (True, False)
    applied = document(run("apply", "registry.toml", "--json"))
    assert applied["applied"]
    assert [change["action"] for change in applied["changes"]] == ["create", "create", "add", "add"]
    assert not document(run("apply", "registry.toml", "--json"))["changed"]


@pytest.mark.parametrize("name", ["registry.yaml", "registry.YML"])
def test_yaml_is_known_by_its_suffix(run, tmp_path, name):
    """One schema, two languages."""
    (tmp_path / name).write_text("clients: [{client_id: till}]\n")
    assert run("apply", name).stdout.splitlines()[0] == "+ client till"


def test_standard_input_needs_its_form_named(run):
    """Nothing else tells it."""
    assert "say toml or yaml" in refused(run("apply", "-"), 2)
    done = run("apply", "-", "--format", "yaml", stdin="clients: [{client_id: till}]")
    assert done.returncode == 0
    told = refused(run("apply", "-", "--format", "yaml", stdin="x: 1\ny: 1"), 2, lines=2)
    assert "standard input: line 2: y: is not known here" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["registry.json"], "registry.json: ends neither in .toml nor in .yaml"),
        (["registry.toml", "--format", "json"], "--format: must be toml or yaml"),
        (["none.toml"], "none.toml: cannot be read: no such file or directory"),
        (["."], ".: ends neither"),
        ([".", "--format", "toml"], "cannot be read: is a directory"),
        (["registry.toml", "--usage-days", "-1"], "--usage-days"),
    ],
)
def test_a_wrong_call_is_told_apart_from_a_refusal(run, arguments, words):
    """Exit code 2."""
    assert words in refused(run("apply", *arguments), 2)


def test_all_mistakes_of_a_file_are_told_at_once_and_nothing_is_done(run, tmp_path):
    """Each with its key path; the database is not even made."""
    text = FILE.replace("scope =", "scoep =").replace("client_id =", "clientid =")
    (tmp_path / "registry.toml").write_text(text)
    told = refused(run("apply", "registry.toml"), 2, lines=4).splitlines()
    assert told == [
        "watchword: registry.toml: clients[0].client_id: is missing",
        "watchword: registry.toml: clients[0].grants[0].scope: is missing",
        "watchword: registry.toml: clients[0].grants[0].scoep: is not known here;"
        " did you mean scope?",
        "watchword: registry.toml: clients[0].clientid: is not known here; did you mean client_id?",
    ]
    assert not (tmp_path / "watchword-data").exists()


def test_text_in_another_encoding_is_refused_by_its_line(run, tmp_path):
    """A byte order mark is no other encoding."""
    (tmp_path / "registry.toml").write_bytes(b"# good\n# caf\xe9\n")
    assert "registry.toml: line 2: is not UTF-8" in refused(run("apply", "registry.toml"), 2)
    (tmp_path / "registry.toml").write_bytes(b"\xef\xbb\xbf# good\n")
    assert run("apply", "registry.toml").returncode == 0


def test_secrets_that_are_not_there_are_told_at_once(run, tmp_path, monkeypatch):
    """With the client, and before anything is done."""
    monkeypatch.delenv("BILLING_SECRET")
    text = FILE.replace('generate_to = "billing.secret"', 'file = "none"')
    (tmp_path / "registry.toml").write_text(text)
    told = refused(run("apply", "registry.toml"), 2, lines=2)
    assert "secrets[0]: file none of client billing: it cannot be read" in told
    assert "secrets[1]: env BILLING_SECRET of client billing: it is not set" in told


def test_what_the_registry_refuses_is_told_at_once_and_leaves_no_secret_behind(run, tmp_path):
    """Exit code 1, a line for each obstacle."""
    assert run("clients", "create", "till", "--all-scopes").returncode == 0
    text = FILE.replace(f'resource = "{ORDERS}"\nscope =', 'resource = "urn:none"\nscope =')
    text = text.replace(ORDERS, ISSUER, 1).replace('"orders:write"', '"read"')
    (tmp_path / "registry.toml").write_text(text)
    told = refused(run("apply", "registry.toml"), 1, lines=2).splitlines()
    assert told == [
        "watchword: client billing: no such resource: urn:none",
        f"watchword: write on {ISSUER} cannot go: it is granted to till, which the file does not"
        " name",
    ]
    assert not (tmp_path / "billing.secret").exists()


def test_pruning_keeps_what_the_provider_serves_itself(run):
    """The demo API and the administration are not the file's to delete."""
    run("clients", "create", "till")
    run("resources", "create", ORDERS, "--scope", "orders:read")
    before = len(document(run("resources", "list", "--json"))["resources"])
    done = run("apply", "-", "--format", "toml", "--prune", stdin="clients = []")
    assert done.stdout.splitlines()[:2] == ["- client till", f"- resource {ORDERS}"]
    assert len(document(run("resources", "list", "--json"))["resources"]) == before - 1


def test_a_file_that_says_nothing_does_not_prune_everything(run):
    """Most likely it was not meant to be empty."""
    run("clients", "create", "till")
    told = refused(run("apply", "-", "--format", "toml", "--prune", stdin=""), 2)
    assert "names neither clients nor resources" in told
    assert run("clients", "show", "till").returncode == 0


def test_a_dry_run_names_who_used_what_goes(tmp_path):
    """From the records of a provider that has given tokens; and how many of them would live on."""
    place = make_place(tmp_path)
    place.add_key()
    client = place.json("clients", "create", "till", "--scope", "read")
    with running(place):
        assert place.ask(client).status_code == 200
    (tmp_path / "registry.toml").write_text("clients = []")
    done = place.run("apply", "registry.toml", "--prune", "--dry-run", "--usage-days", "1")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["- client till", "Of what goes, this was used in the last 1 day:"]
    assert lines[2].startswith(f"    client till: secret {client['secret_id']}, last at 20")
    assert lines[3].startswith(f"    client till: read on {place.url}, last at 20")
    assert "client till: at most 16 live tokens of it will be accepted until" in done.stderr
    assert "to end them: watchword token revoke --client till\n" in done.stderr
    done = place.run("apply", "registry.toml", "--prune", "--dry-run", "--revoke-tokens")
    assert "client till: its tokens would be revoked\n" in done.stderr


def test_two_at_once_are_as_good_as_one(tmp_path):
    """Both end well, and there is one secret, which is in the file."""
    (tmp_path / "registry.toml").write_text(FILE.replace(', { env = "BILLING_SECRET" }', ""))
    assert run_command(tmp_path, "db", "upgrade").returncode == 0
    options = {"cwd": tmp_path, "env": clean_environment(), "stdout": -1, "stderr": -1}
    command = ["watchword", "apply", "registry.toml"]
    both = [start_process(command, text=True, **options) for _ in range(2)]
    said = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    shown = document(run_command(tmp_path, "clients", "show", "billing", "--json"))
    assert len(shown["secrets"]) == 1
    again = run_command(tmp_path, "apply", "registry.toml", "--prune")
    assert again.stdout == "Nothing to change: the registry is as the file says.\n"


def test_a_server_is_asked_the_same_way(tmp_path, monkeypatch, capsys):
    """Secrets are found, made and written here; the registry is there."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    place = make_place(there)
    place.add_key()
    scopes = " ".join(ADMIN_SCOPES)
    grants = [f"{place.url}/admin/api/v1 {scopes}", f"{place.url} read"]
    root = place.json("clients", "create", "root", "--grant", grants[0], "--grant", grants[1])
    run = run_in_empty_folder(here, monkeypatch, capsys)
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "root")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", root["client_secret"])
    (here / "registry.yaml").write_text(
        f"""
        clients:
          - client_id: till
            secrets: [{{generate_to: till.secret}}]
            grants: [{{resource: "{place.url}", scope: read}}]
        """
    )
    with running(place):
        options = ("--server", place.url, "--prune")
        assert document(run("apply", "registry.yaml", *options, "--dry-run", "--json"))["changed"]
        assert list(here.iterdir()) == [here / "registry.yaml"]
        done = run("apply", "registry.yaml", *options)
        assert done.stdout.splitlines()[-1] == "1 created.", done.stderr
        assert "the secret of client till is in till.secret" in done.stderr
        secret = (here / "till.secret").read_text().strip()
        assert place.ask({"client_id": "till", "client_secret": secret}).status_code == 200
        assert place.run("clients", "show", "root").returncode == 0
        again = run("apply", "registry.yaml", *options)
        assert again.stdout == "Nothing to change: the registry is as the file says.\n"
        (here / "registry.yaml").write_text(
            "clients: [{client_id: a, grants: [{resource: 'urn:a', scope: x}]},"
            " {client_id: b, grants: [{resource: 'urn:b', scope: x}]}]"
        )
        told = refused(run("apply", "registry.yaml", "--server", place.url), 1, lines=2)
        assert "client b: no such resource: urn:b" in told
        (here / "registry.yaml").write_text("clients: []")
        done = run("apply", "registry.yaml", *options, "--revoke-tokens")
        assert done.stdout.startswith("- client till\n")
        assert done.stderr.endswith("client till: its tokens are revoked\n")


def test_a_server_that_is_not_there_leaves_no_secret_behind(run, tmp_path, monkeypatch):
    """Nothing is made before the first look."""
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "root")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", "secret of enough characters, 32 of")
    refused(run("apply", "registry.toml", "--server", f"http://localhost:{free_port()}"), 1)
    assert not (tmp_path / "billing.secret").exists()
