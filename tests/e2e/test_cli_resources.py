"""`watchword resources`: the APIs, their scopes, and what each asks of tokens."""

import json

import pytest

from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document

URL = "https://orders.example"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def update(run):
    """Change a resource of two scopes, one of which a client holds."""
    document(run("resources", "create", URL, "--scope", "read", "--scope", "ship", "--json"))
    document(run("clients", "create", "till", "--resource", URL, "--scope", "ship", "--json"))
    return lambda *changes: run("resources", "update", URL, *changes, "--json")


def test_resources_are_created_listed_shown_and_deleted(run):
    """A resource is its identifier, its scopes in order, and what it asks of tokens."""
    limits = ("--token-ttl", "300", "--alg", "RS256", "--dpop", "--certificate-bound")
    created = document(run("resources", "create", URL, "--scope", "ship read", *limits, "--json"))
    assert created.pop("created_at") == created.pop("updated_at")
    assert created == {
        "resource": URL,
        "scopes": ["ship", "read"],
        "token_ttl": 300,
        "signing_alg": "RS256",
        "dpop_bound_access_tokens_required": True,
        "tls_client_certificate_bound_access_tokens": True,
    }
    shown = document(run("resources", "show", URL, "--json"))
    assert created.items() <= shown.items()
    listed = document(run("resources", "list", "--json"))["resources"]
    assert listed[-1] | {"clients": []} == shown
    assert [each["resource"] for each in listed] == [ISSUER, ISSUER + "/admin/api/v1", URL]
    run("clients", "create", "till", "--resource", URL, "--all-scopes")
    in_use = refused(run("resources", "delete", URL, "--yes"))
    assert "clients still hold grants on https://orders.example: till" in in_use
    run("clients", "delete", "till", "--yes")
    assert run("resources", "delete", URL, stdin="y\n").returncode == 0
    assert "no such resource" in refused(run("resources", "show", URL))


def test_people_get_tables(run):
    """What a resource asks of tokens is in words."""
    run("resources", "create", URL, "--scope", "read ship", "--dpop", "--token-ttl", "300")
    for shown in (run("resources", "list", "--wide").stdout, run("resources", "show", URL).stdout):
        for word in (URL, "read ship", "300", "DPoP key"):
            assert word in shown


def test_scopes_come_and_go(update):
    """In the order in which they were added; one that clients hold goes only with `--withdraw`."""
    assert document(update("--add-scope", "cancel", "--remove-scope", "read"))["scopes"] == [
        "ship",
        "cancel",
    ]
    in_use = refused(update("--remove-scope", "ship"))
    assert f"clients still hold ship on {URL}: till; --withdraw takes it from them" in in_use
    assert document(update("--remove-scope", "ship", "--withdraw"))["scopes"] == ["cancel"]
    assert document(update("--scope", "a b"))["scopes"] == ["a", "b"]


def test_a_withdrawn_scope_is_taken_from_its_clients(run, update):
    """In the same transaction; a grant that is left empty goes."""
    document(update("--remove-scope", "ship", "--withdraw"))
    assert document(run("clients", "show", "till", "--json"))["grants"] == []


def test_what_a_resource_asks_of_tokens_can_change(update):
    """What is not named stays as it is; `--unset` gives values back to the settings."""
    on = document(update("--token-ttl", "60", "--alg", "RS256", "--dpop"))
    off = document(update("--unset", "token-ttl", "--unset", "alg", "--certificate-bound"))
    assert (on["token_ttl"], on["signing_alg"]) == (60, "RS256")
    assert (off["token_ttl"], off["signing_alg"]) == (None, None)
    assert off["dpop_bound_access_tokens_required"]
    assert not document(update("--no-dpop"))["dpop_bound_access_tokens_required"]
    assert off["scopes"] == ["read", "ship"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "orders", "--scope", "read"], "URI: the resource identifier"),
        (["create", "https://a.example/#x", "--scope", "read"], "must not have a fragment"),
        (["create", "https://a.example/\n", "--scope", "read"], "URI: "),
        (["create", "https://a.example/" + "x" * 2048, "--scope", "a"], "at most 2048"),
        (["create", "https://a.example"], "--scope: is missing"),
        (["create", "https://a.example", "--scope", ""], "--scope: "),
        (["create", "https://a.example", "--scope", "a", "--token-ttl", "0"], "--token-ttl: "),
        (["create", "https://a.example", "--scope", "a", "--alg", "none"], "--alg: 'none' is no"),
        (["show", "orders"], "URI: "),
        (["delete", "orders"], "URI: "),
        (["update", URL], "say what changes"),
        (["update", URL, "--withdraw"], "--withdraw: name what goes"),
        (
            ["update", URL, "--unset", "scope"],
            "--unset: choose token-ttl, reuse-window, alg, auth-method, claims or auth",
        ),
        (["update", URL, "--unset", "alg", "--alg", "RS256"], "--unset alg: "),
        (["update", URL, "--scope", "a", "--add-scope", "b"], "--scope: not together with"),
    ],
)
def test_an_impossible_resource_is_wrong_usage(run, arguments, words):
    """RFC 8707 §2 and RFC 6749 §3.3 say what can be."""
    assert words in refused(run("resources", *arguments), code=2)


