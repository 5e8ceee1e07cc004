"""How data leaves for scripts and for people."""

import json

import pytest

from watchword.cli.output import print_fields, print_json, print_json_list, printable, say


def test_a_list_printed_piece_by_piece_is_the_list_printed_whole(capsys):
    """Byte for byte, whatever is in it."""
    items = [{"a": 1, "b": ["é", {}]}, {}, {"c": "x\ny"}]
    for count in range(len(items) + 1):
        print_json_list("things", iter(items[:count]))
        pieces = capsys.readouterr().out
        print_json({"things": items[:count]})
        assert pieces == capsys.readouterr().out


def test_a_failure_before_the_first_item_leaves_nothing_printed(capsys):
    """A script never sees part of a document of a command that was refused."""

    def failing():
        raise LookupError
        yield

    with pytest.raises(LookupError):
        print_json_list("things", failing())
    assert capsys.readouterr().out == ""


def test_items_are_printed_as_they_come(capsys):
    """A million of them are never in memory at once."""
    seen = []

    def items():
        for number in range(3):
            seen.append(capsys.readouterr().out)
            yield number

    print_json_list("n", items())
    assert [bool(each) for each in seen] == [False, True, True]
    assert json.loads("".join(seen) + capsys.readouterr().out) == {"n": [0, 1, 2]}


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


def test_names_and_documents_are_escaped_as_well(capsys):
    """A claim of a token that somebody sent may have any name; JSON leaves C1 controls alone."""
    print_fields({"\x1b]0;x\x07": "1"})
    hostile = {"\x9b2J": ["\u202egpj.exe", "\x7f\x85", "\udcff", "é 漢 😀"]}
    print_json(hostile)
    print_json_list("n\x9b", [hostile])
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert "é 漢 😀" in out
    fields, shown, listed = out.partition("\n{")[0], *out.partition("\n{")[2].split("\n}\n{")
    assert r"\x1b]0;x\x07" in fields
    assert json.loads("{" + shown + "}") == hostile
    assert json.loads("{" + listed) == {"n\x9b": [hostile]}


def test_values_are_written_for_people(capsys):
    """Claims as JSON, which is what they are typed as, and a choice in words."""
    print_fields({"claims": {"tenant": "café", "tier": None}, "status_list": False})
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ['claims       {"tenant": "café", "tier": null}', "status_list  no"]


def test_square_brackets_are_no_markup(capsys):
    """The library that makes the tables would take them for colours."""
    print_fields({"name": "[red]x[/red] :key:", "none": None})
    assert capsys.readouterr().out.split() == ["name", "[red]x[/red]", ":key:"]
