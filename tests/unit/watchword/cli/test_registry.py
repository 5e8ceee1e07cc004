"""What the commands on the registry share."""

import io

import pytest

from issuer.registry.errors import RevisionConflict
from watchword.cli import registry
from watchword.cli.output import WrongUsage
from watchword.cli.token import client_credentials
from watchword.settings import load_settings


def test_a_conflict_that_goes_on_is_told_in_the_end():
    """The number of attempts is bounded."""
    tries = []

    def work():
        tries.append(1)
        raise RevisionConflict("again")

    with pytest.raises(RevisionConflict):
        registry.again_after_conflict(work)
    assert 1 < len(tries) < 10


def test_a_secret_typed_at_a_terminal_is_not_shown(monkeypatch):
    """It is asked for without echo; from a pipe, one line is read."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed-without-echo ")
    assert registry.read_secret() == "typed-without-echo"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"piped-secret\r\nmore\n")))
    assert registry.read_secret() == "piped-secret"


@pytest.mark.parametrize("sent", [b"a-secret \n", b" a-secret\t\r\n", b"\xef\xbb\xbfa-secret"])
def test_what_is_around_a_piped_secret_is_no_part_of_it(monkeypatch, sent):
    """White space and a byte order mark come from editors, and could never be sent back."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sent)))
    assert registry.read_secret() == "a-secret"


@pytest.mark.parametrize("name", ["WATCHWORD_CLIENT_SECRET", "CLIENT_SECRET"])
def test_the_clients_own_secret_is_taken_without_white_space(monkeypatch, tmp_path, name):
    """As it comes from a file that was made with an editor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WATCHWORD_CLIENT_SECRET", raising=False)
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "till\n")
    monkeypatch.setenv(name, " a-secret \r\n")
    assert client_credentials(load_settings()) == ("till", "a-secret")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (" \n", "set WATCHWORD_CLIENT_SECRET in the environment"),
        ("two\nlines", "WATCHWORD_CLIENT_SECRET: must be printable ASCII characters on one line"),
        ("söcret", "WATCHWORD_CLIENT_SECRET: must be printable ASCII characters on one line"),
    ],
)
def test_a_clients_own_secret_that_cannot_be_is_named(monkeypatch, tmp_path, value, line):
    """It is refused before anything is sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHWORD_CLIENT_ID", "till")
    monkeypatch.setenv("WATCHWORD_CLIENT_SECRET", value)
    with pytest.raises(WrongUsage) as caught:
        client_credentials(load_settings())
    assert str(caught.value) == line


def test_the_end_of_input_is_no_secret(monkeypatch):
    """Ctrl-D at the question."""

    def end(prompt):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", end)
    assert registry.read_secret() == ""


def test_no_standard_input_is_no_answer(monkeypatch):
    """As when a service manager closed it."""
    monkeypatch.setattr("sys.stdin", None)
    assert registry.read_line() == b""
    assert registry.read_secret() == ""
