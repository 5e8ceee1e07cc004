"""What a command says to people."""

import pytest

from watchword.cli.output import printable, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\nb", r"a\nb"),
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_terminal_would_act_upon_is_escaped(text, shown, capsys):
    """Line ends too: one message is one line."""
    assert printable(text) == shown
    say(text)
    assert capsys.readouterr().err == shown + "\n"
