"""`clients create` and `clients update` with `--generate-key`: a client without a secret."""

import stat
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from consumer.client_assertion import PrivateKeyJwt
from keys.jwk import public_jwk
from tests.support.cli import refused, run_in_empty_folder
from tests.support.command import document

CREATE = ("clients", "create", "orders", "--scope", "read")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run commands in this process, in an empty folder with default settings."""
    return run_in_empty_folder(tmp_path, monkeypatch, capsys)


def kids(run):
    """Return the kids of the client's registered keys."""
    shown = document(run("clients", "show", "orders", "--json"))
    return [each["kid"] for each in shown["jwks"]["keys"]]


def thumbprint(file, alg):
    """Return the kid of the public half of a private key."""
    return public_jwk(load_pem_private_key(Path(file).read_bytes(), None), alg).kid


@pytest.mark.parametrize(
    ("words", "alg", "line"),
    [
        ((), "ES256", 'PrivateKeyJwt("orders", Path("orders.pem"))'),
        (("--key-alg", "Ed25519"), "Ed25519", 'PrivateKeyJwt("orders", Path("orders.pem"))'),
        (("--key-alg", "PS256"), "PS256", 'Path("orders.pem"), alg="PS256")'),
        (("--auth-alg", "RS256"), "RS256", 'PrivateKeyJwt("orders", Path("orders.pem"))'),
    ],
)
def test_a_client_is_made_with_a_key_pair(run, tmp_path, words, alg, line):
    """The private key is in a file of its owner alone, and the line for the consumer works."""
    done = run(*CREATE, "--generate-key", *words)
    assert (done.returncode, line in done.stderr) == (0, True)
    file = tmp_path / "orders.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "PRIVATE" not in done.stdout + done.stderr
    shown = document(run("clients", "show", "orders", "--json"))
    assert shown["token_endpoint_auth_method"] == "private_key_jwt"
    assert not shown["secrets"]
    (key,) = shown["jwks"]["keys"]
    assert (key["alg"], key["kid"]) == (alg, thumbprint(file, alg))
    auth = PrivateKeyJwt("orders", file, alg if alg == "PS256" else None)
    form: dict[str, str] = {}
    auth.apply(form, {}, audience="https://auth.example", now=0)
    assert jwt.get_unverified_header(form["client_assertion"])["kid"] == key["kid"]


def test_a_key_is_printed_only_if_asked_for(run, tmp_path):
    """And not beside a document that a script reads."""
    both = refused(run(*CREATE, "--generate-key", "--key-file", "-", "--json"), 2)
    assert "--key-file -: not with" in both
    done = run(*CREATE, "--generate-key", "--key-file", "-")
    assert "-----BEGIN PRIVATE KEY-----" in done.stdout
    assert not list(tmp_path.glob("*.pem"))


def test_a_document_has_the_public_key_alone(run, tmp_path):
    """The private key goes to its file as ever."""
    created = document(run(*CREATE, "--generate-key", "--key-file", "k.pem", "--json"))
    assert created["jwks"]["keys"][0]["kid"] == thumbprint(tmp_path / "k.pem", "ES256")
    assert "d" not in created["jwks"]["keys"][0]
    assert "client_secret" not in created


def test_a_key_is_rotated_by_adding_the_next_one(run, tmp_path):
    """Both count until the old one is taken away."""
    run(*CREATE, "--generate-key")
    old = kids(run)
    update = ("clients", "update", "orders", "--generate-key", "--key-file")
    assert run(*update, "next.pem").returncode == 0
    assert kids(run) == [*old, thumbprint(tmp_path / "next.pem", "ES256")]
    assert run(*update, "last.pem", "--replace-keys").returncode == 0
    assert kids(run) == [thumbprint(tmp_path / "last.pem", "ES256")]


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("--key-file", "k"), "--key-file: only with --generate-key", 2),
        (("--key-alg", "ES256"), "--key-alg: only with --generate-key", 2),
        (("--generate-key", "--key-alg", "HS256"), "--key-alg: must be one of RS256", 2),
        (
            ("--generate-key", "--jwks-uri", "https://a.example/j"),
            "not together with --jwks-uri",
            2,
        ),
        (("--generate-key", "--auth", "client_secret_basic"), "basic has no --jwks", 2),
        (("--auth-alg", "ES256"), "client_secret_basic has no --auth-alg", 2),
        (("--generate-key", "--key-file", "there.pem"), "there.pem exists already", 1),
        (("--generate-key", "--key-file", "no/k.pem"), "no/k.pem cannot be written", 1),
    ],
)
def test_a_refused_command_makes_neither_client_nor_key(run, tmp_path, words, message, code):
    """A failed command leaves everything as it was."""
    (tmp_path / "there.pem").write_text("x")
    assert message in refused(run(*CREATE, *words), code)
    assert [each.name for each in tmp_path.glob("*.pem")] == ["there.pem"]
    assert document(run("clients", "list", "--json"))["clients"] == []


def test_the_file_goes_if_the_client_is_refused(run, tmp_path):
    """The key of no client is of no use."""
    run(*CREATE)
    assert run(*CREATE, "--generate-key").returncode == 1
    assert not list(tmp_path.glob("*.pem"))
    strange = ("clients", "create", "https://a.example/x", "--scope", "read", "--generate-key")
    assert "--key-file: name a file" in refused(run(*strange), 2)


def test_the_algorithm_goes_with_the_method(run):
    """A client that gets another method needs none of it any more."""
    run(*CREATE, "--generate-key", "--auth-alg", "ES256")
    changed = document(
        run("clients", "update", "orders", "--auth", "client_secret_basic", "--json")
    )
    assert "token_endpoint_auth_signing_alg" not in changed
    assert "jwks" not in changed
