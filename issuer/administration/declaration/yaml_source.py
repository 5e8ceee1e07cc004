"""Read YAML and note the line of every key.

Values have one meaning: those of JSON, as YAML 1.2's core schema has them, so that `no` is a word
and a time is text. What makes a document mean more than it says is refused: tags, aliases, keys
given twice.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from issuer.administration.declaration.errors import InvalidDeclaration, KeyPath, Mistake
from issuer.administration.declaration.source_text import (
    MAXIMUM_DEPTH,
    SHOWN_DEPTH,
    TOO_DEEP,
    SourceText,
)

# libyaml, where PyYAML was built with it, is ten times as fast; neither constructs any object here.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")


def read_yaml(text: str) -> SourceText:
    """Parse one YAML document.

    Raises:
        InvalidDeclaration: it is not YAML, more than one document, or uses what is refused here.
    """
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise InvalidDeclaration([_syntax_mistake(error)]) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # What the two parsers say of characters that cannot be in YAML differs, or has many lines.
        raise InvalidDeclaration([Mistake(why="not YAML: it has impossible characters")]) from None
    if reader.mistakes:
        raise InvalidDeclaration(reader.mistakes)
    if reader.root is None:
        return SourceText({}, dict)
    if not isinstance(reader.root, dict):
        raise InvalidDeclaration([Mistake(why="must be a mapping with resources and clients")])
    return SourceText(reader.root, lambda: reader.lines)


def _syntax_mistake(error: yaml.MarkedYAMLError) -> Mistake:
    why = " ".join(str(error.problem).split())
    line = None if error.problem_mark is None else error.problem_mark.line + 1
    return Mistake(why=f"not YAML: {why}", line=line)


@dataclass(slots=True)
class _Collection:
    """A mapping or a list whose end has not come yet."""

    path: KeyPath
    values: dict[str, Any] | list[Any]
    key: str | None = None  # of a mapping: the key whose value is next

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.values, dict) and self.key is None

    @property
    def next_path(self) -> KeyPath:
        step = len(self.values) if self.key is None else self.key
        return (*self.path, step)

    def put(self, value: object) -> None:
        if isinstance(self.values, dict):
            self.values[str(self.key)] = value
            self.key = None
        else:
            self.values.append(value)


@dataclass(slots=True)
class _Reader:
    """Builds values from events one by one: recursion would let the text choose the depth."""

    root: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    _open: list[_Collection] = field(default_factory=list)
    _documents: int = 0

    def take(self, event: yaml.Event) -> None:
        """Take the next event of the parser."""
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(line)
            case yaml.CollectionEndEvent():
                self._open.pop()
            case yaml.NodeEvent() if self._open and self._open[-1].awaits_key:
                self._take_key(self._open[-1], event, line)
            case yaml.NodeEvent():
                self._take_value(event, line)
            case _:
                return

    def _start_document(self, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            self._give_up("a second document begins; a declaration is one", (), line)

    def _take_key(self, mapping: _Collection, event: yaml.NodeEvent, line: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self._give_up("a key must be plain text", mapping.path, line)
        mapping.key = event.value
        path = mapping.next_path
        self._check_tag(event, path, line)
        if path in self.lines:
            first = self.lines[path]
            self._complain(f"is given twice; first on line {first}", path, line)
        self.lines.setdefault(path, line)

    def _take_value(self, event: yaml.NodeEvent, line: int) -> None:
        path = self._open[-1].next_path if self._open else ()
        self.lines.setdefault(path, line)
        self._check_tag(event, path, line)
        value = _value_of(event)
        if isinstance(event, yaml.AliasEvent):
            self._complain("aliases are not read; write the value out", path, line)
        if self._open:
            self._open[-1].put(value)
        else:
            self.root = value
        if isinstance(value, dict | list):
            if len(self._open) == MAXIMUM_DEPTH:
                self._give_up(TOO_DEEP, path[:SHOWN_DEPTH], line)
            self._open.append(_Collection(path, value))

    def _check_tag(self, event: yaml.NodeEvent, path: KeyPath, line: int) -> None:
        if getattr(event, "tag", None) is not None:
            self._complain("tags are not read; remove it", path, line)

    def _complain(self, why: str, path: KeyPath, line: int) -> None:
        self.mistakes.append(Mistake(why=why, path=path, line=line))

    def _give_up(self, why: str, path: KeyPath, line: int) -> NoReturn:
        self._complain(why, path, line)
        raise InvalidDeclaration(self.mistakes)


def _value_of(event: yaml.NodeEvent) -> Any:  # noqa: ANN401 - whatever the text says
    match event:
        case yaml.MappingStartEvent():
            return {}
        case yaml.SequenceStartEvent():
            return []
        case yaml.ScalarEvent(value=text, style=None | ""):
            return _plain_scalar(text)
        case yaml.ScalarEvent(value=text):
            return text
        case _:
            return None


def _plain_scalar(text: str) -> str | int | float | bool | None:
    """Give the meaning of a scalar without quotes."""
    if text.lower() in _WORDS and text in (text.lower(), text.title(), text.upper()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
