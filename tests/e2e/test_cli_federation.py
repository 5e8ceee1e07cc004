"""`clients create` and `update`: trust rules by a platform's words, and from a sample token."""

import json

import pytest

from issuer.registry.federated_identity import GITHUB
from tests.support.cli import ISSUER, refused, run_in_empty_folder
from tests.support.command import document
from tests.support.workload_tokens import (
    CLUSTER,
    GITHUB_ACTIONS,
    KUBERNETES,
    SVID,
    TRUST_DOMAIN,
    bundle,
    signed,
)
from watchword.testing.forge import TokenForge

SUBJECT = "system:serviceaccount:prod:orders"
RUN = {"repository_owner_id": "583231", "repository_id": "1296269"}
FORGE = TokenForge()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def identities(done):
    """Return the rules of the client that a command shows."""
    client = document(done)
    assert client["token_endpoint_auth_method"] == "federated"
    assert "client_secret" not in client
    return client["federated_identities"]


def test_a_workload_is_trusted_by_the_words_of_its_platform(run):
    """A client without a secret, in one command; a second cluster or platform is added to it."""
    at = ("--federated-issuer", CLUSTER, "--federated-audience", "watchword")
    created = run("clients", "create", "orders", "--federated", "kubernetes", "prod/orders", *at)
    assert created.returncode == 0
    assert f"{CLUSTER}, sub {SUBJECT}, for watchword" in created.stdout
    assert 'FederatedToken("orders", "/var/run/secrets/watchword/token")' in created.stderr
    repository = ("github", "octocat@583231/shop@1296269")
    where = ("--federated-claim", "environment=production")
    added = run("clients", "update", "orders", "--federated", *repository, *where, "--json")
    assert identities(added) == [
        {"issuer": CLUSTER, "subject": SUBJECT, "audience": "watchword"},
        {"issuer": GITHUB, "claims": RUN | {"environment": "production"}},
    ]


@pytest.mark.parametrize("way", ["file", "standard input"])
def test_a_rule_is_written_from_a_sample_token(run, tmp_path, way):
    """The token is in a file or a pipe, and never an argument."""
    token = signed(FORGE, GITHUB_ACTIONS | {"aud": ISSUER})
    (tmp_path / "token").write_text(token + "\n")
    if way == "file":
        done = run("clients", "create", "deploy", "--federated-token", "token", "--json")
    else:
        sent = f"Bearer {token}\n"
        done = run("clients", "create", "deploy", "--federated-token", "-", "--json", stdin=sent)
    assert identities(done) == [{"issuer": GITHUB, "claims": RUN | {"environment": "production"}}]
    assert token not in done.stdout + done.stderr


def test_keys_are_registered_or_asked_for_elsewhere(run, tmp_path):
    """For a cluster whose key set needs a credential, and for the bundle of a trust domain."""
    (tmp_path / "jwks.json").write_bytes(FORGE.jwks_document)
    (tmp_path / "token").write_text(signed(FORGE, KUBERNETES | {"aud": ISSUER}))
    keys = ("--federated-keys", "jwks.json")
    (cluster,) = identities(
        run("clients", "create", "orders", "--federated-token", "token", *keys, "--json")
    )
    assert cluster["jwks"] == json.loads(FORGE.jwks_document)
    shown = run("clients", "show", "orders")
    assert "keys registered" in shown.stdout
    (tmp_path / "svid").write_text(signed(FORGE, SVID | {"aud": ISSUER}))
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(FORGE)))
    keys = ("--federated-keys", "bundle.json")
    (pasted,) = identities(
        run("clients", "create", "a", "--federated-token", "svid", *keys, "--json")
    )
    assert (pasted["issuer"], pasted["jwks"]) == (TRUST_DOMAIN, bundle(FORGE))
    keys = ("--federated-keys", "https://spire.example:8443/bundle")
    named = ("--federated", "spiffe", f"{TRUST_DOMAIN}/orders")
    (fetched,) = identities(run("clients", "create", "b", *named, *keys, "--json"))
    assert fetched["jwks_uri"] == "https://spire.example:8443/bundle"
    assert "keys at https://spire.example:8443/bundle" in run("clients", "show", "b").stdout


@pytest.mark.parametrize("claims", [KUBERNETES, GITHUB_ACTIONS])
def test_a_sample_token_for_another_server_makes_no_rule_unless_it_is_named(run, tmp_path, claims):
    """A pod shows the platform's default audience to other servers, which could then be it."""
    (tmp_path / "token").write_text(signed(FORGE, claims | {"aud": "https://kubernetes.example"}))
    taken = ("clients", "create", "orders", "--federated-token", "token")
    told = refused(run(*taken), code=2)
    assert "--federated-token: aud is 'https://kubernetes.example'" in told
    assert f"have the token made for {ISSUER}" in told
    named = ("--federated-audience", "https://kubernetes.example")
    (rule,) = identities(run(*taken, *named, "--json"))
    assert rule["audience"] == "https://kubernetes.example"


def test_claims_that_are_no_text_are_shown_as_json(run):
    """In the one line that a rule has for people."""
    rule = {"issuer": "https://other.example", "claims": {"tenant": {"id": 7}}}
    done = run("clients", "create", "a", "--federated-identity", json.dumps(rule))
    assert 'https://other.example, tenant {"id": 7}' in done.stdout
    assert "In the consumer" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--federated", "kubernetes", "prod/orders"), "--federated-issuer: name the issuer"),
        (("--federated", "aws", "x"), "--federated: the platform must be one of kubernetes"),
        (("--federated", "github", "octocat/shop"), "--federated: a repository of GitHub is"),
        (("--federated", "spiffe", "spiffe://a/b"), "--federated-keys: a trust domain needs keys"),
        (("--federated-claim", "a=b"), "--federated-claim: only with --federated or"),
        (("--federated-token", "none"), "--federated-token: none cannot be read: no such file"),
        (("--federated-token", "token"), "--federated-token: that is not a signed token"),
        (("--federated-token", "x", "--federated", "oidc", "a"), "not together with --federated"),
        (
            ("--federated", "github", "a@1/b@2", "--federated-claim", "ref"),
            "--federated-claim: must be NAME=VALUE",
        ),
        (
            ("--federated", "github", "a@1/b@2", "--federated-keys", "none"),
            "--federated-keys: none cannot be read: no such file",
        ),
        (
            ("--federated", "github", "a@1/b@2", "--federated-identity", "{}"),
            "--federated: not together with --federated-identity",
        ),
        (("--auth", "federated"), "federated needs --federated-identity"),
        (
            ("--federated", "oidc", "a", "--federated-issuer", "http://a.example"),
            "--federated-issuer: plain http is allowed",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_one_line(run, tmp_path, arguments, words):
    """It names the option, and what would do."""
    (tmp_path / "token").write_text("not a token")
    assert words in refused(run("clients", "create", "orders", *arguments), code=2)


def test_a_client_with_a_secret_keeps_its_method_until_told(run):
    """A rule beside a secret would be a second way in."""
    assert run("clients", "create", "orders").returncode == 0
    added = ("--federated", "github", "a@1/b@2")
    told = refused(run("clients", "update", "orders", *added), code=2)
    assert "client_secret_basic has no --federated" in told
    changed = run("clients", "update", "orders", *added, "--auth", "federated", "--json")
    assert document(changed)["federated_identities"]
