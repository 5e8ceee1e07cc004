"""`python -m consumer`: settings, exit codes and one clear line."""

import subprocess
import sys

import pytest

import consumer.demo.scenario
from consumer.__main__ import DEFAULT_ISSUER, main
from consumer.client_assertion import PrivateKeyJwt
from consumer.client_auth import ClientSecretBasic
from keys.stores.key_file import render_private_pem
from tests.support.keys import ec_key

NAMES = ["CLIENT_ID", "CLIENT_SECRET", "CLIENT_KEY", "ISSUER", "API", "ALLOW_INSECURE_HTTP"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without settings of ours; returns the way to set some."""
    for name in NAMES:
        monkeypatch.delenv(f"WATCHWORD_{name}", raising=False)
        monkeypatch.delenv(name, raising=False)

    def set_all(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.fixture
def told(monkeypatch):
    """What the story was told with, instead of telling it."""
    calls = []

    def run(**settings):
        calls.append(settings)
        return 0

    monkeypatch.setattr(consumer.demo.scenario, "run", run)
    return calls


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "set WATCHWORD_CLIENT_ID and WATCHWORD_CLIENT_SECRET in the environment\n"),
        ({"CLIENT_ID": "a"}, "set WATCHWORD_CLIENT_SECRET in the environment\n"),
        ({"WATCHWORD_CLIENT_SECRET": "a"}, "set WATCHWORD_CLIENT_ID in the environment\n"),
    ],
)
def test_missing_settings_are_named_together(environment, capsys, given, message):
    """One line on stderr, exit code 2."""
    environment(**given)
    assert main([]) == 2
    assert capsys.readouterr() == ("", message)


def test_the_defaults(environment, told):
    """The API is where the issuer is, and the plain names of the credentials are understood."""
    environment(CLIENT_ID="a", CLIENT_SECRET="b")
    assert main([]) == 0
    assert told == [
        {
            "issuer": DEFAULT_ISSUER,
            "api": DEFAULT_ISSUER,
            "auth": ClientSecretBasic("a", "b"),
            "allow_insecure_http": False,
        }
    ]


def test_the_environment_and_the_flags_above_it(environment, told):
    """Our own names win over the plain ones, flags over the environment."""
    environment(
        CLIENT_ID="a",
        CLIENT_SECRET="b",
        WATCHWORD_CLIENT_ID="c",
        WATCHWORD_CLIENT_SECRET="d",
        WATCHWORD_ISSUER="https://e",
        WATCHWORD_API="https://f",
        WATCHWORD_ALLOW_INSECURE_HTTP="g.example, h.example",
    )
    main([])
    main(["--issuer", "https://g", "--api", "https://h"])
    settings = {
        "auth": ClientSecretBasic("c", "d"),
        "allow_insecure_http": ("g.example", "h.example"),
    }
    assert told == [
        {"issuer": "https://e", "api": "https://f"} | settings,
        {"issuer": "https://g", "api": "https://h"} | settings,
    ]


def test_white_space_around_the_credentials_is_no_part_of_them(environment, told):
    """A line end from a file would only be answered with 401."""
    environment(CLIENT_ID=" a\n", WATCHWORD_CLIENT_SECRET="b \r\n")
    assert main([]) == 0
    assert told[0]["auth"] == ClientSecretBasic("a", "b")


def test_a_client_with_a_key_needs_no_secret(environment, told, tmp_path, capsys):
    """The file is named; one that is not there is told in one line, exit code 2."""
    file = tmp_path / "key.pem"
    environment(CLIENT_ID="a", WATCHWORD_CLIENT_KEY=str(file))
    assert main([]) == 2
    assert f"No such file or directory: '{file}'" in capsys.readouterr().err
    file.write_bytes(render_private_pem(ec_key()))
    assert main([]) == 0
    assert told[0]["auth"] == PrivateKeyJwt("a", ec_key())


def test_a_secret_of_two_lines_is_refused(environment, told, capsys):
    """One line that does not show it, exit code 2."""
    environment(CLIENT_ID="a", CLIENT_SECRET="b\nc")
    assert main([]) == 2
    message = "the client secret has a line break or another control character\n"
    assert (told, capsys.readouterr().err) == ([], message)


def test_plain_http_to_what_is_no_host_is_refused(environment, told, capsys):
    """One line that names the setting, exit code 2."""
    environment(CLIENT_ID="a", CLIENT_SECRET="b", WATCHWORD_ALLOW_INSECURE_HTTP="http://g")
    assert main([]) == 2
    assert told == []
    assert capsys.readouterr().err.startswith("WATCHWORD_ALLOW_INSECURE_HTTP must be true, false")


def test_an_interrupt_is_130(environment, monkeypatch, capsys):
    """One word, no traceback."""

    def interrupted(**settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(consumer.demo.scenario, "run", interrupted)
    environment(CLIENT_ID="a", CLIENT_SECRET="b")
    assert main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_command_itself(environment):
    """Nothing listens there: one line, exit code 1."""
    environment(CLIENT_ID="a", CLIENT_SECRET="b")
    command = [sys.executable, "-m", "consumer", "--issuer", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "http://127.0.0.1:9/public cannot be reached" in done.stdout
    assert done.stdout.count("\n") == 1
