"""`watchword clients update`: what is named changes, the rest stays."""

import json

import pytest

from issuer.administration.local import Administration
from issuer.registry.errors import RevisionConflict
from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document

ORDERS = "https://orders.example"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def update(run):
    """Change a client of two resources, with some of everything, and return what it became."""
    document(run("resources", "create", ORDERS, "--scope", "read ship", "--json"))
    grants = ("--grant", f"{ISSUER} read", "--grant", f"{ORDERS} read ship")
    limits = ("--token-ttl", "60", "--expires-at", "2031-01-31T12:00:00Z", "--name", "Kasse")
    notes = ("--metadata", "team=shop", "--metadata", "cost=7", "--default-scope", "read")
    assert run("clients", "create", "till", *grants, *limits, *notes).returncode == 0
    return lambda *changes: run("clients", "update", "till", *changes, "--json")


def granted(done):
    """Return the scopes of each resource, and which of them are the default if not all."""
    return {
        each["resource"]: (each["scope"], each.get("default_scope"))
        for each in document(done)["grants"]
    }


def test_what_is_not_named_stays_as_it_is(run, update):
    """An update is a merge patch (RFC 7396)."""
    before = document(run("clients", "show", "till", "--json"))
    after = document(update("--name", "Till", "--dpop", "--metadata", "team=web"))
    changed = {"client_name", "dpop_bound_access_tokens", "metadata", "updated_at"}
    assert {name for name in after if after[name] != before[name]} <= changed
    assert (after["client_name"], after["dpop_bound_access_tokens"]) == ("Till", True)
    assert after["metadata"] == {"team": "web", "cost": "7"}
    assert document(run("clients", "show", "till", "--json")) == after


def test_values_are_taken_away_by_name(update):
    """`--unset` gives them back to the settings, or to nothing."""
    after = document(update("--unset", "name", "--unset", "token-ttl", "--unset", "expires-at"))
    assert (after["client_name"], after["token_ttl"], after["expires_at"]) == (None, None, None)
    assert document(update("--unset", "metadata.cost"))["metadata"] == {"team": "shop"}
    assert document(update("--unset", "metadata"))["metadata"] == {}
    assert granted(update("--unset", "default-scope"))[ORDERS] == ("read ship", None)


def test_switches_have_two_positions(update):
    """What was switched on can be switched off."""
    on = document(update("--certificate-bound", "--dpop", "--disabled"))
    off = document(update("--no-certificate-bound", "--no-dpop", "--enabled"))
    names = ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens", "disabled")
    assert [on[name] for name in names] == [True] * 3
    assert [off[name] for name in names] == [False] * 3


def test_a_scope_is_added_where_a_resource_has_it(update):
    """Of the client's resources; where the default was all of it, it is all of it again."""
    assert granted(update("--add-scope", "write")) == {
        ISSUER: ("read write", None),
        ORDERS: ("read ship", "read"),
    }


def test_a_scope_of_another_resource_brings_a_grant(run, update):
    """The first one of that resource."""
    document(run("resources", "create", "https://new.example", "--scope", "see", "--json"))
    after = granted(update("--add-scope", "see", "--resource", "https://new.example"))
    assert after["https://new.example"] == ("see", None)
    assert after[ISSUER] == ("read", None)


def test_a_scope_is_removed_everywhere_or_on_one_resource(update):
    """A grant that is left without scopes goes."""
    assert granted(update("--remove-scope", "read", "--resource", ORDERS)) == {
        ISSUER: ("read", None),
        ORDERS: ("ship", None),
    }
    assert granted(update("--remove-scope", "read")) == {ORDERS: ("ship", None)}


def test_scopes_can_be_said_anew(update):
    """On the client's own resources or on those named; defaults stay as far as they are granted."""
    assert granted(update("--scope", "read ship")) == {
        ISSUER: ("read", None),
        ORDERS: ("read ship", "read"),
    }
    assert granted(update("--scope", "write", "--resource", ISSUER)) == {ISSUER: ("write", None)}
    assert granted(update("--grant", f"{ORDERS} ship")) == {ORDERS: ("ship", None)}
    assert granted(update("--no-grants")) == {}


