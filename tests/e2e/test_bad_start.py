"""What cannot work is told in one line a mistake, with the right exit code, and leaves nothing."""

import socket
from pathlib import Path

import pytest

from tests.support.command import Done
from tests.support.provider import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a folder in which nothing has been made."""
    return make_place(tmp_path)


def assert_told(done: Done, code: int, *lines: str) -> None:
    """Each mistake has its line, and there is nothing else."""
    told = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(told)) == (code, "", len(lines)), done.stderr
    for line, words in zip(sorted(told), sorted(lines), strict=True):
        assert line.startswith("watchword: ")
        assert words in line


def test_no_key_yet(place: Place) -> None:
    """The line names the command that makes one, and no database is left behind."""
    assert_told(
        place.run("serve", cold=True), 1, "there is no signing key; run: watchword keys generate"
    )
    assert list(place.folder.glob("data/*.db")) == []


def test_a_port_in_use(place: Place) -> None:
    """Another server is not joined by accident, with one worker or two."""
    place.add_key()
    with socket.create_server(("127.0.0.1", place.port), reuse_port=True):
        for workers in ("1", "2"):
            options = ("--port", str(place.port), "--workers", workers)
            done = place.run("serve", *options, cold=True)
            assert_told(done, 1, f"cannot listen on 127.0.0.1 port {place.port}: address already")


def test_an_address_that_is_not_ours(place: Place) -> None:
    """A host that does not resolve, or is another machine's, is named."""
    place.add_key()
    assert_told(place.run("serve", "--host", "203.0.113.1"), 1, "cannot listen on 203.0.113.1")


@pytest.mark.parametrize("command", [("serve",), ("keys", "generate"), ("clients", "list")])
def test_a_file_in_the_place_of_the_data_folder(place: Place, command: tuple[str, ...]) -> None:
    """The folder is named, and the file is left as it was."""
    (place.folder / "data").write_text("mine")
    done = place.run(*command)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert str(place.folder / "data") in done.stderr
    assert (place.folder / "data").read_text() == "mine"


@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ("https://a.example?x=1", "must not have a query"),
        ("https://a.example#x", "must not have a fragment"),
        ("http://a.example", "plain http is for loopback hosts only; use https"),
        ("a.example", "must be an absolute URL"),
    ],
)
def test_an_issuer_that_cannot_be(place: Place, issuer: str, words: str) -> None:
    """The setting is named, with the fault and the mend."""
    place.settings["WATCHWORD_ISSUER"] = issuer
    assert_told(place.run("serve"), 2, f"WATCHWORD_ISSUER: {words}")


def test_all_mistakes_come_at_once(place: Place) -> None:
    """Flag, environment and file are each named as they were given; secrets are not shown."""
    (place.folder / "watchword.toml").write_text('token_tll = 5\nworkers = "many"\n')
    place.settings |= {"WATCHWORD_TOKEN_TTL": "0", "WATCHWORD_MTLS_URL": "http://m.example"}
    place.settings["WATCHWORD_ISUER"] = "https://a.example"
    place.settings["WATCHWORD_CLAIM_HOOKS"] = "no_hooks:tenant,base64:b85alphabet"
    done = place.run("serve", "--port", "99999", cold=True)
    assert_told(
        done,
        2,
        "--port: ",
        "WATCHWORD_CLAIM_HOOKS: no_hooks:tenant cannot be imported: ModuleNotFoundError",
        "WATCHWORD_CLAIM_HOOKS: base64:b85alphabet cannot be imported: AttributeError",
        "WATCHWORD_MTLS_URL: must use https, since clients show certificates in TLS",
        "WATCHWORD_TOKEN_TTL: ",
        "WATCHWORD_WORKERS: ",
        "WATCHWORD_ISUER: unknown setting; did you mean WATCHWORD_ISSUER?",
        "token_tll: unknown setting; did you mean token_ttl?",
    )


def test_a_file_that_is_no_toml(place: Place) -> None:
    """The line of the mistake is told."""
    (place.folder / "watchword.toml").write_text("issuer = \n")
    done = place.run("serve")
    assert_told(done, 2, "watchword.toml: not valid TOML")
    assert "line 1" in done.stderr


