"""Read and write declarations in YAML.

Values have one meaning: those of JSON, as YAML 1.2's core schema has them, so that `no` is a word
and a time is text. What makes a document mean more than it says is refused: tags, aliases, keys
given twice.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from issuer.administration.declaration.reader import (
    MAXIMUM_DEPTH,
    SHOWN_DEPTH,
    TOO_DEEP,
    Source,
)
from issuer.registry.client import ClientRegistration
from issuer.registry.errors import InvalidDocument
from issuer.registry.mistakes import KeyPath, Mistake
from issuer.registry.resource import Resource
from issuer.registry.schema import Json, members_of, read, write

# libyaml, where PyYAML was built with it, is ten times as fast; neither constructs any object here.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")

_BARE_WORD = re.compile(r"[A-Za-z][\w./:@ -]*", re.ASCII)
_UNLIMITED = 1 << 20  # characters a line: folded text would not be read back by every reader


def read_yaml(text: str) -> Source:
    """Parse one YAML document.

    Raises:
        InvalidDocument: it is not YAML, more than one document, or uses what is refused here.
    """
    reader = _Reader(yaml.parse(text, Loader=_LOADER))
    try:
        root = reader.document()
    except yaml.MarkedYAMLError as error:
        why = " ".join(str(error.problem).split())
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        raise InvalidDocument([Mistake((), f"not YAML: {why}", line)]) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # What the two parsers say of characters that cannot be in YAML differs, or has many lines.
        raise InvalidDocument([Mistake((), "not YAML: it has impossible characters")]) from None
    if reader.mistakes:
        raise InvalidDocument(reader.mistakes)
    if root is None:
        return Source({})
    if not isinstance(root, dict):
        raise InvalidDocument([Mistake((), "must be a mapping with resources and clients")])
    return Source(root, reader.lines)


class _Reader:
    """Builds values from the parser's events; its recursion ends at `MAXIMUM_DEPTH`."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.mistakes: list[Mistake] = []
        self._events = events

    def document(self) -> Any:  # noqa: ANN401 - whatever the text says
        """Read the one document that there may be."""
        root = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._give_up("a second document begins; a declaration is one", (), event)
            elif isinstance(event, yaml.NodeEvent):
                root = self._value(event, ())
        return root

    def _value(self, event: yaml.Event, path: KeyPath) -> Any:  # noqa: ANN401
        self.lines.setdefault(path, _line(event))
        self._check_tag(event, path)
        match event:
            case yaml.ScalarEvent(value=text, style=None | ""):
                return _plain_scalar(text)
            case yaml.ScalarEvent(value=text):
                return text
            case yaml.AliasEvent():
                self._complain("aliases are not read; write the value out", path, event)
                return None
        if len(path) == MAXIMUM_DEPTH:
            self._give_up(TOO_DEEP, path[:SHOWN_DEPTH], event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        values: list[Any] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(inner, (*path, len(values))))
        return values

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                self._give_up("a key must be plain text", path, key)
            place = (*path, key.value)
            self._check_tag(key, place)
            if place in self.lines:
                self._complain(f"is given twice; first on line {self.lines[place]}", place, key)
            self.lines.setdefault(place, _line(key))
            values[key.value] = self._value(next(self._events), place)
        return values

    def _check_tag(self, event: yaml.Event, path: KeyPath) -> None:
        if getattr(event, "tag", None) is not None:
            self._complain("tags are not read; remove it", path, event)

    def _complain(self, why: str, path: KeyPath, event: yaml.Event) -> None:
        self.mistakes.append(Mistake(path, why, _line(event)))

    def _give_up(self, why: str, path: KeyPath, event: yaml.Event) -> NoReturn:
        self._complain(why, path, event)
        raise InvalidDocument(self.mistakes)


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


def _plain_scalar(text: str) -> str | int | float | bool | None:
    """Give the meaning of a scalar without quotes."""
    if text.lower() in _WORDS and text in (text.lower(), text.title(), text.upper()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes text so that it stays text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class has no types
        """Write equal parts in full, each time."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # `1e3` is text to one generation of readers and a number to the next, and unquoted line ends
    # of Unicode are spaces to both.
    style = None if _BARE_WORD.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def write_declaration(resources: list[Json], clients: list[Json]) -> str:
    """Write a registry as a declaration, which `reader` reads back to the same.

    Secrets are not in it: they are not known, and clients whose declaration has none keep those
    that they have.

    Args:
        resources: as they are shown; what is not decided by an operator is left out.
        clients: the same.
    """
    declaration = {
        "version": 1,
        "resources": [_decided(Resource, each) for each in resources],
        "clients": [_decided(ClientRegistration, each) for each in clients],
    }
    return yaml.dump(
        declaration, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_UNLIMITED
    )


def _decided(model: type[ClientRegistration | Resource], shown: Json) -> Json:
    """Keep what the document has that is not as it would be anyway."""
    known = {name: value for name, value in shown.items() if name in members_of(model)}
    decided = write(read(model, known), exclude_defaults=True)
    return {name: decided[name] for name in shown if name in decided}