def test_default_scopes_can_be_said_alone(update):
    """Of the scopes that are held."""
    assert granted(update("--default-scope", "ship"))[ORDERS] == ("read ship", "ship")
    assert "fly is not granted" in refused(update("--default-scope", "fly"), code=2)


def test_another_way_to_authenticate_takes_the_place_of_the_one_before(update):
    """Keys and certificate names that no longer fit go with it; what is missing is told."""
    keys = document(update("--auth", "private_key_jwt", "--jwks-uri", "https://a.example/jwks"))
    assert keys["jwks_uri"] == "https://a.example/jwks"
    certificate = document(update("--auth", "tls_client_auth", "--tls-subject", "dns=a.example"))
    assert "jwks_uri" not in certificate
    other = document(update("--tls-subject", "uri=spiffe://a/b"))
    assert "tls_client_auth_san_dns" not in other
    secret = document(update("--auth", "client_secret_basic"))
    assert "tls_client_auth_san_uri" not in secret
    assert "needs one of --jwks, --jwks-uri" in refused(update("--auth", "private_key_jwt"), code=2)


def test_a_client_that_changes_to_secrets_and_has_none_is_told_how_to_get_one(run):
    """Otherwise it could not authenticate, for no visible reason."""
    keys = ("--auth", "private_key_jwt", "--jwks-uri", "https://a.example/jwks")
    run("clients", "create", "till", *keys)
    done = run("clients", "update", "till", "--auth", "client_secret_basic")
    assert "has no live secret; run: watchword clients secrets add till" in done.stderr


def test_a_method_that_is_switched_off_is_warned_of(run, monkeypatch):
    """At once, and again by doctor; no certificate counts without the setting."""
    named = ("--auth", "tls_client_auth", "--tls-subject", "dns=a.example")
    warning = "warning: tls_client_auth is switched off here; set WATCHWORD_TLS_CLIENT_CA"
    assert warning in run("clients", "create", "till", *named).stderr
    run("clients", "create", "shop")
    done = run("clients", "update", "shop", *named)
    assert warning in done.stderr
    assert done.returncode == 0
    run("clients", "disable", "shop")
    found = json.loads(run("doctor", "--json").stdout)["findings"]
    told = [each["found"] for each in found if each["check"] == "clients"]
    assert told == ["till cannot authenticate: tls_client_auth is switched off"]
    monkeypatch.setenv("WATCHWORD_TLS_CLIENT_CA", "none")
    monkeypatch.setenv("WATCHWORD_TRUSTED_PROXIES", "10.0.0.1")
    assert warning in run("clients", "update", "shop", *named).stderr
    keys = ("--auth", "self_signed_tls_client_auth", "--jwks-uri", "https://a.example/jwks")
    assert "switched off" not in run("clients", "create", "own", *keys).stderr


def test_a_change_between_reading_and_writing_is_not_lost(update, monkeypatch):
    """The second change is decided again, on the current state."""
    really, conflicts = Administration.update_client, [1, 2]

    def contested(self, client_id, patch, *, revision=None):
        if conflicts:
            conflicts.pop()
            really(self, client_id, {"client_name": f"changed {len(conflicts)}"})
            return really(self, client_id, patch, revision=revision)
        return really(self, client_id, patch, revision=revision)

    monkeypatch.setattr(Administration, "update_client", contested)
    after = document(update("--add-scope", "write"))
    assert (after["client_name"], after["scope"]) == ("changed 0", "read write ship")

    def always(self, client_id, patch, *, revision=None):
        raise RevisionConflict("it has changed since it was read; read it again")

    monkeypatch.setattr(Administration, "update_client", always)
    assert "has changed since" in refused(update("--remove-scope", "write"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([], "say what changes"),
        (["--unset", "auth"], "--unset: choose name, auth-alg, token-ttl"),
        (["--unset", "metadata."], "--unset: choose name, auth-alg, token-ttl"),
        (["--unset", "name", "--name", "x"], "--unset name: "),
        (["--unset", "metadata", "--unset", "metadata.a"], "--unset metadata.a: "),
        (["--unset", "default-scope", "--default-scope", "read"], "--unset default-scope: "),
        (["--scope", "read", "--add-scope", "write"], "--scope: not together with --add-scope"),
        (["--resource", ORDERS], "--resource: say what changes"),
        (["--no-grants", "--add-scope", "a"], "--no-grants: not together with --add-scope"),
        (["--expires-in", "9", "--unset", "expires-at"], "--unset expires-at: "),
        (["--name", "a\tb"], "--name: "),
    ],
)
def test_what_cannot_be_said_together_is_wrong_usage(update, changes, words):
    """Exit code 2, one line why."""
    assert words in refused(update(*changes), code=2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--add-scope", "fly"], "no such scope on"),
        (["--add-scope", "read", "--resource", "https://no"], "no such resource: https://no"),
        (["--remove-scope", "fly"], "the client does not hold the scope: fly"),
        (["--remove-scope", "ship", "--resource", ISSUER], f"hold the scope on {ISSUER}: ship"),
    ],
)
def test_what_is_not_there_is_refused(update, changes, words):
    """Exit code 1, one line why, and nothing has changed."""
    assert words in refused(update(*changes))
    assert granted(update("--name", "same"))[ORDERS] == ("read ship", "read")


