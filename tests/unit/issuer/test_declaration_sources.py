"""`issuer.administration.declaration.reader` and `yaml_form`: what a text says, and where."""

import pytest

from issuer.administration.declaration.reader import Source, read_toml
from issuer.administration.declaration.yaml_form import read_yaml
from tests.support.declaration import mistakes


def test_a_path_that_is_not_in_the_text_has_the_line_of_what_is_around_it():
    """Something missing has no line of its own."""
    source = Source({}, {("clients",): 3, ("clients", 0): 5})
    assert source.line(("clients", 0, "client_id")) == 5
    assert source.line(("clients", 1)) == 3
    assert source.line(("version",)) == 1
    assert source.line(()) == 1


def test_toml_tells_no_lines_of_what_it_has_read():
    """Key paths are told instead."""
    assert read_toml("[[clients]]").line(("clients", 0)) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = =\n", "line 2: not TOML: Invalid value (column 5)"),
        ("a = 1\n[b", "line 2: not TOML: Expected ']' at the end of a table declaration (end of"),
        ("a = " + "9" * 5000, "not TOML: "),
        ("a = " + "[" * 100_000, "is nested more than 32 levels deep"),
        ("a = " + "[" * 40 + "]" * 40, "a[0][0][0]: is nested more than 32 levels deep"),
        (".".join("a" * 50) + " = 1", "a.a.a.a: is nested more than 32 levels deep"),
        ("[" + ".".join("a" * 50) + "]", "a.a.a.a: is nested more than 32 levels deep"),
        ('"\\u0000" = 1', "'\\x00': has a NUL or a lone surrogate in it"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_place(text, line):
    """The parser's words, in the form of all mistakes."""
    assert any(mistake.startswith(line) for mistake in mistakes(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("True", True),
        ("tRUE", "tRUE"),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'null'", "null"),
        ("0600", "0600"),
        ("0x10", "0x10"),
        ("12:30:00", "12:30:00"),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", ".5"),
        ("2030-01-31", "2030-01-31"),
        ("|\n  a\n  b", "a\nb"),
        ("{b: [1, x]}", {"b": [1, "x"]}),
        ("&anchor 5", 5),
    ],
)
def test_yaml_values_mean_what_they_mean_in_json(text, value):
    """Nothing is a boolean, an octal number or a date by surprise (YAML 1.2 core schema)."""
    assert read_yaml(f"a: {text}").values == {"a": value}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: !!str 5", "line 1: a: tags are not read; remove it"),
        ("a: !!python/object:os.system x", "line 1: a: tags are not read; remove it"),
        ("!!str a: 5", "line 1: a: tags are not read; remove it"),
        ("a: &x 1\nb: *x", "line 2: b: aliases are not read; write the value out"),
        ("a: 1\nb: 2\na: 3", "line 3: a: is given twice; first on line 1"),
        ("? [a]\n: 1", "line 1: a key must be plain text"),
        ("a: {[b]: 1}", "line 1: a: a key must be plain text"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins; a declaration is one"),
        ("- 1", "must be a mapping with resources and clients"),
        ("text", "must be a mapping with resources and clients"),
        ("a: " + "[" * 50, "line 1: a[0][0][0]: is nested more than 32 levels deep"),
        ("a: [\n", "line 2: not YAML: "),
        ("a: \x07", "not YAML: it has impossible characters"),
        ("a: " + "9" * 5000, "not YAML: it has impossible characters"),
    ],
)
def test_yaml_that_means_more_than_it_says_is_refused(text, line):
    """Each with its line where it has one."""
    assert any(mistake.startswith(line) for mistake in mistakes(text, "yaml"))


def test_yaml_mistakes_of_form_come_at_once():
    """Only what leaves the rest without meaning ends the reading."""
    assert mistakes("a: 1\na: !x 2\nb: *c", "yaml") == [
        "line 2: a: is given twice; first on line 1",
        "line 2: a: tags are not read; remove it",
        "line 3: b: aliases are not read; write the value out",
    ]