def test_all_mistakes_are_told_at_once(run):
    """A line each."""
    wrong = ("--token-ttl", "0", "--alg", "HS256")
    told = refused(run("resources", "create", "orders", *wrong), code=2, lines=4)
    for label in ("URI", "--scope", "--token-ttl", "--alg"):
        assert f"watchword: {label}: " in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", ISSUER, "--scope", "a"], "the resource exists already"),
        (["show", "https://no"], "no such resource: https://no"),
        (["update", "https://no", "--dpop"], "no such resource: https://no"),
        (["update", "https://no", "--add-scope", "a"], "no such resource: https://no"),
        (["update", ISSUER, "--remove-scope", "fly"], "the resource has no scope fly"),
        (["delete", "https://no"], "no such resource: https://no"),
        (["delete", ISSUER, "--yes"], "the configured API resource cannot be deleted"),
        (["delete", f"{ISSUER}/admin/api/v1", "--yes"], "administration API cannot be deleted"),
    ],
)
def test_what_is_not_so_now_is_refused(run, arguments, words):
    """Exit code 1, one line why."""
    assert words in refused(run("resources", *arguments))


def test_types_of_details_come_from_files(run, update, tmp_path):
    """Each with the JSON Schema of its objects; clients are granted them like scopes."""
    schema = {"properties": {"amount": {"type": "integer"}}}
    (tmp_path / "pay.json").write_text(json.dumps(schema))
    option = "--authorization-details-type"
    found = document(update(option, f"pay={tmp_path}/pay.json", option, f"see={tmp_path}/pay.json"))
    kept = [{"type": name, "schema": schema} for name in ("pay", "see")]
    assert found["authorization_details_types"] == kept
    client = document(run("clients", "update", "till", option, "pay", "--json"))
    assert client["grants"][0]["authorization_details_types"] == ["pay"]
    assert "(details: pay)" in run("clients", "show", "till").stdout
    created = run("clients", "create", "b", "--resource", URL, "--scope", "read", option, "see")
    assert f"{URL}: read (details: see)" in created.stdout
    exact = run("clients", "create", "c", "--grant", f"{URL} read", option, "see", "--json")
    assert document(exact)["grants"][0]["authorization_details_types"] == ["see"]
    assert "pay see" in run("resources", "show", URL).stdout
    assert "still hold pay" in refused(update(option, f"see={tmp_path}/pay.json"))
    assert "authorization_details_types" not in document(
        update("--unset", option.removeprefix("--"), "--withdraw")
    )
    unset = run("clients", "update", "till", "--unset", option.removeprefix("--"), "--json")
    assert "authorization_details_types" not in document(unset)["grants"][0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pay", "must be TYPE=FILE"),
        ("pay=no.json", "no.json cannot be read"),
        ("pay=loop.json", "the definition 'a' of the schema refers to itself"),
    ],
)
def test_a_type_that_cannot_be_is_wrong_usage(run, update, tmp_path, monkeypatch, text, words):
    """A schema that loops among them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.json").write_text('{"$defs": {"a": {"$ref": "#/$defs/a"}}}')
    told = refused(run("resources", "update", URL, "--authorization-details-type", text), code=2)
    assert "--authorization-details-type" in told
    assert words in told
