"""client_secret_jwt from the command line to the token, and what becomes of the passphrase."""

import json
import time

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import ClientSecretJWT

from consumer import ClientCredentials
from consumer.client_assertion import ClientSecretJwt
from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document
from tests.support.provider import make_place, running

PASSPHRASE, NEW = "correct horse battery", "another staple"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A running provider that takes such assertions."""
    place = make_place(
        tmp_path_factory.mktemp("signing"),
        WATCHWORD_CLIENT_SECRET_JWT="on",
        WATCHWORD_KEY_PASSPHRASE=PASSPHRASE,
    )
    place.add_key()
    with running(place):
        yield place


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder, with the method switched on."""
    run = run_in_empty_folder(tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET_JWT", "on")
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", PASSPHRASE)
    return run


def answer(place, client_id, secret):
    """Call the demo API as a client that signs, by the consumer."""
    auth = ClientCredentials(place.url, ClientSecretJwt(client_id, secret), scope="read")
    with httpx.Client(auth=auth, trust_env=False) as client:
        return client.get(f"{place.url}/read-resource").status_code


@pytest.mark.rfc("7523-3-4", "8414-2-1")
def test_the_consumer_and_authlib_get_tokens_while_secrets_take_over(place):
    """The secret is in no request, and it is in the database sealed."""
    old = place.json("clients", "create", "till", "--auth", "client_secret_jwt", "--all-scopes")
    assert answer(place, "till", old["client_secret"]) == 200
    new = place.json("clients", "secrets", "add", "till")["client_secret"]
    assert answer(place, "till", new) == 200
    assert place.run("clients", "secrets", "revoke", "till", old["secret_id"]).returncode == 0
    metadata = place.get("/.well-known/oauth-authorization-server").json()
    assert "client_secret_jwt" in metadata["token_endpoint_auth_methods_supported"]
    # RFC 10070: the issuer, where Authlib writes the URL of the endpoint; and five minutes at most.
    method = ClientSecretJWT(metadata["issuer"], claims={"exp": int(time.time()) + 60})
    session = OAuth2Client(
        "till", new, token_endpoint_auth_method="client_secret_jwt", trust_env=False
    )
    with session:
        session.register_client_auth_method(method)
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    assert token["token_type"] == "Bearer"
    stored = b"".join(each.read_bytes() for each in (place.folder / "data").glob("registry.db*"))
    assert new.encode() not in stored
    assert b"$sealed$" in stored


def test_another_passphrase_seals_the_key_anew_and_no_secret(run, tmp_path, monkeypatch):
    """The present one fails from then on, with what mends it, and the next one opens."""
    created = run("clients", "create", "till", "--auth", "client_secret_jwt", "--json")
    assert document(created)["client_secret"].startswith("wws_")
    run("keys", "generate")
    (tmp_path / "new").write_text(NEW)
    assert run("keys", "passphrase", "--new-passphrase-file", "new").returncode == 0
    told = refused(run("clients", "secrets", "add", "till"))
    assert "the secrets of client_secret_jwt do not open: set WATCHWORD_KEY_PASSPHRASE" in told
    found = json.loads(run("doctor", "--json").stdout)["findings"]
    assert "client_secrets" in {each["check"] for each in found}
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
    assert run("clients", "secrets", "add", "till").returncode == 0
    assert "always sealed" in refused(run("keys", "passphrase", "--remove"))


def test_with_a_lost_passphrase_the_secrets_are_revoked_and_made_anew(run, monkeypatch):
    """While the method is off no secret is opened, so that they can be revoked."""
    made = run("clients", "create", "till", "--auth", "client_secret_jwt", "--json")
    monkeypatch.setenv("WATCHWORD_KEY_PASSPHRASE", NEW)
    refused(run("clients", "secrets", "add", "till"))
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET_JWT", "off")
    secret_id = document(made)["secret_id"]
    assert run("clients", "secrets", "revoke", "till", secret_id).returncode == 0
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET_JWT", "on")
    assert run("clients", "secrets", "add", "till").returncode == 0


def test_the_method_needs_a_passphrase_and_generated_secrets(run, monkeypatch):
    """A chosen secret could be guessed by whoever sees an assertion."""
    create = ("clients", "create", "till", "--auth", "client_secret_jwt")
    chosen = run(*create, "--secret-stdin", stdin="correct horse battery staple")
    assert "no secret that was chosen" in refused(chosen, code=2)
    monkeypatch.delenv("WATCHWORD_KEY_PASSPHRASE")
    assert "WATCHWORD_CLIENT_SECRET_JWT: secrets" in refused(run(*create), code=2)
