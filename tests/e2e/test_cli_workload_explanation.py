"""`watchword token explain` of a token of a platform: which rule of which client it fits."""

import json
import time

import pytest

from tests.support.cli import ISSUER, run_in_empty_folder
from tests.support.workload_tokens import GITHUB_ACTIONS, KUBERNETES, signed
from watchword.testing.forge import TokenForge

FORGE = TokenForge()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


@pytest.fixture
def registered(run, tmp_path):
    """Register a client of a cluster, whose keys are known, and one of a repository."""
    (tmp_path / "jwks.json").write_bytes(FORGE.jwks_document)
    (tmp_path / "token").write_text(token())
    keys = ("--federated-keys", "jwks.json")
    assert run("clients", "create", "orders", "--federated-token", "token", *keys).returncode == 0
    shop = ("--federated", "github", "octocat@583231/shop@1296269")
    assert run("clients", "create", "shop", *shop).returncode == 0
    return run


def token(age=0, **changes):
    """Sign the token of a service account of now, or of some seconds ago."""
    now = int(time.time()) - age
    times = {"iat": now, "nbf": now, "exp": now + 3600}
    return signed(FORGE, KUBERNETES | {"aud": [ISSUER]} | times | changes)


def refusal(done):
    """Return the document that a command printed which refused."""
    assert done.returncode == 1, done.stderr
    return json.loads(done.stdout)


def test_a_token_that_fits_is_accepted_as_a_client(registered):
    """Its signature is verified as at the token endpoint."""
    done = registered("token", "explain", token())
    assert done.returncode == 0
    assert "fits" in done.stdout
    assert "shop" not in done.stdout
    assert "Accepted as the client orders" in done.stderr


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"sub": "system:serviceaccount:dev:orders"}, "federated_mismatch", "sub is"),
        ({"iss": "https://other.example"}, "federated_mismatch", "iss is"),
        ({"age": 9000}, "federated_token", "expired"),
    ],
)
def test_a_token_that_nearly_fits_is_told_with_what_differs(registered, changes, reason, words):
    """The rule that it fits best, and why it is refused."""
    told = refusal(registered("token", "explain", token(**changes), "--json"))
    assert (told["accepted"], told["reason"], told["client_id"]) == (False, reason, "orders")
    assert words in told["detail"]
    done = registered("token", "explain", token(**changes))
    assert f"Refused as the client orders: {reason}" in done.stderr


def test_a_client_that_is_disabled_or_has_ended_is_none(registered):
    """Though the rule fits."""
    assert registered("clients", "disable", "orders").returncode == 0
    told = refusal(registered("token", "explain", token(), "--json"))
    assert told["reason"] == "client_disabled"


def test_the_keys_of_a_platform_that_does_not_answer_are_no_refusal(registered):
    """Here the issuer is a name that no resolver knows."""
    rule = '{"issuer": "https://cluster.invalid", "subject": "a"}'
    changed = registered("clients", "update", "shop", "--federated-identity", rule)
    assert changed.returncode == 0
    sent = token(iss="https://cluster.invalid", sub="a")
    done = registered("token", "explain", sent)
    assert done.returncode == 1
    assert "https://cluster.invalid does not answer: ConnectError" in done.stderr
    assert "Refused as the client shop: trusted_issuer_unavailable" in done.stderr


def test_other_tokens_are_explained_as_an_api_does(registered):
    """Access tokens, tokens for a named API, and what is no token."""
    access = signed(FORGE, GITHUB_ACTIONS, typ="at+jwt")
    for arguments in ((access,), (token(), "--resource", ISSUER), ("not-a-token",)):
        done = registered("token", "explain", *arguments)
        assert done.returncode == 1
        assert "federated" not in done.stdout + done.stderr


def test_where_no_client_has_a_rule_a_token_is_explained_as_an_api_does(run):
    """Before there is a registry, and with a client that has a secret."""
    for _ in range(2):
        done = run("token", "explain", token())
        assert done.returncode == 1
        assert "Refused as the client" not in done.stderr
        assert run("clients", "create", "till").returncode in (0, 1)
