"""How data leaves for scripts and for people."""

import json
import os

import pytest
import typer
import yaml

from watchword.cli.output import WrongUsage
from watchword.cli.printing import Form, Output, prints, prints_table, rfc3339
from watchword.cli.tables import Column

JSON, YAML, TABLE, WIDE = Output(Form.JSON), Output(Form.YAML), Output(), Output(wide=True)
HOSTILE = {"\x9b2J": ["\u202egpj.exe", "\x7f\x85", "\udcff", "é 漢 😀"]}
NOW = 1_800_000_000
COLUMNS = (Column("id"), Column("scope", "words"), Column("at", "time"), Column("alg", wide=True))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Turn the clock by hand."""
    monkeypatch.setattr("watchword.cli.printing.wall_clock", lambda: NOW)


@pytest.fixture
def terminal(monkeypatch):
    """Make standard output a terminal of some width."""

    def make(columns, **environment):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 50)))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize("output", [JSON, YAML], ids=lambda each: each.form)
def test_a_list_printed_piece_by_piece_is_the_list_printed_whole(output, capsys):
    """Byte for byte, whatever is in it."""
    items = [{"a": 1, "b": ["é", {}]}, {}, {"c": "x\ny"}]
    for count in range(len(items) + 1):
        output.documents("things", iter(items[:count]))
        pieces = capsys.readouterr().out
        output.document({"things": items[:count]})
        assert pieces == capsys.readouterr().out


@pytest.mark.parametrize("output", [JSON, YAML], ids=lambda each: each.form)
def test_a_failure_before_the_first_item_leaves_nothing_printed(output, capsys):
    """A script never sees part of a document of a command that was refused."""

    def failing():
        raise LookupError
        yield

    with pytest.raises(LookupError):
        output.documents("things", failing())
    assert capsys.readouterr().out == ""


def test_items_are_printed_as_they_come(capsys):
    """A million of them are never in memory at once."""
    seen = []

    def items():
        for number in range(3):
            seen.append(capsys.readouterr().out)
            yield number

    JSON.documents("n", items())
    assert [bool(each) for each in seen] == [False, True, True]
    assert json.loads("".join(seen) + capsys.readouterr().out) == {"n": [0, 1, 2]}


def test_names_and_documents_are_escaped_as_well(capsys):
    """A claim of a token that somebody sent may have any name; JSON leaves C1 controls alone."""
    TABLE.fields({"\x1b]0;x\x07": "1"})
    JSON.document(HOSTILE)
    JSON.documents("n\x9b", [HOSTILE])
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert "é 漢 😀" in out
    fields, shown, listed = out.partition("\n{")[0], *out.partition("\n{")[2].split("\n}\n{")
    assert r"\x1b]0;x\x07" in fields
    assert json.loads("{" + shown + "}") == HOSTILE
    assert json.loads("{" + listed) == {"n\x9b": [HOSTILE]}


def test_yaml_says_the_same_and_is_escaped_too(capsys):
    """What YAML reads back is what was there; text that only looks like another type is text."""
    document = {"at": "2027-01-31T12:00:00Z", "no": "no", "n": None, "é": "\x9b2J\u202e", "i": 1}
    YAML.document(document)
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert yaml.safe_load(out) == document
    YAML.document({"name": "café"})
    assert capsys.readouterr().out == "name: café\n"


def test_a_list_without_end_has_an_entry_a_line_or_a_yaml_item_each(capsys):
    """A reader of lines has each as soon as it is there."""
    for number in range(2):
        JSON.entry({"n": number, "x": "\x9b"})
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 0, "x": "\x9b"}, {"n": 1, "x": "\x9b"}]
    for number in range(2):
        YAML.entry({"n": number})
    assert yaml.safe_load(capsys.readouterr().out) == [{"n": 0}, {"n": 1}]


def test_values_are_written_for_people(capsys):
    """Claims as JSON, which is what they are typed as, and a choice in words."""
    TABLE.fields({"claims": {"tenant": "café", "tier": None}, "status_list": False, "none": None})
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ['claims       {"tenant": "café", "tier": null}', "status_list  no"]


def test_a_time_of_one_thing_is_shown_with_its_distance(capsys):
    """Under a name of a time alone: a name for people may look like one."""
    time = rfc3339(NOW - 7200)
    TABLE.fields(
        {"created_at": time, "signs_from": rfc3339(NOW + 90), "name": time, "ends_at": "-"}
    )
    assert capsys.readouterr().out.splitlines() == [
        f"created_at  {time} (2 h ago)",
        f"signs_from  {rfc3339(NOW + 90)} (in 1 min)",
        f"name        {time}",
        "ends_at     -",
    ]
    assert rfc3339(None) is None


def test_a_table_has_few_columns_and_times_by_their_distance(capsys):
    """All columns and full times are asked for."""
    rows = [{"id": "x", "scope": "a b", "at": rfc3339(NOW - 60), "alg": "RS256", "more": 1}]
    rows.append({"id": "y", "at": "never"})
    TABLE.table(COLUMNS, rows)
    assert capsys.readouterr().out.splitlines() == [
        "id  scope  at",
        "x   a b    1 min ago",
        "y          never",
    ]
    WIDE.table(COLUMNS, rows)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "id  scope  at                    alg",
        f"x   a b    {rfc3339(NOW - 60)}  RS256",
    ]


def test_only_a_terminal_has_colour_and_folded_lines(capsys, terminal):
    """What is piped gets whole lines; `NO_COLOR` is honoured."""
    rows = [{"id": "x", "scope": "read write " * 20}]
    TABLE.table(COLUMNS, rows)
    piped = capsys.readouterr().out
    assert len(piped.splitlines()) == 2
    assert "\x1b" not in piped
    terminal(60)
    TABLE.table(COLUMNS, rows)
    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[1mid  scope")
    assert all(len(line) <= 68 for line in shown.splitlines())
    terminal(60, NO_COLOR="1")
    TABLE.table(COLUMNS, rows)
    assert "\x1b" not in capsys.readouterr().out


def _outputs(*commands):
    got = []
    app = typer.Typer()
    for decorate in commands:

        @app.command(decorate.__name__.replace("_", "-"))
        @decorate
        def command(output: Output = TABLE) -> None:
            """Print."""
            got.append(output)

    return app, got


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ([], TABLE),
        (["--json"], JSON),
        (["--output", "json"], JSON),
        (["--output", "json", "--json"], JSON),
        (["--output", "yaml"], YAML),
        (["--output", "table"], TABLE),
    ],
)
def test_every_command_takes_the_same_options(words, output):
    """The old one stays; lists have one more."""
    app, got = _outputs(prints, prints_table)
    app(["prints", *words], standalone_mode=False)
    app(["prints-table", "--wide", *words], standalone_mode=False)
    assert got == [output, Output(output.form, wide=True)]


def test_two_forms_at_once_are_refused():
    """One line that names both."""
    app, got = _outputs(prints, prints_table)
    with pytest.raises(WrongUsage, match="--json: not together with --output yaml"):
        app(["prints", "--json", "--output", "yaml"], standalone_mode=False)
    assert got == []
