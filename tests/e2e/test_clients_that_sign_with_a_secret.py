"""client_secret_jwt from the command line to the token, and what becomes of the passphrase."""

import json
import shutil
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


@pytest.mark.rfc("7591-3-1", "7523-3-4")
def test_a_client_that_registers_itself_may_sign_with_its_secret(place):
    """It is told the secret once, as any other."""
    initial = place.json("registration-tokens", "create", "--grant", f"{place.url} read")["token"]
    metadata = {"token_endpoint_auth_method": "client_secret_jwt"}
    sent = {"headers": {"Authorization": f"Bearer {initial}"}, "trust_env": False}
    told = httpx.post(f"{place.url}/register", json=metadata, **sent)
    assert (told.status_code, told.json()["token_endpoint_auth_method"]) == (
        201,
        "client_secret_jwt",
    )
    assert answer(place, told.json()["client_id"], told.json()["client_secret"]) == 200


def test_a_client_of_the_administration_api_signs_with_its_secret(place):
    """Also with the one that is added later."""
    api = f"{place.url}/admin/api/v1"
    scopes = "watchword:clients:write watchword:secrets:write"
    admin = place.json("clients", "create", "root", "--grant", f"{api} {scopes}")
    token = place.ask(admin, resource=api).json()["access_token"]
    document = {
        "client_id": "made",
        "token_endpoint_auth_method": "client_secret_jwt",
        "grants": [{"resource": place.url, "scope": "read"}],
    }
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(headers=headers, trust_env=False) as http:
        made = http.post(f"{api}/clients", json=document)
        assert made.status_code == 201, made.text
        added = http.post(f"{api}/clients/made/secrets", json={})
        assert added.status_code == 201, added.text
    for each in (made, added):
        assert answer(place, "made", each.json()["client_secret"]) == 200


def test_a_client_of_a_file_signs_with_a_secret_that_is_added(place):
    """A file has no secrets; the method is switched on where it is applied."""
    file = place.folder / "registry.yaml"
    client = {
        "client_id": "declared",
        "token_endpoint_auth_method": "client_secret_jwt",
        "grants": [{"resource": place.url, "scope": "read"}],
    }
    file.write_text(json.dumps({"clients": [client]}))
    done = place.run("apply", "registry.yaml")
    assert done.returncode == 0, done.stderr
    secret = place.json("clients", "secrets", "add", "declared")["client_secret"]
    assert answer(place, "declared", secret) == 200


def test_a_backup_has_the_secrets_as_they_are_sealed(tmp_path):
    """They open after a restore with the same passphrase, and are nowhere in the clear."""
    settings = {"WATCHWORD_CLIENT_SECRET_JWT": "on", "WATCHWORD_KEY_PASSPHRASE": PASSPHRASE}
    place = make_place(tmp_path, **settings)
    place.add_key()
    made = place.json("clients", "create", "till", "--auth", "client_secret_jwt", "--all-scopes")
    assert place.run("db", "backup", "monday.backup").returncode == 0
    assert made["client_secret"].encode() not in (tmp_path / "monday.backup").read_bytes()
    shutil.rmtree(tmp_path / "data")
    restored = place.run("db", "restore", "monday.backup")
    assert restored.returncode == 0, restored.stderr
    with running(place):
        assert answer(place, "till", made["client_secret"]) == 200


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
