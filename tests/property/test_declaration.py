"""Whatever the text of a declaration is, it has one meaning, or every mistake has its line."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from issuer.administration.declaration import yaml_source
from issuer.administration.declaration.document import Declaration
from issuer.administration.declaration.errors import InvalidDeclaration
from issuer.administration.declaration.reader import read_declaration
from issuer.administration.declaration.toml_source import read_toml
from issuer.administration.declaration.yaml_source import read_yaml

FORMS = st.sampled_from(["toml", "yaml"])
LOADERS = [loader for name in ("CSafeLoader", "SafeLoader") if (loader := getattr(yaml, name, 0))]
PIECES = st.sampled_from(
    [
        *("[[clients]]", "[[resources]]", "[clients.metadata]", "clients", "client_id", "secrets"),
        *(
            "grants",
            "scope",
            "resource",
            "https://a.example",
            " = ",
            ": ",
            "- ",
            "\n",
            "\n  ",
            ", ",
        ),
        *(
            '"',
            "'",
            '"""',
            "'''",
            "[",
            "]",
            "{",
            "}",
            "#",
            "&a",
            "*a",
            "!!str ",
            "<<",
            "---",
            "\\u",
        ),
        *("1", "1e999", "nan", "true", "2027-01-31T12:00:00Z", "0x" + "f" * 40, "~", "a.b", "\0"),
    ]
)
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=40).map("".join))


@given(text=TEXTS, form=FORMS)
def test_any_text_is_a_declaration_or_is_refused(text, form):
    """Nothing else ever comes out, and every mistake is a line that a terminal can show."""
    found = None
    try:
        assert isinstance(read_declaration(text, form), Declaration)
    except InvalidDeclaration as refused:
        found = refused.mistakes
    assert found is None or found
    lines = text.count("\n") + len(text.splitlines()) + 1
    for mistake in found or ():
        assert str(mistake).isprintable()
        assert mistake.line is None or 1 <= mistake.line <= lines


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
SCALARS = st.one_of(NAMES, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.dates())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


class TomlWriter:
    """Writes values as TOML in one of its many ways, and notes the line of every path."""

    def __init__(self, draw):
        self._draw = draw
        self.text = ""
        self.lines = {}

    def table(self, values, path=()):
        """Write the plain pairs first, then a table or an array of tables for each of the rest."""
        later = {}
        for name, value in values.items():
            if _is_table(value) and self._draw(st.booleans()):
                later[name] = value
            else:
                self._gap()
                self._note((*path, name))
                self._put(f"{self._key(name)} = ")
                self._value(value, (*path, name))
                self._put("\n")
        for name, value in later.items():
            self._tables(value, (*path, name))

    def _tables(self, value, path):
        for index, table in enumerate(value) if isinstance(value, list) else [(None, value)]:
            self._gap()
            inner = path if index is None else (*path, index)
            self._note(path)
            self._note(inner)
            header = ".".join(self._key(step) for step in path if isinstance(step, str))
            self._put(f"[{header}]\n" if index is None else f"[[{header}]]\n")
            self.table(table, inner)

    def _value(self, value, path):
        if isinstance(value, dict):
            self._put("{")
            for number, (name, inner) in enumerate(value.items()):
                self._put(", " if number else " ")
                self._note((*path, name))
                self._put(f"{self._key(name)}=")
                self._value(inner, (*path, name))
            self._put("}")
        elif isinstance(value, list):
            self._put("[")
            for index, inner in enumerate(value):
                self._gap()
                self._note((*path, index))
                self._value(inner, (*path, index))
                self._put(",")
            self._put("]")
        elif isinstance(value, str):
            self._put(self._string(value))
        else:
            self._put(json.dumps(value) if isinstance(value, int) else value.isoformat())

    def _string(self, text):
        style = self._draw(st.sampled_from(['"', '"""', "'''"]))
        if style == "'''" and not ({"'", "\r"} & set(text)) and all(map(_is_plain, text)):
            return f"'''{self._break()}{text}'''"
        quoted = _basic(text)
        return f'"""{self._break()}{quoted[1:-1]}"""' if style == '"""' else quoted

    def _break(self):
        """A line end right after the opening quotes is not part of the text."""
        return self._draw(st.sampled_from(["\n", "\r\n"]))

    def _key(self, name):
        bare = name and name.isascii() and name.replace("_", "").replace("-", "").isalnum()
        return name if bare else _basic(name)

    def _gap(self):
        self._put(self._draw(st.sampled_from(["", "\n", "# [a] = \"'''\n", " \r\n\t"])))

    def _note(self, path):
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def _put(self, text):
        self.text += text


def _is_table(value):
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) for each in value)
    return isinstance(value, dict)


def _is_plain(character):
    return character in "\n\t" or (character.isprintable() and character != "\x7f")


def _basic(text):
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character):
    if character.isprintable() and character not in '"\\':
        return character
    return f"\\U{ord(character):08x}"


@given(data=st.data(), values=st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_key_of_toml_is_found_on_its_line(data, values):
    """However the table is written, each value is where the finder says."""
    writer = TomlWriter(data.draw)
    writer.table(values)
    source = read_toml(writer.text)
    assert source.values == values
    assert source.find_lines() == writer.lines


@given(text=st.one_of(TEXTS, VALUES.map(lambda value: json.dumps(value, default=str))))
def test_both_yaml_parsers_read_the_same(text):
    """What a file means does not depend on how PyYAML was built."""
    with pytest.MonkeyPatch.context() as patch:
        read = []
        for loader in LOADERS:
            patch.setattr(yaml_source, "_LOADER", loader)
            try:
                source = read_yaml(text)
                read.append((source.values, source.find_lines()))
            except InvalidDeclaration:
                read.append(None)
    accepted = [each for each in read if each is not None]
    assert all(each == accepted[0] for each in accepted)