def test_a_client_without_resources_must_be_told_where(run):
    """A scope means nothing without its resource."""
    run("clients", "create", "idle", "--no-grants")
    done = run("clients", "update", "idle", "--add-scope", "read")
    assert "--add-scope: the client has no resource yet" in refused(done, code=2)
    named = ("--add-scope", "read", "--resource", ISSUER, "--grant-type", "client_credentials")
    assert granted(run("clients", "update", "idle", *named, "--json")) == {ISSUER: ("read", None)}


def test_what_comes_to_nothing_is_warned_of(run):
    """A mistyped resource has no tokens, of which a gateway would never be told."""
    mistyped = f"{ISSUER}/x"
    subjects = ["gaet", "gate", "*"]
    exchange = {"subject_resource": mistyped, "resource": ORDERS, "subjects": subjects}
    done = run("clients", "create", "gate", "--introspects", mistyped)
    assert f"warning: {mistyped} is no resource here" in done.stderr
    assert "may ask for nothing yet" not in done.stderr
    done = run("clients", "update", "gate", "--introspects", ISSUER)
    assert "warning" not in done.stderr
    done = run("clients", "update", "gate", "--token-exchange", json.dumps(exchange))
    for words in (f"{mistyped} is no resource", "--grant-type urn:", f"{ORDERS} it needs a grant"):
        assert words in done.stderr
    assert "warning: gaet is no client here" in done.stderr
    assert "to exchange; did you mean gate?\n" in done.stderr
    assert done.stderr.count("is no client here") == 1


def test_whose_tokens_a_client_may_exchange_is_an_object_each_time(run):
    """RFC 8693: the option repeats, and `--unset` takes all of them away."""
    first = {"subject_resource": ISSUER, "resource": "https://next.example", "subjects": ["web"]}
    second = first | {"resource": "https://other.example", "subjects": ["*"], "max_depth": 2}
    options = [word for each in (first, second) for word in ("--token-exchange", json.dumps(each))]
    created = document(run("clients", "create", "orders", *options, "--json"))
    assert created["token_exchange"] == [first | {"max_depth": 1}, second]
    shown = run("clients", "show", "orders").stdout
    assert f"{ISSUER} to https://next.example for web (depth 1)" in shown
    wrong = {
        "[]": "--token-exchange: must be a JSON object",
        "{": "--token-exchange: must be a JSON object",
        json.dumps(first | {"subjects": []}): "needs at least one subject",
        json.dumps(first | {"depth": 2}): "--token-exchange: depth: is not known here",
        json.dumps({"resource": ISSUER, "subject_resource": ISSUER}): "subjects: is missing",
    }
    for text, words in wrong.items():
        change = ("clients", "update", "orders", "--token-exchange", text)
        assert words in refused(run(*change), code=2)
    run("clients", "update", "orders", "--unset", "token-exchange")
    assert "token_exchange" not in document(run("clients", "show", "orders", "--json"))
