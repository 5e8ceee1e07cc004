"""Whatever the text of a declaration is, it has one meaning, or every mistake is told."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from issuer.administration.declaration import yaml_form
from issuer.administration.declaration.document import DeclarationFile
from issuer.administration.declaration.reader import read_declaration
from issuer.administration.declaration.yaml_form import read_yaml
from issuer.registry.errors import InvalidDocument

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
        assert isinstance(read_declaration(text, form), DeclarationFile)
    except InvalidDocument as refused:
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


@given(text=st.one_of(TEXTS, VALUES.map(lambda value: json.dumps(value, default=str))))
def test_both_yaml_parsers_read_the_same(text):
    """What a file means does not depend on how PyYAML was built."""
    with pytest.MonkeyPatch.context() as patch:
        read = []
        for loader in LOADERS:
            patch.setattr(yaml_form, "_LOADER", loader)
            try:
                source = read_yaml(text)
                read.append((source.values, source.lines))
            except InvalidDocument:
                read.append(None)
    accepted = [each for each in read if each is not None]
    assert all(each == accepted[0] for each in accepted)
