"""What the commands on the registry share."""

import io

import pytest

from issuer.admin.errors import InvalidDocument
from issuer.registry.errors import InvalidValue, RevisionConflict
from watchword.cli import registry
from watchword.cli.errors import WrongUsage


def test_a_mistake_of_a_document_is_told_by_the_option_that_was_typed():
    """What no option stands for keeps the name that the document has for it."""
    mistakes = [("/grants/0/scope", "is no scope"), ("/new", "is not known here"), ("", "too much")]
    with pytest.raises(WrongUsage) as refusal, registry.labelled({"grants": "--grant"}):
        raise InvalidDocument(mistakes)
    assert refusal.value.lines == ("--grant: is no scope", "new: is not known here", "too much")


def test_a_conflict_that_goes_on_is_told_in_the_end():
    """Nobody tries for ever."""
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
    monkeypatch.setattr("getpass.getpass", lambda prompt: "typed-without-echo")
    assert registry.read_secret() == "typed-without-echo"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"piped-secret\r\nmore\n")))
    assert registry.read_secret() == "piped-secret"


def test_the_end_of_input_is_no_secret(monkeypatch):
    """Ctrl-D at the question."""

    def end(prompt):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", end)
    with pytest.raises(InvalidValue, match="a secret is 8 to 512"):
        registry.read_secret()


def test_no_standard_input_is_no_answer(monkeypatch):
    """As when a service manager closed it."""
    monkeypatch.setattr("sys.stdin", None)
    assert registry.read_line() == b""
    with pytest.raises(InvalidValue, match="a secret is 8 to 512"):
        registry.read_secret()