def test_a_half_written_key_file(place: Place) -> None:
    """The file is named, and how to go on."""
    file = place.folder / "data" / "keys" / f"{place.add_key()}.pem"
    file.write_bytes(file.read_bytes()[:400])
    done = place.run("serve", cold=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert file.name in done.stderr


def test_a_key_that_others_can_read(place: Place) -> None:
    """A private key is private or it is not used."""
    (place.folder / "data" / "keys" / f"{place.add_key()}.pem").chmod(0o644)
    done = place.run("serve")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "chmod 600" in done.stderr


def test_a_wrong_passphrase(place: Place) -> None:
    """The passphrase is asked for by its setting's name, and never shown."""
    place.settings["WATCHWORD_KEY_PASSPHRASE"] = "right-words"
    place.json("keys", "generate")
    place.settings["WATCHWORD_KEY_PASSPHRASE"] = "wrong-words"
    done = place.run("serve")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "passphrase" in done.stderr
    assert "words" not in done.stderr


def test_dev_mode_is_for_loopback(place: Place) -> None:
    """Throw-away credentials are not shown to a network."""
    done = place.run("serve", "--dev", "--host", "0.0.0.0")
    assert_told(done, 2, "--host: --dev serves on loopback only")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "--only", "both"), "--only: must be issuer or api"),
        (("serve", "--dev", "--only", "api"), "--dev: serves issuer and demo API"),
        (("serve", "--demo", "--only", "issuer"), "--demo: --only issuer leaves the demo API out"),
        (("serve", "--apply", "x.yaml"), "--apply: goes with --dev alone"),
        (("serve", "--dev-secret", "x"), "--dev-secret: goes with --dev alone"),
        (("serve", "--dev", "--apply", "-"), "--apply: must name a file"),
        (("serve", "--dev", "--apply", "x.yaml"), "x.yaml: cannot be read"),
        (("serve", "--dev", "--dev-secret", "short"), "--dev-secret: a secret is 8 to 512"),
        (("serve", "--dev", "--dev-secret", "@x"), "--dev-secret: it cannot be read"),
        (("bogus",), "No such command"),
        (("serve", "--bogus"), "No such option"),
        (("scenario",), "set WATCHWORD_CLIENT_ID and WATCHWORD_CLIENT_SECRET"),
        (("token", "get"), "set WATCHWORD_CLIENT_ID and WATCHWORD_CLIENT_SECRET"),
    ],
)
def test_wrong_usage(place: Place, arguments: tuple[str, ...], words: str) -> None:
    """Usage mistakes are exit code 2."""
    assert_told(place.run(*arguments), 2, words)


def test_a_token_that_is_none(place: Place) -> None:
    """Decoding fails in one line that does not repeat what was given."""
    done = place.run("token", "inspect", "abc.def")
    assert_told(done, 1, "that is not a signed token in compact form")


def test_nobody_listens(place: Place) -> None:
    """A provider that is not there is named."""
    place.settings |= {"CLIENT_ID": "a", "CLIENT_SECRET": "b" * 32}
    assert_told(place.run("token", "get"), 1, "cannot be reached")


def test_a_certificate_that_cannot_be_served(place: Place) -> None:
    """With one worker or two, before anything is served; the other commands do not read it."""
    place.add_key()
    (place.folder / "cert.pem").write_text("mine")
    place.settings |= {"WATCHWORD_TLS_CERT": "cert.pem", "WATCHWORD_TLS_KEY": "cert.key"}
    place.settings["WATCHWORD_ISSUER"] = "https://auth.example.com"
    for workers in ("1", "2"):
        done = place.run("serve", "--workers", workers)
        assert_told(done, 2, "WATCHWORD_TLS_KEY: cert.key cannot be read: no such file")
    (place.folder / "cert.key").write_text("mine")
    assert_told(place.run("serve"), 2, "cert.pem and cert.key must be a certificate and its key")
    assert place.run("clients", "list").returncode == 0
